package deliver

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/sinktest"
)

// resumer is a memory outbox that keeps what is known behind the place, and
// from which entries can be taken away.
type resumer struct {
	*memory.Engine

	mu    sync.Mutex
	known map[int64]engine.Known
	dead  []string
	taken map[int64]bool
}

func (r *resumer) Read(ctx context.Context, consumer string, limit int) ([]engine.Entry, error) {
	for {
		entries, err := r.Engine.Read(ctx, consumer, 1000)
		if err != nil {
			return nil, err
		}
		if out := r.ours(entries, limit); len(out) > 0 {
			return out, nil
		}
		wait(ctx, time.Second)
	}
}

func (r *resumer) ours(entries []engine.Entry, limit int) []engine.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []engine.Entry
	for _, e := range entries {
		k, ok := r.known[e.Seq]
		if r.taken[e.Seq] || ok && k.Done || len(out) == limit {
			continue
		}
		if ok {
			e.Known = &k
		}
		out = append(out, e)
	}
	return out
}

func (r *resumer) Settle(ctx context.Context, consumer string, seq int64, dead []engine.DeadLetter, known []engine.Known) error {
	r.mu.Lock()
	for _, k := range known {
		r.known[k.Seq] = k
	}
	for _, d := range dead {
		r.dead = append(r.dead, d.AlertID)
	}
	r.mu.Unlock()
	return r.Done(ctx, consumer, seq, nil)
}

func newResumer() *resumer {
	return &resumer{Engine: memory.New(memory.Options{}), known: map[int64]engine.Known{}, taken: map[int64]bool{}}
}

func bare(from, to int) []*sinks.Alert {
	alerts := sinktest.Alerts(from, to)
	for _, a := range alerts {
		a.Sinks = nil
	}
	return alerts
}

// TestResumes: the next runner delivers nothing again that went past a failing
// alert, and goes on counting that one's attempts.
func TestResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newResumer()
		away := func(a *sinks.Alert) error {
			if a.EventID == "e-1" {
				return errAway
			}
			return nil
		}
		one := &receiver{answer: away}
		b := &bench{t: t, store: store.Engine}
		b.restart(Options{Outbox: store, Routes: []Route{{Name: "a", Sink: one}}})
		b.restore()
		b.commit(bare(0, 4)...)
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		if got := one.received(); !slices.Equal(got, []string{"e-0", "e-2", "e-3"}) {
			t.Errorf("the first delivers %v", got)
		}
		failed := one.tries["e-1"]
		if k := store.known[2]; k.Attempts != failed || k.First.IsZero() || k.Done {
			t.Errorf("known of e-1 after %d attempts: %+v", failed, k)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		two := &receiver{answer: away}
		b.restart(Options{Outbox: store, Routes: []Route{{Name: "a", Sink: two}}})
		time.Sleep(25 * time.Minute) // together more than max_elapsed, each alone less
		synctest.Wait()
		if got := two.received(); len(got) != 0 {
			t.Errorf("delivered again: %v", got)
		}
		if !slices.Equal(store.dead, []string{sinktest.Alert(1).AlertID}) {
			t.Errorf("dead letters %v", store.dead)
		}
		b.end()
	})
}

// TestDeadBehindTheFirst: a dead letter is stored when it is made, though an
// earlier alert holds the place.
func TestDeadBehindTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newResumer()
		r := &receiver{answer: func(a *sinks.Alert) error {
			switch a.EventID {
			case "e-0":
				return errAway
			case "e-1":
				return sinks.Permanent(errAway)
			}
			return nil
		}}
		b := &bench{t: t, store: store.Engine}
		b.restart(Options{Outbox: store, Routes: []Route{{Name: "a", Sink: r}}})
		b.restore()
		b.commit(bare(0, 3)...)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !slices.Equal(store.dead, []string{sinktest.Alert(1).AlertID}) {
			t.Errorf("dead letters %v", store.dead)
		}
		if p := b.place("a"); p.Seq != 0 {
			t.Errorf("place %+v", p)
		}
		time.Sleep(70 * time.Minute)
		synctest.Wait()
		if len(store.dead) != 2 {
			t.Errorf("dead letters %v, each once", store.dead)
		}
		b.end()
	})
}

// TestTakenAway: what the outbox does not answer any more is not tried again,
// though the window is full of it.
func TestTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newResumer()
		r := &receiver{answer: func(*sinks.Alert) error { return errAway }}
		b := &bench{t: t, store: store.Engine}
		b.restart(Options{Outbox: store, Routes: []Route{{Name: "a", Sink: r, Batch: 2}}})
		b.restore()
		b.commit(bare(0, 10)...)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		store.mu.Lock()
		for seq := int64(1); seq <= 9; seq++ {
			store.taken[seq] = true
		}
		store.mu.Unlock()
		time.Sleep(2 * time.Minute) // longer than the longest pause
		synctest.Wait()
		r.mu.Lock()
		before := r.tries["e-0"]
		r.mu.Unlock()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		r.mu.Lock()
		if r.tries["e-0"] != before || r.tries["e-9"] < 2 {
			t.Errorf("tries %v; e-0 had %d when it went", r.tries, before)
		}
		r.mu.Unlock()
		b.end()
	})
}

// TestMuted: what people do not want to be told is passed over and counted.
func TestMuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		reg := prometheus.NewRegistry()
		b := newBench(t, Options{
			Routes: []Route{{Name: "a", Sink: r}}, Metrics: reg,
			Muted: func(a *sinks.Alert) (string, bool) { return "closed", a.EventID == "e-1" },
		})
		b.restore()
		b.commit(bare(0, 3)...)
		synctest.Wait()
		if got := r.received(); !slices.Equal(got, []string{"e-0", "e-2"}) {
			t.Errorf("received %v", got)
		}
		if p := b.place("a"); p.Unread != 0 {
			t.Errorf("place %+v", p)
		}
		b.end()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]float64{}
		for _, f := range families {
			if f.GetName() == "trailtide_sink_alerts_total" {
				for _, m := range f.GetMetric() {
					for _, l := range m.GetLabel() {
						if l.GetName() == "outcome" && m.GetCounter().GetValue() > 0 {
							counts[l.GetValue()] = m.GetCounter().GetValue()
						}
					}
				}
			}
		}
		if d := cmp.Diff(map[string]float64{"delivered": 2, "muted": 1}, counts); d != "" {
			t.Errorf("outcomes (-want +got):\n%s", d)
		}
	})
}

// TestStale: what is too old to be told is passed over, and kept in the dead
// letter where the route asks for that.
func TestStale(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := new(receiver)
			b := newBench(t, Options{Routes: []Route{{Name: "a", Sink: r, Filter: Filter{MaxAge: time.Hour, StaleToDead: keep}}}})
			b.restore()
			alerts := bare(0, 3)
			for i, a := range alerts {
				a.LastTime = time.Now().Add(-time.Duration(i) * 50 * time.Minute)
			}
			b.commit(alerts...)
			synctest.Wait()
			if got := r.received(); !slices.Equal(got, []string{"e-0", "e-1"}) {
				t.Errorf("received %v", got)
			}
			dead, _ := b.store.DeadLetters()
			if want := map[bool]int{false: 0, true: 1}[keep]; len(dead) != want {
				t.Fatalf("%d dead letters, want %d", len(dead), want)
			}
			if keep && (dead[0].Sink != "a" || dead[0].AlertID != alerts[2].AlertID || !strings.Contains(dead[0].Reason, "max_age")) {
				t.Errorf("dead letter %+v", dead[0])
			}
			b.end()
		})
	}
}
