//go:build unix

package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/trailtide/trailtide/sinks"
)

// hook is a receiver of alerts, which now and then refuses one.
type hook struct {
	mu      sync.Mutex
	r       *rand.Rand
	have    map[string]int
	refused int
	broken  []string
}

func newHook(seed uint64) *hook {
	return &hook{r: rand.New(rand.NewPCG(seed, 2)), have: make(map[string]int)}
}

func (h *hook) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // a worker that was killed over it
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.r.IntN(30) == 0 {
		h.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var a sinks.Alert
	if err := json.Unmarshal(body, &a); err != nil {
		h.broken = append(h.broken, fmt.Sprintf("%v: %.200s", err, body))
		return
	}
	h.have[delivery(&a)]++
}

func delivery(a *sinks.Alert) string {
	return fmt.Sprintf("%s %s %s %s count %d", a.RuleID, a.AlertID, a.Status, a.Resolution, a.Count)
}

// missing are the notifications that have not come.
func (h *hook) missing(alerts []told) (out []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range alerts {
		if d := delivery(a.Alert); a.notify && h.have[d] == 0 {
			out = append(out, d)
		}
	}
	return out
}

// summary says how much came, how much of it more than once, and how much was refused.
func (h *hook) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	again := 0
	for _, n := range h.have {
		again += n - 1
	}
	return fmt.Sprintf("%d notifications delivered, %d of them again, %d refused once", len(h.have), again, h.refused)
}
