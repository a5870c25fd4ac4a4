//go:build linux

package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/test/harness"
)

// probeRules make an alert of each plain probe, and one of each pair.
const probeRules = `rules:
  - {id: probe-plain, title: p, severity: low, match: {eventName: ProbePlain}}
  - {id: probe-pair, title: p, severity: low, match: {eventName: ProbePair}, threshold: {count: 2, window: 1m, group_by: [userIdentity.arn]}}
`

// probes are events of which it is known when they were written and when
// readers of what is committed saw their alerts. Each has a key of its own, so
// that they spread over all partitions of the source and of the repartition
// topic.
type probes struct {
	mu   sync.Mutex
	sent map[string]time.Time // by event ID
	seen map[string]time.Time
	from map[string]string // records
	n    int
}

// probe is one that was answered.
type probe struct {
	sent time.Time
	took time.Duration
	from string // its record
}

// watch reads the alerts topic until the test ends.
func (l *lab) watch(t *testing.T) *probes {
	t.Helper()
	p := &probes{sent: make(map[string]time.Time), seen: make(map[string]time.Time), from: make(map[string]string)}
	cl := client(t, l.c, kgo.ConsumeTopics(l.name+"-alerts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(time.Second))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		for {
			fetches := cl.PollFetches(ctx)
			if ctx.Err() != nil {
				return
			}
			now := time.Now()
			fetches.EachRecord(func(r *kgo.Record) { p.alert(t, r.Value, now) })
		}
	}()
	return p
}

func (p *probes) alert(t *testing.T, value []byte, now time.Time) {
	t.Helper()
	var a struct {
		RuleID   string   `json:"rule_id"`
		Status   string   `json:"status"`
		EventIDs []string `json:"event_ids"`
		Position string   `json:"position"`
	}
	if err := json.Unmarshal(value, &a); err != nil {
		t.Errorf("an alert: %v", err)
		return
	}
	if !strings.HasPrefix(a.RuleID, "probe-") || a.Status != "firing" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range a.EventIDs {
		if _, again := p.seen[id]; again {
			t.Errorf("a second alert of %s for %s", a.RuleID, id)
		}
		p.seen[id] = now
		p.from[id] = a.Position
	}
}

// send writes a plain probe and a pair.
func (p *probes) send(t *testing.T, l *lab, cl *kgo.Client) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	put := func(name, key string) {
		p.n++
		id := fmt.Sprintf("9b0e0000-0000-4000-8000-%012d", p.n)
		p.sent[id] = now
		cl.Produce(t.Context(), &kgo.Record{Topic: l.topic, Value: fmt.Appendf(nil, `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/%s","userName":%[1]q},`+
			`"eventTime":%q,"eventSource":"probe.amazonaws.com","eventName":%q,"awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7","userAgent":"probe",`+
			`"requestParameters":null,"responseElements":null,"eventID":%q,"readOnly":true,"eventType":"AwsApiCall","recipientAccountId":"123456789012"}`,
			key, now.UTC().Format(time.RFC3339), name, id)}, func(_ *kgo.Record, err error) {
			if err != nil && t.Context().Err() == nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	key := fmt.Sprintf("probe-%d", p.n)
	put("ProbePlain", key)
	put("ProbePair", key)
	put("ProbePair", key)
}

// traffic writes everyday events at about that rate, and probes each 20 ms,
// until stop is called.
func (l *lab) traffic(t *testing.T, p *probes, perSecond int) (stop func() (rate float64)) {
	t.Helper()
	cl := producer(t, l.c)
	tr := newTrail(t, time.Now().Add(-time.Minute), float64(max(perSecond, 1)))
	quit, done := make(chan struct{}), make(chan float64, 1)
	go func() {
		begun, n := time.Now(), 0
		const step = 20 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				done <- float64(n) / time.Since(begun).Seconds()
				return
			case <-tick.C:
			}
			p.send(t, l, cl)
			due := int(time.Since(begun).Seconds() * float64(perSecond))
			for range min(due-n, 4*max(1, perSecond/50)) {
				n++
				cl.Produce(t.Context(), &kgo.Record{Topic: l.topic, Value: tr.g.AppendNext(nil)}, nil)
			}
		}
	}()
	return func() float64 {
		close(quit)
		rate := <-done
		if err := cl.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		return rate
	}
}

// answered waits for the alerts of all probes and returns those of probes that
// were sent from then on, in order of sending.
func (p *probes) answered(t *testing.T, from time.Time) []probe {
	t.Helper()
	missing := 0
	if !harness.Until(t, time.Minute, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		missing = 0
		for id := range p.sent {
			if _, ok := p.seen[id]; !ok {
				missing++
			}
		}
		return missing == 0
	}) {
		t.Errorf("%d of %d probes have no alert", missing, len(p.sent))
	}
	return p.answeredNow(from)
}

func (p *probes) answeredNow(from time.Time) []probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []probe
	for id, sent := range p.sent {
		if seen, ok := p.seen[id]; ok && !sent.Before(from) {
			out = append(out, probe{sent, seen.Sub(sent), p.from[id]})
		}
	}
	slices.SortFunc(out, func(a, b probe) int { return a.sent.Compare(b.sent) })
	return out
}

// quantile of how long alerts took.
func quantile(list []probe, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	var took []time.Duration
	for _, p := range list {
		took = append(took, p.took)
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(q*float64(len(took))))]
}

// recovered is when alerts came normally again: when the last of those was seen
// that took longer than usual.
func recovered(list []probe, usual time.Duration) time.Time {
	var last time.Time
	for _, p := range list {
		if seen := p.sent.Add(p.took); p.took > usual && seen.After(last) {
			last = seen
		}
	}
	return last
}
