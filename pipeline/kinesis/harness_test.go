package kinesis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// patience bounds every wait of a test; none takes nearly that long, unless the
// machine has much else to do.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func server(t testing.TB, o kinesistest.Options) *kinesistest.Server {
	t.Helper()
	if o.ResubscribeAfter == 0 {
		o.ResubscribeAfter = 20 * time.Millisecond
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 10 * time.Millisecond
	}
	srv := kinesistest.New(o)
	t.Cleanup(srv.Close)
	return srv
}

// quick is a timing for tests.
func quick(t *timing) {
	*t = timing{
		perSecond: 1 << 40,
		minGap:    time.Millisecond, maxGap: 20 * time.Millisecond, backoff: 2 * time.Millisecond, maxBackoff: 20 * time.Millisecond,
		call: 5 * time.Second, subscribe: 25 * time.Millisecond, renew: 300 * time.Millisecond, silence: 2 * time.Second,
		fresh: 500 * time.Millisecond, tick: 5 * time.Millisecond, lookGap: 5 * time.Millisecond, linger: 50 * time.Millisecond, keep: 400 * time.Millisecond,
	}
}

// modes runs a test with each way to read.
func modes(t *testing.T, f func(t *testing.T, mode string)) {
	t.Helper()
	for _, mode := range []string{modePolling, modeFanOut} {
		t.Run(mode, func(t *testing.T) { f(t, mode) })
	}
}

func options(srv *kinesistest.Server, mode string, streams ...string) Options {
	conf := srv.Config()
	return Options{Streams: streams, Mode: mode, Config: &conf, IdleAfter: time.Nanosecond}
}

// got is one user record as a reader saw it.
type got struct{ partition, label, payload, problem string }

// reader drives a Source as the worker does, and keeps what it told. A batch
// is committed when the next one is read, unless commits are held.
type reader struct {
	t        testing.TB
	s        *Source
	logs     *observer.ObservedLogs
	registry *prometheus.Registry

	mu        sync.Mutex
	got       []got
	positions map[string][]byte // as an engine would have committed them
	pending   map[string][]byte // not committed yet
	open      map[string]bool
	ever      map[string]int // how often a partition was opened
	from      map[string][]string
	idle      map[string]int64
	live      bool
	closed    bool
	hold      bool // commits nothing
}

func open(t testing.TB, o Options, committed map[string][]byte) *reader {
	t.Helper()
	r := prepare(t, o)
	maps.Copy(r.positions, committed)
	if err := r.s.Start(t.Context(), committed); err != nil {
		t.Fatal(err)
	}
	return r
}

// prepare makes a reader whose source is not started.
func prepare(t testing.TB, o Options) *reader {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	o.Log = zap.New(core)
	r := &reader{
		t: t, logs: logs, registry: prometheus.NewRegistry(),
		positions: map[string][]byte{}, pending: map[string][]byte{}, open: map[string]bool{}, idle: map[string]int64{}, from: map[string][]string{}, ever: map[string]int{},
	}
	o.Registerer = r.registry
	if o.ListInterval == 0 {
		o.ListInterval = time.Second
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	quick(&s.t)
	s.o.PollInterval, s.o.ListInterval = 5*time.Millisecond, 30*time.Millisecond
	t.Cleanup(r.close)
	return r
}

func (r *reader) close() {
	r.t.Helper()
	if r.closed {
		return
	}
	r.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.s.Close(ctx); err != nil {
		r.t.Errorf("close: %v", err)
	}
}

// step reads one batch and commits it.
func (r *reader) step(ctx context.Context) error {
	r.t.Helper()
	b, err := r.s.Read(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	maps.Copy(r.pending, r.note(b))
	var committed map[string][]byte
	if !r.hold { // a commit takes everything before it along
		committed, r.pending = r.pending, make(map[string][]byte)
		maps.Copy(r.positions, committed)
	}
	r.mu.Unlock()
	if b.Release != nil {
		b.Release()
	}
	if committed != nil {
		r.s.Committed(committed)
	}
	return nil
}

// note keeps what a batch tells, and returns the positions to commit.
func (r *reader) note(b *pipeline.Batch) map[string][]byte {
	for _, p := range b.Open {
		r.open[p.Partition] = true
		r.ever[p.Partition]++
	}
	maps.Copy(r.from, b.From)
	for child, parents := range b.From {
		for _, p := range parents {
			if r.ever[p] > 0 && !r.open[p] {
				r.t.Errorf("%s was closed before its child %s was open", p, child)
			}
		}
	}
	committed := maps.Clone(b.Positions)
	if committed == nil {
		committed = make(map[string][]byte)
	}
	for i, rec := range b.Records {
		if !r.open[rec.Partition] {
			r.t.Errorf("a record of %s came while it was not open", rec.Partition)
		}
		if rec.Index != -1 || rec.Arrived.IsZero() {
			r.t.Errorf("record %+v", rec)
		}
		r.got = append(r.got, got{rec.Partition, b.Places.Label(i), string(rec.Payload), rec.Problem})
		committed[rec.Partition] = b.Places.Position(i)
	}
	for _, p := range b.Idle {
		if p.Time < r.idle[p.Partition] {
			r.t.Errorf("idle time of %s goes back", p.Partition)
		}
		r.idle[p.Partition] = p.Time
	}
	for _, p := range b.Closed {
		delete(r.open, p.Partition)
		if p.Position != nil {
			committed[p.Partition] = p.Position
		}
	}
	r.live = b.Live
	return committed
}

// until reads until ok.
func (r *reader) until(what string, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for !ok() {
		if err := r.step(ctx); err != nil {
			r.t.Fatalf("waiting for %s: %v; health: %v; %d records; open %v; logs: %v",
				what, err, r.s.Health(), len(r.got), slices.Sorted(maps.Keys(r.open)), r.logs.All())
		}
	}
}

func (r *reader) untilCount(n int) {
	r.t.Helper()
	r.until(fmt.Sprint(n, " records"), func() bool { return len(r.got) >= n })
}

func (r *reader) untilLive() {
	r.t.Helper()
	r.until("being live", func() bool { return r.live })
}

// payloads are what was read, in order.
func (r *reader) payloads() []string {
	var out []string
	for _, g := range r.got {
		out = append(out, g.payload)
	}
	return out
}

func (r *reader) metric(name string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == "trailtide_kinesis_"+name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func (r *reader) logged(part string) (n int) {
	for _, e := range r.logs.All() {
		if strings.Contains(e.Message, part) {
			n++
		}
	}
	return n
}

// restart closes the reader, and opens another that knows only what was committed.
func (r *reader) restart(o Options) *reader {
	r.t.Helper()
	r.close()
	return open(r.t, o, maps.Clone(r.positions))
}

// fill puts payloads first to last under keys k0 to k9.
func fill(srv *kinesistest.Server, stream string, first, last int) {
	for n := first; n <= last; n++ {
		srv.Put(stream, fmt.Sprint("k", n%10), fmt.Appendf(nil, "k%d:%d", n%10, n))
	}
}

// checkOrder wants every number of first to last at least once, and of each key
// in order of first sight.
func checkOrder(t testing.TB, payloads []string, first, last int) {
	t.Helper()
	seen := make(map[int]bool)
	newest := make(map[string]int)
	for _, p := range payloads {
		key, num, _ := strings.Cut(p, ":")
		n := 0
		if _, err := fmt.Sscan(num, &n); err != nil {
			t.Fatalf("payload %q", p)
		}
		if seen[n] {
			continue
		}
		seen[n] = true
		if at, ok := newest[key]; ok && n < at {
			t.Errorf("%s: %d comes after %d", key, n, at)
		}
		newest[key] = n
	}
	missing := 0
	for n := first; n <= last; n++ {
		if !seen[n] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d records are missing", missing, last-first+1)
	}
}
