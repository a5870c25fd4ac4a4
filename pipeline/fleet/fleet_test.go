package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestFleetAnswersAsOneWorkerDoes(t *testing.T) {
	rs := compile(t, busyRules)
	events := testEvents(t, 1, 20_000)
	want := final(reference(t, rs, events))
	if len(want) < 100 {
		t.Fatalf("only %d alerts to find", len(want))
	}
	c := testBroker(t)
	alerts := readAlerts(t, c)
	for _, name := range []string{"a", "b", "c"} {
		start(t, c, name, rs)
	}
	produce(t, testClient(t, c), events)
	alerts.waitFor(t, want)
}

// Workers come and go while events come in: the alerts are those of one that
// nobody disturbs, each told once.
func TestWorkersComeAndGo(t *testing.T) {
	rs := compile(t, busyRules)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	events := testEvents(t, seed, 20_000)
	want := final(reference(t, rs, events))
	c := testBroker(t)
	alerts := readAlerts(t, c)
	cl := testClient(t, c)
	workers := []*running{start(t, c, "w0", rs), start(t, c, "w1", rs)}
	all := slices.Clone(workers)
	const steps = 12
	for i := range steps {
		produce(t, cl, events[len(events)*i/steps:len(events)*(i+1)/steps])
		switch {
		case len(workers) > 1 && r.IntN(2) == 0:
			at := r.IntN(len(workers))
			workers[at].stop(t)
			workers = slices.Delete(workers, at, at+1)
		default:
			w := start(t, c, fmt.Sprintf("w%d", i+2), rs)
			workers, all = append(workers, w), append(all, w)
		}
		alerts.waitForSome(t, len(want)*i/steps/2)
	}
	alerts.waitFor(t, want)
	settled(t, len(events), all...) // what was left to others is accounted for by them
}
