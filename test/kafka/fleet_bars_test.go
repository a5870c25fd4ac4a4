//go:build linux

package kafka

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

// The bars of the fleet. What is measured shares its cores with the broker, the
// producer and whatever else the machine does: gates leave room for that, and
// the figures are in the log. TRAILTIDE_BARS=short is quick; make bars takes longer
// and measures more.
func TestFleetBars(t *testing.T) {
	kafkabroker.Need(t)
	if os.Getenv("TRAILTIDE_BARS") == "" {
		t.Skip("timing means something on a machine with nothing else to do: make bars, or set TRAILTIDE_BARS")
	}
	// A broker as it runs for long, without compaction: restores meet all that was written.
	c := kafkabroker.Start(t, kafkabroker.Options{
		MaxHeap: "1g", JVM: []string{"-XX:TieredStopAtLevel=4"}, Config: map[string]string{"log.cleaner.enable": "false"},
	})
	for _, bar := range []struct {
		name string
		test func(t *testing.T, c *kafkabroker.Cluster)
	}{
		{"cpu", barCPU},
		{"steady", barSteady},
		{"latency", barLatency},
		{"takeover", barTakeover},
		{"stopped", barStopped},
		{"rolling", barRolling},
		{"restore", barRestore},
	} {
		t.Run(bar.name, func(t *testing.T) { bar.test(t, c) })
	}
}

// long says that make bars runs, and not the short form.
func long() bool { return os.Getenv("TRAILTIDE_BARS") == "long" }

// either of two sizes.
func either[T any](short, whenLong T) T {
	if long() {
		return whenLong
	}
	return short
}

// quiet says nothing of rules that match nothing.
const quiet = "log: {level: error}"

// CPU an event, of one worker, of two, and of the embedded engine. They find a
// backlog and work it off.
func barCPU(t *testing.T, c *kafkabroker.Cluster) {
	t.Helper()
	rounds, n := either(3, 7), either(100_000, 250_000)
	path := filepath.Join(t.TempDir(), "many.yaml")
	harness.Write(t, filepath.Dir(path), "many.yaml", manyRules(t, 1000))
	for _, set := range []struct{ name, rules string }{
		{"pack", "builtin: true"},
		{"1000", fmt.Sprintf("builtin: false, paths: [%s]", path)},
	}[:either(1, 2)] {
		t.Run(set.name, func(t *testing.T) {
			labs := []*lab{
				newLab(t, c, lab{name: "embedded", embedded: true, rules: set.rules, extra: quiet, session: time.Minute}),
				newLab(t, c, lab{name: "one", rules: set.rules, extra: quiet, session: time.Minute}),
				newLab(t, c, lab{name: "two", rules: set.rules, extra: quiet, session: time.Minute}),
			}
			labs[0].start(t, "e")
			labs[1].start(t, "o")
			labs[2].start(t, "a")
			labs[2].start(t, "b")
			for _, l := range labs {
				l.settled(t)
			}
			cl := producer(t, c)
			tr := newTrail(t, time.Now().Add(-2*time.Hour), 1000)
			cpu, wall := make([][]float64, len(labs)), make([][]float64, len(labs))
			for round := range rounds + 1 {
				events := tr.next(n)
				for i, l := range labs {
					// They wait until everything is written, so that nobody shares their time.
					l.signal(t, syscall.SIGSTOP)
					l.burst(t, cl, events)
					begun, used := time.Now(), l.cpu(t)
					l.signal(t, syscall.SIGCONT)
					l.drained(t)
					took, spent := time.Since(begun), l.cpu(t)-used
					if round > 0 { // the first one warms up
						cpu[i] = append(cpu[i], spent.Seconds()*1e6/float64(n))
						wall[i] = append(wall[i], took.Seconds())
					}
				}
			}
			two, one := measure.Ratio(cpu[2], cpu[1]), measure.Ratio(cpu[0], cpu[1])
			t.Logf("µs of CPU an event: embedded %.2f, one worker %.2f, two %.2f", measure.Median(cpu[0]), measure.Median(cpu[1]), measure.Median(cpu[2]))
			t.Logf("two workers / one %.2f, the bar is 1.1", two)
			t.Logf("throughput of one worker / embedded: by CPU %.2f, by the clock %.2f; the bar is 0.8", one, measure.Ratio(wall[0], wall[1]))
			if most := either(1.3, 1.2); two > most {
				t.Errorf("two workers cost %.2f times one, want at most %.2f: %.2f and %.2f", two, most, cpu[2], cpu[1])
			}
			if one < 0.8 {
				t.Errorf("one worker does %.2f of the embedded engine's throughput, the bar is 0.8: %.2f and %.2f", one, cpu[1], cpu[0])
			}
			for _, l := range labs {
				for _, w := range l.all() {
					w.Kill(t) // the next bars want the cores
				}
			}
		})
	}
}

// CPU time a second of workers that keep up with a steady stream without effort:
// what a worker costs beside its events.
func barSteady(t *testing.T, c *kafkabroker.Cluster) {
	t.Helper()
	l := []*lab{
		newLab(t, c, lab{name: "one", rules: "builtin: true", extra: quiet}),
		newLab(t, c, lab{name: "two", rules: "builtin: true", extra: quiet}),
	}
	l[0].start(t, "o")
	l[1].start(t, "a")
	l[1].start(t, "b")
	for _, l := range l {
		l.settled(t)
	}
	const rate = 1000
	spent := make([][]float64, len(l))
	for range either(3, 7) {
		for i, l := range l {
			p := &probes{sent: make(map[string]time.Time)}
			stop := l.traffic(t, p, rate)
			l.all()[0].RunFor(t, time.Second)
			wait := l.profile(t, 4*time.Second)
			used, begun := l.cpu(t), time.Now()
			l.all()[0].RunFor(t, 4*time.Second)
			spent[i] = append(spent[i], (l.cpu(t)-used).Seconds()/time.Since(begun).Seconds()*1e3)
			stop()
			wait()
		}
	}
	t.Logf("%d events/s: one worker %.0f ms of CPU a second, two %.0f: %.2f", rate, measure.Median(spent[0]), measure.Median(spent[1]), measure.Ratio(spent[1], spent[0]))
	for _, l := range l {
		for _, w := range l.all() {
			w.Kill(t)
		}
	}
}

// From the moment in which an event is handed to the producer to its alert among
// what is committed, at half of what the machine bears.
func barLatency(t *testing.T, c *kafkabroker.Cluster) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probes.yaml")
	harness.Write(t, filepath.Dir(path), "probes.yaml", probeRules)
	l := newLab(t, c, lab{name: "l", rules: fmt.Sprintf("builtin: true, paths: [%s]", path), extra: quiet})
	l.start(t, "a")
	l.start(t, "b")
	l.settled(t)
	cl := producer(t, c)
	tr := newTrail(t, time.Now().Add(-2*time.Hour), 1000)
	l.burst(t, cl, tr.next(20_000))
	l.drained(t)
	const n = 100_000
	events := tr.next(n)
	begun := time.Now()
	l.burst(t, cl, events)
	l.drained(t)
	half := int(n / time.Since(begun).Seconds() / 2)
	p := l.watch(t)
	at := func(rate int) (p50, p99 time.Duration) {
		stop := l.traffic(t, p, rate)
		from := time.Now().Add(2 * time.Second)
		l.workers["a"].RunFor(t, either(7*time.Second, 30*time.Second))
		made := stop()
		list := p.answered(t, from)
		p50, p99 = quantile(list, 0.5), quantile(list, 0.99)
		t.Logf("%.0f events/s: %d probes, p50 %v, p90 %v, p99 %v, most %v", made, len(list), p50.Round(time.Millisecond),
			quantile(list, 0.9).Round(time.Millisecond), p99.Round(time.Millisecond), slowest(list).Round(time.Millisecond))
		return p50, p99
	}
	for _, rate := range either(nil, []int{0, 1000, 10_000}) {
		at(rate)
	}
	var p50, p99 time.Duration
	for range 3 { // a neighbour can spoil a few seconds
		if p50, p99 = at(half); p50 <= 500*time.Millisecond && p99 <= 1500*time.Millisecond {
			return
		}
	}
	t.Errorf("p50 %v and p99 %v, the bars are 500ms and 1.5s", p50, p99)
}

// disturbed is a fleet with steady traffic and probes.
type disturbed struct {
	*lab
	p    *probes
	stop func() float64
	from time.Time // of the first probe that counts
}

func disturb(t *testing.T, c *kafkabroker.Cluster, l lab, workers ...string) *disturbed {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probes.yaml")
	harness.Write(t, filepath.Dir(path), "probes.yaml", probeRules)
	l.name, l.rules = "d", fmt.Sprintf("builtin: true, paths: [%s]", path)
	d := &disturbed{lab: newLab(t, c, l)}
	for _, w := range workers {
		d.start(t, w)
	}
	d.settled(t)
	d.p = d.watch(t)
	d.stop = d.traffic(t, d.p, 1000)
	// A broker that has just started is slow for a while.
	if !harness.Until(t, 30*time.Second, func() bool {
		list := d.p.answeredNow(time.Now().Add(-4 * time.Second))
		return len(list) > 300 && quantile(list, 0.95) < time.Second
	}) {
		t.Error("alerts do not come in time")
	}
	d.from = time.Now()
	return d
}

// end stops the traffic, waits for all alerts, and answers the probes that were
// sent since the fleet is disturbed, and a while before.
func (d *disturbed) end(t *testing.T) []probe {
	t.Helper()
	d.stop()
	return d.p.answered(t, d.from)
}

func slowest(list []probe) time.Duration { return quantile(list, 1) }

// What a killed worker had is counted by others soon after its session has ended.
func barTakeover(t *testing.T, c *kafkabroker.Cluster) {
	t.Helper()
	session := either(4*time.Second, 10*time.Second)
	d := disturb(t, c, lab{session: session}, "a", "b")
	killed := time.Now()
	d.workers["a"].Kill(t)
	delete(d.workers, "a")
	d.workers["b"].RunFor(t, session+8*time.Second)
	list := d.end(t)
	took := recovered(list, 2*time.Second).Sub(killed)
	t.Logf("session timeout %v: alerts are on time again %v after the kill; slowest alert %v", session, took, slowest(list))
	if most := session + 3*time.Second; took > most {
		t.Errorf("takeover in %v, the bar is %v", took, most)
	}
	if slowest(list) < session/2 {
		t.Error("no alert was late: nothing was measured")
	}
}

// A worker that stands still holds nobody up for long, and does no harm when it
// goes on.
func barStopped(t *testing.T, c *kafkabroker.Cluster) {
	t.Helper()
	d := disturb(t, c, lab{}, "a", "b", "c")
	d.workers["a"].Signal(t, syscall.SIGSTOP)
	d.workers["b"].RunFor(t, 25*time.Second)
	d.workers["a"].Signal(t, syscall.SIGCONT)
	d.workers["b"].RunFor(t, 8*time.Second)
	list := d.end(t)
	t.Logf("slowest alert %v", slowest(list))
	if slowest(list) > 25*time.Second {
		t.Errorf("an alert came %v after its event, the bar is 25s", slowest(list))
	}
	if slowest(list) < 5*time.Second {
		t.Error("no alert was late: nothing was measured")
	}
}

// All workers are restarted, one after the other.
func barRolling(t *testing.T, c *kafkabroker.Cluster) {
	t.Helper()
	d := disturb(t, c, lab{static: true}, "a", "b", "c")
	usual := quantile(d.p.answeredNow(d.from.Add(-3*time.Second)), 0.5)
	for _, w := range []string{"a", "b", "c"} {
		begun := time.Now()
		d.workers[w].Stop(t)
		stopped := time.Since(begun)
		d.start(t, w)
		if !harness.Until(t, 30*time.Second, func() bool {
			_, status, err := d.workers[w].get(t.Context(), "/readyz")
			return err == nil && status == http.StatusOK
		}) {
			t.Fatalf("worker %s does not become ready again", w)
		}
		t.Logf("worker %s: stopped in %v, ready again %v after", w, stopped, time.Since(begun)-stopped)
		d.workers[w].RunFor(t, 2*time.Second)
	}
	list := d.end(t)
	added := slowest(list) - usual
	t.Logf("usual latency %v, slowest alert %v", usual, slowest(list))
	if added > 5*time.Second {
		t.Errorf("a rolling restart adds %v to an alert's latency, the bar is 5s", added)
	}
}
