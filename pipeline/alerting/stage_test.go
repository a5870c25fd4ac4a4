package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/sinks"
)

// bench drives one Stage by hand: events in, told alerts out.
type bench struct {
	t     *testing.T
	store *memory.Store
	eng   *memory.Engine
	stage *Stage
	rules *matcher.Ruleset
	opts  Options
	next  int
	live  map[engine.Table]map[string]bool // entries that committed transactions left
}

// ledger is the memory engine, with a record of the entries that are there.
type ledger struct {
	*memory.Engine
	live map[engine.Table]map[string]bool
}

func (l *ledger) Begin(ctx context.Context, p int) (engine.Txn, error) {
	txn, err := l.Engine.Begin(ctx, p)
	return &ledgerTxn{Txn: txn, l: l}, err
}

type ledgerTxn struct {
	engine.Txn
	l    *ledger
	done []func()
}

func (t *ledgerTxn) Put(table engine.Table, key, value []byte) {
	k := string(key)
	t.done = append(t.done, func() {
		if t.l.live[table] == nil {
			t.l.live[table] = make(map[string]bool)
		}
		t.l.live[table][k] = true
	})
	t.Txn.Put(table, key, value)
}

func (t *ledgerTxn) Delete(table engine.Table, key []byte) {
	k := string(key)
	t.done = append(t.done, func() { delete(t.l.live[table], k) })
	t.Txn.Delete(table, key)
}

func (t *ledgerTxn) Commit(ctx context.Context) error {
	err := t.Txn.Commit(ctx)
	if err == nil {
		for _, f := range t.done {
			f()
		}
	}
	return err
}

var t0 = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newBench(t *testing.T, rules string) *bench {
	t.Helper()
	parsed, suppress, err := native.Parse("rules.yaml", []byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := matcher.Compile(parsed, matcher.Options{Suppress: suppress})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: memory.NewStore(), rules: rs, opts: Options{Lateness: time.Minute}}
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	b.eng = memory.New(memory.Options{Store: b.store})
	if b.live == nil {
		b.live = make(map[engine.Table]map[string]bool)
	}
	stage, err := Open(b.t.Context(), &ledger{b.eng, b.live}, 0, b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.stage = stage
	b.begin()
}

func (b *bench) begin() {
	b.t.Helper()
	if err := b.stage.Begin(b.t.Context(), t0); err != nil {
		b.t.Fatal(err)
	}
	b.stage.Partition("p", -1<<62)
}

// restart commits and goes on with what is durable only, under other rules.
func (b *bench) restart(rules *matcher.Ruleset) {
	b.t.Helper()
	b.commit()
	if err := errors.Join(b.stage.Txn().Abort(b.t.Context()), b.eng.Close()); err != nil {
		b.t.Fatal(err)
	}
	b.rules = rules
	b.open()
}

// see matches one event at t0+sec and applies it.
func (b *bench) see(sec int, fields string) {
	b.t.Helper()
	b.next++
	raw := fmt.Sprintf(`{"eventName":"E","eventTime":%q,"eventID":"id-%d","recipientAccountId":"111122223333"%s}`,
		t0.Add(time.Duration(sec)*time.Second).Format(time.RFC3339), b.next, fields)
	b.apply(raw)
}

func (b *bench) apply(raw string) {
	b.t.Helper()
	var ev cloudtrail.Event
	ev.Reset([]byte(raw))
	hits, _, err := b.rules.NewMatcher().Match(nil, &ev)
	if err != nil {
		b.t.Fatal(err)
	}
	tree, err := ev.Parse()
	if err != nil {
		b.t.Fatal(err)
	}
	nanos, ok := ev.Time()
	out := &Event{
		Summary: cloudtrail.Summarize(tree), Raw: []byte(raw), Position: "p:1", Partition: "p",
		Identity: ev.Identity(), Sum: ev.Sum(), Time: nanos, HasTime: ok, Timed: ok, Reached: nanos,
	}
	out.Matches, _ = Matches(hits, RulesOf(b.rules), &ev, nil)
	if len(hits) == 0 {
		b.stage.Reached("p", nanos)
		return
	}
	b.stage.Apply(out)
}

// clock moves the partition's time and fires what is due.
func (b *bench) clock(sec int) {
	b.stage.Reached("p", t0.Add(time.Duration(sec)*time.Second).UnixNano())
	b.stage.Advance(true)
}

func (b *bench) commit() {
	b.t.Helper()
	b.flushAnd(func() error { return b.stage.Txn().Commit(b.t.Context()) })
	b.stage.Committed()
	b.begin()
}

func (b *bench) flushAnd(end func() error) {
	b.t.Helper()
	if err := b.stage.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := end(); err != nil {
		b.t.Fatal(err)
	}
}

// outbox drains what was told since the last call.
func (b *bench) outbox() (out []string) {
	b.t.Helper()
	for _, a := range b.told() {
		line := fmt.Sprintf("%s %s ×%d %v", a.RuleID, a.Status, a.Count, a.EventIDs)
		if a.Resolution != "" {
			line += " " + a.Resolution
		}
		out = append(out, line)
	}
	return out
}

func (b *bench) told() (out []*sinks.Alert) {
	b.t.Helper()
	if err := b.eng.Register(b.t.Context(), engine.FromOldest, "test"); err != nil {
		b.t.Fatal(err)
	}
	for {
		ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Millisecond)
		entries, err := b.eng.Read(ctx, "test", 100)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return out
		}
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range entries {
			out = append(out, e.Alert)
			if err := b.eng.Done(b.t.Context(), "test", e.Seq, nil); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	b.commit()
	if diff := cmp.Diff(lines, b.outbox()); diff != "" {
		b.t.Errorf("told (-want +got):\n%s", diff)
	}
}

func (b *bench) stored() []*sinks.Alert {
	b.t.Helper()
	var out []*sinks.Alert
	for a, err := range b.eng.List(b.t.Context(), alertstore.Filter{OldestFirst: true}) {
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

const countRule = `
rules:
  - id: burst
    title: Burst
    severity: high
    match: {eventName: E}
    threshold: {count: 3, window: 1m, group_by: [recipientAccountId, who], realert: 30s}
`

func TestEpisodeIsToldOnceAndResolved(t *testing.T) {
	b := newBench(t, countRule)
	b.see(0, "")
	b.see(10, "")
	b.want()
	b.see(20, "")
	b.want("burst firing ×3 [id-1 id-2 id-3]")
	b.see(30, "")
	b.want() // grew, but realert has not passed
	b.see(55, "")
	b.want("burst update ×5 [id-1 id-2 id-3 id-4 id-5]")
	b.clock(60 + 55 + 60) // the watermark stands at the last match's end
	b.want()
	b.clock(60 + 55 + 61)
	b.want("burst resolved ×5 [id-1 id-2 id-3 id-4 id-5] quiet")
	alerts := b.stored()
	if len(alerts) != 1 || alerts[0].Status != sinks.Resolved || alerts[0].Group["who"] != nil || *alerts[0].Group["recipientAccountId"] != "111122223333" {
		t.Errorf("stored: %+v", alerts)
	}
}

func TestRestartKeepsEpisodesOfRulesThatAreGone(t *testing.T) {
	b := newBench(t, countRule)
	b.see(0, "")
	b.see(1, "")
	b.see(2, "")
	b.want("burst firing ×3 [id-1 id-2 id-3]")
	other, err := matcher.Compile(nil, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.restart(other)
	b.clock(1000)
	b.want("burst resolved ×3 [id-1 id-2 id-3] quiet")
}

func TestEvidenceIsDroppedWithItsEpisode(t *testing.T) {
	b := newBench(t, countRule)
	for i := range 5 {
		b.see(i, "")
	}
	b.see(0, `,"who":"another key, that never fires"`)
	b.commit()
	if n := len(b.live[engine.Evidence]); n != 6 {
		t.Fatalf("%d evidence entries, want 6", n)
	}
	b.clock(1000)
	b.commit()
	for _, table := range []engine.Table{engine.Evidence, engine.Windows} {
		if n := len(b.live[table]); n != 0 {
			t.Errorf("%d entries are left in table %d", n, table)
		}
	}
}

func TestRolledBackIntervalIsAppliedAgain(t *testing.T) {
	b := newBench(t, countRule)
	b.see(0, "")
	b.see(1, "")
	b.commit()
	b.next = 2
	for range 3 {
		b.next = 2
		b.see(2, "")
		b.flushAnd(func() error { return b.stage.Txn().Abort(t.Context()) })
		b.stage.RolledBack()
		b.begin()
	}
	b.next = 2
	b.see(2, "")
	b.want("burst firing ×3 [id-1 id-2 id-3]")
}

func TestSuppression(t *testing.T) {
	b := newBench(t, `
suppress:
  - when: {robot: "yes"}
    reason: robots
rules:
  - id: plain
    title: Plain
    severity: low
    match: {eventName: E}
  - id: burst
    title: Burst
    severity: high
    match: {eventName: E}
    threshold: {count: 2, window: 1m, group_by: [who]}
    suppress:
      - when: {who: quiet}
        reason: known
`)
	b.see(0, `,"robot":"yes","who":"a"`)
	b.see(1, `,"robot":"yes","who":"a"`)
	b.see(2, `,"who":"a"`)
	b.see(3, `,"who":"quiet"`)
	b.see(4, `,"who":"quiet"`)
	b.want("plain firing ×1 [id-3]", "plain firing ×1 [id-4]", "plain firing ×1 [id-5]")
	var got []string
	for _, a := range b.stored() {
		if a.Status == sinks.Suppressed {
			got = append(got, fmt.Sprintf("%s ×%d %s", a.RuleID, a.Count, a.Suppression))
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"burst ×2 known", "plain ×1 robots", "plain ×1 robots"}, got); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
}

func TestAbsence(t *testing.T) {
	b := newBench(t, `
rules:
  - id: silent
    title: Silence
    severity: high
    match: {eventName: E}
    threshold: {absent_for: 10m, group_by: [who]}
`)
	b.see(0, `,"who":"a"`)
	b.see(30, `,"who":"a"`)
	b.clock(60 + 30 + 600)
	b.want()
	b.clock(60 + 30 + 601)
	b.want("silent firing ×1 [id-2]")
	b.see(900, `,"who":"a"`)
	b.want("silent resolved ×1 [id-2] returned")
	if n := len(b.live[engine.Evidence]); n != 1 {
		t.Errorf("%d evidence entries, want the newest match's", n)
	}
}

func TestDuplicateOfAPlainAlert(t *testing.T) {
	b := newBench(t, "rules: [{id: plain, title: P, severity: low, match: {eventName: E}}]")
	raw := `{"eventName":"E","eventTime":"2026-05-01T12:00:00Z","eventID":"x","recipientAccountId":"1"}`
	b.apply(raw)
	b.apply(raw)
	b.commit()
	b.restart(b.rules)
	b.apply(raw)
	b.apply(`{"eventName":"E","eventTime":"2026-05-01T12:00:00Z","eventID":"x","recipientAccountId":"1","more":1}`)
	b.flushAnd(func() error { return b.stage.Txn().Commit(t.Context()) })
	c := b.stage.Committed()
	if c.Matched != 0 || c.Duplicate != 2 || c.Conflicts != 1 {
		t.Errorf("counts %+v", c)
	}
	if n := len(b.stored()); n != 1 {
		t.Errorf("%d alerts, want 1", n)
	}
}

func TestEvidenceCodec(t *testing.T) {
	testEvidenceCodec(t, evidence{raw: []byte(`{}`), ids: []string{"one", "", "three"}})
	testEvidenceCodec(t, evidence{
		summary:  cloudtrail.Summary{EventID: "id", User: "ü", Account: "1"},
		position: "f:1", suppression: "why", raw: []byte(`{"a":1}`),
	})
}

func testEvidenceCodec(t *testing.T, e evidence) {
	t.Helper()
	b := e.append(nil)
	var got evidence
	if err := got.decode(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got, cmp.AllowUnexported(evidence{})); diff != "" {
		t.Error(diff)
	}
	for i := range b {
		if err := new(evidence).decode(b[:i]); err == nil {
			t.Errorf("a cut at %d is not noticed", i)
		}
	}
	b[0] = 9
	if err := new(evidence).decode(b); err == nil {
		t.Error("a newer format is not refused")
	}
	if !json.Valid(got.raw) {
		t.Error("the raw event is damaged")
	}
}
