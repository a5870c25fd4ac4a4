package pipeline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list is a Source over payloads in memory: one partition, positions are counts.
type list struct {
	payloads []string
	next     int
	batch    int
	read     func(at int) // called before each batch
}

func (s *list) Start(_ context.Context, committed map[string][]byte) error {
	if p := committed["list"]; p != nil {
		s.next = int(binary.BigEndian.Uint64(p))
	}
	return nil
}

func (s *list) Read(ctx context.Context) (*Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.read != nil {
		s.read(s.next)
	}
	b := &Batch{Places: &listPlaces{s.next}, Live: true}
	if s.next == 0 {
		b.Open = []PartitionTime{{Partition: "list", Time: math.MinInt64}}
	}
	for len(b.Records) < s.batch && s.next < len(s.payloads) {
		b.Records = append(b.Records, Record{Partition: "list", Payload: []byte(s.payloads[s.next]), Index: -1})
		s.next++
	}
	if len(b.Records) == 0 {
		return nil, io.EOF
	}
	b.Release = func() {
		for i := range b.Records {
			clear(b.Records[i].Payload) // whatever still points there shows
		}
	}
	return b, nil
}

func (s *list) Committed(map[string][]byte)   {}
func (s *list) Close(_ context.Context) error { return nil }

type listPlaces struct{ first int }

func (p *listPlaces) Position(i int) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(p.first+i+1))
}
func (p *listPlaces) Label(i int) string { return "list:" + strconv.Itoa(p.first+i+1) }

const testRules = `
rules:
  - id: stop-logging
    title: Trail stopped
    severity: high
    match: {eventName: StopLogging}
    tests: []
  - id: failures
    title: Failed logins
    severity: medium
    match: {eventName: ConsoleLogin, responseElements.ConsoleLogin: Failure}
    threshold: {count: 5, window: 1m, group_by: [userIdentity.userName]}
  - id: many-sources
    title: One user from many places
    severity: low
    match: {eventName: ConsoleLogin}
    threshold: {distinct: {field: sourceIPAddress, count: 4}, window: 2m, group_by: [userIdentity.userName]}
`

func compile(tb testing.TB, src string) *matcher.Ruleset {
	tb.Helper()
	rules, suppress, err := native.Parse("test.yaml", []byte(src))
	if err != nil {
		tb.Fatal(err)
	}
	rs, err := matcher.Compile(rules, matcher.Options{Suppress: suppress})
	if err != nil {
		tb.Fatal(err)
	}
	return rs
}

// traffic makes n events, some of which match, some of which come twice or late
// or are broken.
func traffic(r *rand.Rand, n int) []string {
	var out []string
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for i := range n {
		at := start.Add(time.Duration(i)*2*time.Second - time.Duration(r.IntN(600))*time.Second)
		name, extra := "DescribeInstances", ""
		switch r.IntN(12) {
		case 0:
			name = "StopLogging"
		case 1, 2, 3:
			name, extra = "ConsoleLogin", `,"responseElements":{"ConsoleLogin":"Failure"}`
		case 4:
			name, extra = "ConsoleLogin", `,"responseElements":{"ConsoleLogin":"Success"}`
		}
		ev := fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"u%d"},"eventTime":%q,"eventSource":"x.amazonaws.com","eventName":%q,"awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.%d","eventID":"id-%d","recipientAccountId":"111122223333"%s}`,
			r.IntN(4), at.Format(time.RFC3339), name, r.IntN(9), i, extra)
		switch r.IntN(20) {
		case 0:
			out = append(out, ev, ev)
		case 1:
			out = append(out, ev[:len(ev)/2])
		default:
			out = append(out, ev)
		}
		if r.IntN(10) == 0 {
			out = append(out, out[r.IntN(len(out))])
		}
	}
	return out
}

// settled is what two runs are compared by.
func settled(tb testing.TB, e *memory.Engine) []string {
	tb.Helper()
	var out []string
	for a, err := range e.List(tb.Context(), alertstore.Filter{OldestFirst: true}) {
		if err != nil {
			tb.Fatal(err)
		}
		ids := slices.Clone(a.EventIDs)
		slices.Sort(ids)
		group := make([]string, 0, len(a.Group))
		for k, v := range a.Group {
			group = append(group, k+"="+*v)
		}
		slices.Sort(group)
		out = append(out, fmt.Sprintf("%s %s %s %s %s %d %s", a.AlertID, a.RuleID, group, a.FirstTime, a.LastTime, a.Count, strings.Join(ids, ",")))
	}
	slices.Sort(out)
	return out
}

func work(tb testing.TB, src Source, eng engine.Engine, rs *matcher.Ruleset, every int) Summary {
	tb.Helper()
	w, err := New(Options{Source: src, Engine: eng, Rules: rs, CommitEvents: every, Lanes: 3, CommitEvery: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.Run(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	s := w.Summary()
	if s.Read != s.Invalid+s.Matched+s.Duplicate+s.Unmatched {
		tb.Errorf("accounting: read %d is not invalid %d + matched %d + duplicate %d + unmatched %d", s.Read, s.Invalid, s.Matched, s.Duplicate, s.Unmatched)
	}
	return s
}

func TestAbortsChangeNothing(t *testing.T) {
	rs := compile(t, testRules)
	payloads := traffic(rand.New(rand.NewPCG(1, 2)), 3000)
	calm := memory.New(memory.Options{})
	want := work(t, &list{payloads: payloads, batch: 50}, calm, rs, 20)
	if want.Matched == 0 || want.Invalid == 0 || want.Duplicate == 0 || want.Unmatched == 0 {
		t.Fatalf("the traffic does not have every class: %+v", want.Tally)
	}
	if n := len(settled(t, calm)); n < 100 {
		t.Fatalf("only %d alerts", n)
	}
	for _, nth := range []int{1, 2, 3, 7} {
		t.Run(strconv.Itoa(nth), func(t *testing.T) {
			eng := memory.New(memory.Options{})
			got := work(t, &list{payloads: payloads, batch: 50}, &faulty{Engine: eng, nth: nth}, rs, 20)
			if diff := cmp.Diff(settled(t, calm), settled(t, eng)); diff != "" {
				t.Errorf("alerts differ (-calm +aborted):\n%s", diff)
			}
			if diff := cmp.Diff(want.Tally, got.Tally); diff != "" {
				t.Errorf("accounting differs:\n%s", diff)
			}
		})
	}
}

// TestRestarts stops the worker again and again in mid-stream and goes on with
// a new one over the same store.
func TestRestarts(t *testing.T) {
	rs := compile(t, testRules)
	payloads := traffic(rand.New(rand.NewPCG(3, 4)), 2000)
	calm := memory.New(memory.Options{})
	work(t, &list{payloads: payloads, batch: 20}, calm, rs, 10)

	store := memory.NewStore()
	r := rand.New(rand.NewPCG(5, 6))
	for runs := 0; ; runs++ {
		if runs > 1000 {
			t.Fatal("no progress")
		}
		eng := memory.New(memory.Options{Store: store})
		ctx, cancel := context.WithCancel(t.Context())
		src := &list{payloads: payloads, batch: 20}
		left := 1 + r.IntN(20)
		src.read = func(int) {
			if left--; left == 0 {
				cancel()
			}
		}
		w, err := New(Options{Source: src, Engine: eng, Rules: rs, CommitEvents: 10, Lanes: 2, CommitEvery: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(ctx); err != nil {
			t.Fatal(err)
		}
		done := ctx.Err() == nil
		cancel()
		if done {
			if diff := cmp.Diff(settled(t, calm), settled(t, eng)); diff != "" {
				t.Errorf("alerts differ (-calm +restarted):\n%s", diff)
			}
			if err := eng.Close(); err != nil {
				t.Fatal(err)
			}
			return
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStopBeforeTheStart: a stop that comes before the worker has begun is one.
func TestStopBeforeTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, err := New(Options{Source: &list{payloads: []string{"{}"}, batch: 1}, Engine: memory.New(memory.Options{}), Rules: compile(t, testRules)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(ctx); err != nil {
		t.Error(err)
	}
}

// TestFailingStore lets the store fail in mid-stream: reading stops, the worker
// is not ready and says why; once the store is back it goes on and skips nothing.
func TestFailingStore(t *testing.T) {
	rs := compile(t, testRules)
	payloads := traffic(rand.New(rand.NewPCG(7, 8)), 2000)
	calm := memory.New(memory.Options{})
	work(t, &list{payloads: payloads, batch: 20}, calm, rs, 10)

	store := memory.NewStore()
	eng := memory.New(memory.Options{Store: store})
	src := &list{payloads: payloads, batch: 20}
	var read atomic.Int64
	src.read = func(at int) {
		read.Store(int64(at))
		if at == 400 {
			store.Fail(errors.New("no space left on device"))
		}
	}
	w, err := New(Options{Source: src, Engine: eng, Rules: rs, CommitEvents: 10, Lanes: 2, CommitEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if w.Ready() == nil {
		t.Error("ready before it runs")
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(t.Context()) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		if err := w.Ready(); err != nil && strings.Contains(err.Error(), "no space left") {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("the worker ended: %v", err)
		case <-deadline:
			t.Fatal("the worker stays ready")
		case <-tick.C:
		}
	}
	if at := read.Load(); at > 1000 {
		t.Errorf("reading went on to %d", at)
	}
	store.Fail(nil)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settled(t, calm), settled(t, eng)); diff != "" {
		t.Errorf("alerts differ (-calm +failing):\n%s", diff)
	}
}

// faulty aborts every n-th commit, and finds the store unavailable before it.
type faulty struct {
	engine.Engine
	nth, n int
}

func (f *faulty) Begin(ctx context.Context, p int) (engine.Txn, error) {
	txn, err := f.Engine.Begin(ctx, p)
	return &faultyTxn{txn, f, 0}, err
}

type faultyTxn struct {
	engine.Txn
	f     *faulty
	tried int
}

func (t *faultyTxn) Commit(ctx context.Context) error {
	t.tried++
	if t.tried == 1 && t.f.n%5 == 0 {
		t.f.n++
		return fmt.Errorf("disk full: %w", engine.ErrUnavailable)
	}
	t.f.n++
	if t.f.n%(t.f.nth+1) != 0 {
		return t.Txn.Commit(ctx)
	}
	return errors.Join(engine.ErrAborted, t.Abort(ctx))
}
