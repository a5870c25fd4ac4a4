package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/file"
	"github.com/trailtide/trailtide/sinks/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is a sink that decides about each alert by a function and keeps what
// it took.
type receiver struct {
	answer func(a *sinks.Alert) error // nil: takes everything

	mu     sync.Mutex
	took   []string
	tries  map[string]int
	writes int
	closed bool
}

func (r *receiver) Write(ctx context.Context, alerts []*sinks.Alert) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	if r.tries == nil {
		r.tries = map[string]int{}
	}
	var failed []sinks.Failure
	for i, a := range alerts {
		r.tries[a.EventID]++
		if err := ctx.Err(); err != nil {
			failed = append(failed, sinks.Failure{Index: i, Err: err})
		} else if r.answer == nil {
			r.took = append(r.took, a.EventID)
		} else if err := r.answer(a); err != nil {
			failed = append(failed, sinks.Failure{Index: i, Err: err})
		} else {
			r.took = append(r.took, a.EventID)
		}
	}
	return sinks.Partial(failed)
}

func (r *receiver) Close(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

func (r *receiver) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.took)
}

// bench is a store with an outbox and a Runner over it.
type bench struct {
	t      testing.TB
	store  *memory.Engine
	runner *Runner
	stop   func() error
}

func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	b := &bench{t: t, store: memory.New(memory.Options{})}
	o.Outbox = b.store
	b.restart(o)
	return b
}

// restart starts a Runner over the same store.
func (b *bench) restart(o Options) {
	b.t.Helper()
	if o.Outbox == nil {
		o.Outbox = b.store
	}
	r, err := New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.runner = r
	if err := r.Register(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	b.stop = func() error {
		cancel()
		return <-ended
	}
}

func (b *bench) commit(alerts ...*sinks.Alert) {
	b.t.Helper()
	txn, err := b.store.Begin(b.t.Context(), 0)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, a := range alerts {
		txn.Alert(a, true, true)
	}
	if err := txn.Commit(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) place(consumer string) engine.Place {
	b.t.Helper()
	places, err := b.store.Places(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(places, func(p engine.Place) bool { return p.Consumer == consumer })
	if i < 0 {
		b.t.Fatalf("no place of %s", consumer)
	}
	return places[i]
}

func (b *bench) end() {
	b.t.Helper()
	if err := b.stop(); err != nil {
		b.t.Error(err)
	}
	if err := b.store.Close(); err != nil {
		b.t.Error(err)
	}
}

func ids(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("e-%d", i))
	}
	return out
}

var errAway = errors.New("away")

// restore makes the memory engine ours, as a worker does before it begins.
func (b *bench) restore() {
	b.t.Helper()
	if err := b.store.Restore(b.t.Context(), 0, func(engine.Table, []byte, []byte) error { return nil }); err != nil {
		b.t.Fatal(err)
	}
}

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		reg := prometheus.NewRegistry()
		b := newBench(t, Options{Routes: []Route{{Name: "a", Sink: r, Batch: 3}}, Metrics: reg})
		b.restore()
		alerts := sinktest.Alerts(0, 10)
		for _, a := range alerts {
			a.Sinks, a.DetectedAt = nil, time.Now()
		}
		b.commit(alerts...)
		synctest.Wait()
		if got := r.received(); !slices.Equal(got, ids(0, 10)) {
			t.Errorf("received %v", got)
		}
		if p := b.place("a"); p.Unread != 0 {
			t.Errorf("place %+v", p)
		}
		b.end()
		if !r.closed {
			t.Error("the sink is not closed")
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		want := map[string]float64{
			"trailtide_sink_alerts_total delivered a": 10, "trailtide_sink_alerts_total dead a": 0,
			"trailtide_sink_alerts_total filtered a": 0, "trailtide_sink_alerts_total retried a": 0,
			"trailtide_sink_alerts_total stale a": 0, "trailtide_sink_alerts_total muted a": 0, "trailtide_sink_delivery_seconds a": 10,
			"trailtide_sink_outbox_errors_total a": 0, "trailtide_sink_queue_lag_seconds a": 0, "trailtide_sink_write_seconds a": 4,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("metrics (-want +got):\n%s", d)
		}
	})
}

// TestDeadSink: one sink is away for hours, another never waits; when it comes
// back it gets what it missed, and after the last retry the rest is in the
// dead letter.
func TestDeadSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(30 * time.Minute)
		away := &receiver{answer: func(*sinks.Alert) error {
			if time.Now().Before(back) {
				return errAway
			}
			return nil
		}}
		gone := &receiver{answer: func(*sinks.Alert) error { return errAway }}
		well := new(receiver)
		b := newBench(t, Options{Routes: []Route{{Name: "here", Sink: well}, {Name: "away", Sink: away}, {Name: "gone", Sink: gone}}})
		b.restore()
		var alerts []*sinks.Alert
		for _, a := range sinktest.Alerts(0, 20) {
			a.Sinks = nil
			alerts = append(alerts, a)
		}
		start := time.Now()
		b.commit(alerts[:10]...)
		synctest.Wait()
		b.commit(alerts[10:]...)
		synctest.Wait()
		if got := well.received(); !slices.Equal(got, ids(0, 20)) || time.Since(start) != 0 {
			t.Errorf("a sink waited %v for another; it has %v", time.Since(start), got)
		}
		if p := b.place("away"); p.Unread != 20 {
			t.Errorf("the place moved over undelivered alerts: %+v", p)
		}
		time.Sleep(32 * time.Minute)
		synctest.Wait()
		if got := away.received(); !slices.Equal(got, ids(0, 20)) {
			t.Errorf("after the outage: %v", got)
		}
		if away.writes > 120 {
			t.Errorf("%d writes to a dead sink in half an hour", away.writes)
		}
		time.Sleep(60 * time.Minute)
		synctest.Wait()
		dead, _ := b.store.DeadLetters()
		if len(dead) != 20 || dead[3].AlertID != alerts[3].AlertID || dead[3].Sink != "gone" ||
			!strings.Contains(dead[3].Reason, "time used up after") || !strings.Contains(dead[3].Reason, "away") {
			t.Errorf("%d dead letters: %+v", len(dead), dead)
		}
		if a, err := sinks.ParseAlert(dead[3].Body); err != nil || a.EventID != "e-3" {
			t.Errorf("dead letter's body: %v", err)
		}
		if p := b.place("gone"); p.Unread != 0 {
			t.Errorf("dead letters hold the place up: %+v", p)
		}
		b.end()
	})
}

// TestBadAlert: an alert that only fails itself holds up nobody, and is given
// up soon; one that is refused for good at once.
func TestBadAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(a *sinks.Alert) error {
			switch a.EventID {
			case "e-2":
				return errAway
			case "e-4":
				return sinks.Permanent(errors.New("too ugly"))
			}
			return nil
		}}
		b := newBench(t, Options{Routes: []Route{{Name: "a", Sink: r}}})
		b.restore()
		for i := range 700 { // one a second
			a := sinktest.Alert(i)
			a.Sinks = nil
			b.commit(a)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		dead, _ := b.store.DeadLetters()
		if len(dead) != 2 || !strings.Contains(dead[0].Reason, "fails alone") || !strings.Contains(dead[1].Reason, "permanent after 1 attempts: too ugly") {
			t.Errorf("dead letters %+v", dead)
		}
		if got := len(r.received()); got != 698 {
			t.Errorf("%d delivered, want 698", got)
		}
		if p := b.place("a"); p.Unread != 0 {
			t.Errorf("place %+v", p)
		}
		b.end()
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var tries []time.Duration
		r := &receiver{answer: func(*sinks.Alert) error {
			tries = append(tries, time.Since(start))
			if len(tries) < 3 {
				return &sinks.RetryAfterError{After: 90 * time.Second, Err: errAway}
			}
			return nil
		}}
		b := newBench(t, Options{Routes: []Route{{Name: "a", Sink: r}}})
		b.restore()
		a := sinktest.Alert(0)
		a.Sinks = nil
		b.commit(a)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(tries) != 3 || tries[1] < 90*time.Second || tries[1] > 95*time.Second || tries[2]-tries[1] < 90*time.Second {
			t.Errorf("tries at %v", tries)
		}
		b.end()
	})
}

// TestStates: a later state of an alert waits for the earlier one.
func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		fails := 2
		r := &receiver{answer: func(a *sinks.Alert) error {
			if a.EventID == "e-1" && fails > 0 {
				fails--
				return errAway
			}
			got = append(got, a.EventID+" "+string(a.Status))
			return nil
		}}
		b := newBench(t, Options{Routes: []Route{{Name: "a", Sink: r, Batch: 2}}})
		b.restore()
		firing, other, resolved := sinktest.Alert(1), sinktest.Alert(2), sinktest.Alert(1)
		resolved.Status = sinks.Resolved
		for _, a := range []*sinks.Alert{firing, other, resolved} {
			a.Sinks = nil
		}
		b.commit(firing, other, resolved)
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"e-2 firing", "e-1 firing", "e-1 resolved"}; !slices.Equal(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
		b.end()
	})
}

func TestStop(t *testing.T) {
	t.Run("what waits stays for the next start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{answer: func(a *sinks.Alert) error {
				if a.EventID == "e-1" {
					return errAway
				}
				return nil
			}}
			b := newBench(t, Options{Routes: []Route{{Name: "a", Sink: r}}})
			b.restore()
			alerts := sinktest.Alerts(0, 3)
			for _, a := range alerts {
				a.Sinks = nil
			}
			b.commit(alerts...)
			synctest.Wait()
			start := time.Now()
			if err := b.stop(); err != nil || time.Since(start) != 0 {
				t.Errorf("stop: %v after %v", err, time.Since(start))
			}
			if p := b.place("a"); p.Unread != 2 {
				t.Errorf("place %+v, want e-1 and e-2 unread", p)
			}
			next := new(receiver)
			b.restart(Options{Routes: []Route{{Name: "a", Sink: next}}})
			synctest.Wait()
			if got := next.received(); !slices.Equal(got, ids(1, 3)) {
				t.Errorf("the next start delivers %v", got)
			}
			b.end()
		})
	})
	t.Run("a write under way may finish", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{answer: func(*sinks.Alert) error {
				time.Sleep(5 * time.Second)
				return nil
			}}
			b := newBench(t, Options{Routes: []Route{{Name: "a", Sink: r}}})
			b.restore()
			a := sinktest.Alert(0)
			a.Sinks = nil
			b.commit(a)
			synctest.Wait()
			if err := b.stop(); err != nil || len(r.received()) != 1 || b.place("a").Unread != 0 {
				t.Errorf("stop: %v; received %v; place %+v", err, r.received(), b.place("a"))
			}
		})
	})
	t.Run("not for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			stuck := &receiver{answer: func(*sinks.Alert) error { <-release; return nil }}
			b := newBench(t, Options{Routes: []Route{{Name: "stuck", Sink: stuck}, {Name: "well", Sink: new(receiver)}}, StopTimeout: 3 * time.Second})
			b.restore()
			a := sinktest.Alert(0)
			a.Sinks = nil
			b.commit(a)
			synctest.Wait()
			start := time.Now()
			if err := b.stop(); err == nil || !strings.HasSuffix(err.Error(), ": stuck") || time.Since(start) != 5*time.Second {
				t.Errorf("stop: %v after %v", err, time.Since(start))
			}
			if b.place("stuck").Unread != 1 {
				t.Errorf("place %+v", b.place("stuck"))
			}
			close(release)
		})
	})
}

// flakyOutbox fails now and then, as a full disk does.
type flakyOutbox struct {
	*memory.Engine
	random *rand.Rand
	mu     sync.Mutex
}

func (o *flakyOutbox) fails() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.random.IntN(4) == 0
}

func (o *flakyOutbox) Read(ctx context.Context, consumer string, limit int) ([]engine.Entry, error) {
	if o.fails() {
		return nil, engine.ErrUnavailable
	}
	return o.Engine.Read(ctx, consumer, limit)
}

func (o *flakyOutbox) Done(ctx context.Context, consumer string, seq int64, dead []engine.DeadLetter) error {
	if o.fails() {
		return engine.ErrUnavailable
	}
	return o.Engine.Done(ctx, consumer, seq, dead)
}

// TestChaos: sinks that fail in every way, an outbox that fails, restarts at
// any moment. Every alert is delivered or in the dead letter, and the place is
// never above an alert that is neither.
func TestChaos(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		n := rapid.IntRange(1, 120).Draw(rt, "alerts")
		synctest.Test(t, func(t *testing.T) { chaos(t, seed, n) })
	})
}

func chaos(t *testing.T, seed uint64, n int) { //nolint:thelper // the test itself: a failure's own line counts
	random := rand.New(rand.NewPCG(seed, 1))
	fate := rand.New(rand.NewPCG(seed, 3)) // the sink's, under its lock
	sink := &receiver{}
	var b *bench
	sink.answer = func(*sinks.Alert) error {
		switch fate.IntN(10) {
		case 0, 1, 2:
			return errAway
		case 3:
			return &sinks.RetryAfterError{After: time.Duration(fate.IntN(100)) * time.Second, Err: errAway}
		case 4:
			return fmt.Errorf("%w: %w", sinks.ErrNotTried, errAway)
		case 5:
			if fate.IntN(5) == 0 {
				return sinks.Permanent(errAway)
			}
		}
		return nil
	}
	store := memory.New(memory.Options{})
	outbox := &flakyOutbox{Engine: store, random: rand.New(rand.NewPCG(seed, 2))}
	o := func() Options {
		return Options{Outbox: outbox, Routes: []Route{{Name: "a", Sink: sink, Batch: 1 + random.IntN(20)}}}
	}
	b = &bench{t: t, store: store}
	b.restart(o())
	b.restore()
	check := func() {
		t.Helper()
		fate := map[string]bool{}
		for _, id := range sink.received() {
			fate[id] = true
		}
		dead, _ := store.DeadLetters()
		for _, d := range dead {
			a, err := sinks.ParseAlert(d.Body)
			if err != nil {
				t.Fatal(err)
			}
			fate[a.EventID] = true
		}
		for i := range int(b.place("a").Seq) {
			if id := fmt.Sprintf("e-%d", i); !fate[id] {
				t.Fatalf("seed %d: the place is above %s, which is neither delivered nor dead", seed, id)
			}
		}
	}
	for i := range n {
		a := sinktest.Alert(i)
		a.Sinks = nil
		b.commit(a)
		if random.IntN(3) == 0 {
			time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
			synctest.Wait()
			check()
		}
		if random.IntN(30) == 0 {
			_ = b.stop() // a write that was cut off is no failure of the test
			check()
			b.restart(o())
		}
	}
	time.Sleep(5 * time.Hour)
	synctest.Wait()
	check()
	if p := b.place("a"); p.Unread != 0 {
		t.Errorf("seed %d: %d alerts are without a fate", seed, p.Unread)
	}
	b.end()
}

func TestFilter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	alert := func(change func(*sinks.Alert)) *sinks.Alert {
		a := &sinks.Alert{RuleID: "iam-key", Severity: "high", Status: sinks.Firing, LastTime: now.Add(-time.Hour)}
		change(a)
		return a
	}
	plain := alert(func(*sinks.Alert) {})
	tests := []struct {
		name string
		f    Filter
		a    *sinks.Alert
		want verdict
	}{
		{"all", Filter{}, plain, send},
		{"suppressed", Filter{}, alert(func(a *sinks.Alert) { a.Status = sinks.Suppressed }), filtered},
		{"the rule asks for it", Filter{}, alert(func(a *sinks.Alert) { a.Sinks = []string{"other", "here"} }), send},
		{"the rule asks for another", Filter{}, alert(func(a *sinks.Alert) { a.Sinks = []string{"other"} }), filtered},
		{"severe enough", Filter{MinSeverity: "high"}, plain, send},
		{"too mild", Filter{MinSeverity: "critical"}, plain, filtered},
		{"of no known severity", Filter{MinSeverity: "critical"}, alert(func(a *sinks.Alert) { a.Severity = "odd" }), send},
		{"rule", Filter{Rules: []string{"s3-*", "iam-*"}}, plain, send},
		{"not the rule", Filter{Rules: []string{"s3-*"}}, plain, filtered},
		{"excluded", Filter{Rules: []string{"*"}, ExcludeRules: []string{"iam-key"}}, plain, filtered},
		{"status", Filter{Statuses: []sinks.Status{sinks.Firing}}, plain, send},
		{"not the status", Filter{Statuses: []sinks.Status{sinks.Resolved}}, plain, filtered},
		{"young", Filter{MaxAge: 2 * time.Hour}, plain, send},
		{"stale", Filter{MaxAge: time.Minute}, plain, stale},
		{"without a time", Filter{MaxAge: time.Minute}, alert(func(a *sinks.Alert) { a.LastTime = time.Time{} }), send},
	}
	for _, tt := range tests {
		if got := tt.f.judge("here", tt.a, now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOptions(t *testing.T) {
	_, err := New(Options{Routes: []Route{
		{},
		{Name: "a", Sink: new(receiver), Batch: -1, Filter: Filter{MinSeverity: "x", Rules: []string{"["}, Statuses: []sinks.Status{"suppressed"}, MaxAge: -1}},
		{Name: "a", Sink: new(receiver), Retry: sinks.RetryPolicy{MaxAttempts: -1}},
	}})
	for _, want := range []string{"route 0", "used twice", "batch", "min_severity", `"["`, "statuses", "max_age", "max_attempts", "an outbox"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told: %v", want, err)
		}
	}
}

// TestRealSink runs a lane into a file.
func TestRealSink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.ndjson")
	synctest.Test(t, func(t *testing.T) {
		f, err := file.New(file.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, Options{Routes: []Route{{Name: "here", Sink: f}, {Name: "there", Sink: new(receiver)}}})
		b.restore()
		b.commit(sinktest.Alerts(0, 50)...) // they ask for "here"
		synctest.Wait()
		b.end()
	})
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, a := range sinktest.Alerts(0, 50) {
		want = append(a.AppendLine(want), '\n')
	}
	if !bytes.Equal(written, want) {
		t.Errorf("the file holds %q", written)
	}
}
