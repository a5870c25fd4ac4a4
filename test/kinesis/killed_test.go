//go:build unix

package kinesis

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trailtide/trailtide/test/chaos"
	"github.com/trailtide/trailtide/test/harness"
)

// However often the one worker of the embedded engine is killed, while the
// stream is resharded and everything goes wrong, polling and by fan-out in turn,
// in the end its alerts are those of a scan of the same events.
func TestKilledWorkerOnKinesis(t *testing.T) {
	need(t)
	kills := harness.SizeFrom(t, "TRAILTIDE_CHAOS_KILLS", 6)
	events := harness.Busy(t, harness.SizeFrom(t, "TRAILTIDE_CHAOS_EVENTS", 15_000))
	seed := chaos.Seed(t)
	t.Logf("TRAILTIDE_CHAOS_SEED=%d repeats traffic and schedule", seed)
	s := newStream(t, seed, harness.SizeFrom(t, "TRAILTIDE_CHAOS_RESHARDS", 7))
	want := scanned(t, events)
	want.Telling(t)

	records := make([]chaos.Record, len(events))
	for i, ev := range events {
		records[i] = chaos.Record{Partition: i % 24, Value: ev, Broken: !json.Valid(ev)}
	}
	const pause = 3 * time.Second // between kills, at most
	filled := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { filled <- s.Fill(ctx, records, time.Duration(kills)*pause/2) }()
	dir := t.TempDir()
	harness.Write(t, dir, "busy.yaml", harness.BusyRules)
	r := rand.New(rand.NewPCG(seed, 1))
	worker := func(fanOut bool) *harness.Worker {
		return harness.StartWorker(t, "run", "-c", harness.Write(t, dir, fmt.Sprintf("fan-out-%t.yaml", fanOut), fmt.Sprintf(`
rules: {paths: [busy.yaml], builtin: false, watch: false}
source: {kinesis: {%s}}
windows: {lateness: 20m}
sqlite: {path: trailtide.db}
commit_interval: 50ms
admin: {listen: "off"}
`, s.reader(fanOut))))
	}
	for i := range kills {
		w := worker(i%2 == 1)
		w.RunFor(t, pause/5+time.Duration(r.Int64N(int64(pause*4/5))))
		w.Kill(t)
	}
	if err := <-filled; err != nil {
		t.Fatal(err)
	}
	last := worker(seed%2 == 0)
	state := filepath.Join(dir, "trailtide.db")
	harness.Until(t, 2*time.Minute, func() bool {
		last.Alive(t)
		return last.Started() && same(want, outcome(t, state))
	})
	last.Stop(t)
	want.Same(t, outcome(t, state))
	if t.Failed() {
		t.Logf("the last worker\n%s", last.Stderr())
	}
}

// scanned is what one worker makes of events in a file.
func scanned(t *testing.T, events [][]byte) harness.Outcome {
	t.Helper()
	dir := t.TempDir()
	rules := harness.Write(t, dir, "busy.yaml", harness.BusyRules)
	lines := make([]string, len(events))
	for i, ev := range events {
		lines[i] = string(ev)
	}
	file := harness.Write(t, dir, "events.ndjson", strings.Join(lines, "\n")+"\n")
	state := filepath.Join(dir, "scan.db")
	harness.Output(t, "scan", "--jobs", "1", "--lateness", "20m", "--no-builtin", "--rules", rules, "--output", "ndjson", "--state", state, file)
	return outcome(t, state)
}

// outcome is harness.OutcomeOf without the places of dead letters.
func outcome(t *testing.T, state string) harness.Outcome {
	t.Helper()
	if _, err := os.Stat(state); err != nil {
		return harness.Outcome{}
	}
	o := harness.OutcomeOf(t, state)
	for i, d := range o.Dead {
		_, o.Dead[i], _ = strings.Cut(d, " ")
	}
	return o
}

func same(a, b harness.Outcome) bool {
	bag := func(list []string) map[string]int {
		n := make(map[string]int)
		for _, s := range list {
			n[s]++
		}
		return n
	}
	return slices.EqualFunc([][]string{a.Plain, a.Counted, a.Dead}, [][]string{b.Plain, b.Counted, b.Dead},
		func(x, y []string) bool { return maps.Equal(bag(x), bag(y)) })
}
