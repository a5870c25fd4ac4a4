package alerting

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/window"
)

// DefaultMaxSeen is Options.MaxSeen where it is not set.
const DefaultMaxSeen = 1_000_000

// Options of a Stage. Zero values are the defaults.
type Options struct {
	Lateness    time.Duration // how far behind its partition an event may be; default 15 m
	DedupWindow time.Duration // how long identities of plain alerts are remembered; default 24 h
	MaxSeen     int           // identities remembered at most; default 1,000,000
	SaveAll     bool          // keep the alerts of rules with "save: false", too
	Quiet       bool          // alerts are kept, and nobody is told
	Delays      bool          // alerts say how long after their event time they were made
	// Lookup finds events that are Archived, by their offset in a partition: nil
	// where there is none any more. An error that is engine.ErrUnavailable is worth another try.
	Lookup  func(ctx context.Context, partition int, offsets []int64) ([]*Event, error)
	Windows window.Options
}

func (o *Options) setDefaults() {
	if o.Lateness <= 0 {
		o.Lateness = 15 * time.Minute
	}
	if o.DedupWindow <= 0 {
		o.DedupWindow = 24 * time.Hour
	}
	if o.MaxSeen <= 0 {
		o.MaxSeen = DefaultMaxSeen
	}
}

// Stage owns one partition of window state.
//
// The life of an interval: Begin, any number of Apply, Open, Idle, Close and
// Advance, then Flush, then the transaction's Commit, then Committed or
// RolledBack.
type Stage struct {
	opts   Options
	eng    engine.Engine
	part   int
	store  *window.Store
	seen   *window.Seen
	marks  *window.Watermark
	rules  *ruleBook
	txn    engine.Txn
	counts Counts // of the open interval
	now    time.Time
	key    []byte // scratch: window key
	note   note

	fired   []window.Firing      // scratch
	derived map[derived][][]byte // firings of the open interval that count as matches: evidence keys
}

// Open takes partition p of eng over and restores its state.
func Open(ctx context.Context, eng engine.Engine, p int, o Options) (*Stage, error) {
	o.setDefaults()
	store, err := window.NewStore(o.Windows)
	if err != nil {
		return nil, fmt.Errorf("make the window store: %w", err)
	}
	s := &Stage{
		opts: o, eng: eng, part: p,
		store: store,
		seen:  window.NewSeen(o.MaxSeen),
		marks: window.NewWatermark(o.Lateness),
		rules: newRuleBook(), derived: make(map[derived][][]byte),
	}
	if err := eng.Restore(ctx, p, s.load); err != nil {
		return nil, fmt.Errorf("restore window state of partition %d: %w", p, err)
	}
	s.Advance(false) // to the restored watermark
	return s, nil
}

// Keys in the Meta table.
const (
	metaWatermark = "watermark"
	metaRule      = "rule/"
	metaNote      = "note"
)

func (s *Stage) load(t engine.Table, key, value []byte) error {
	switch t {
	case engine.Windows:
		return s.store.Load(key, value)
	case engine.Seen:
		return s.seen.Load(key, value)
	case engine.Meta:
		switch {
		case string(key) == metaWatermark:
			return s.marks.Load(value)
		case string(key) == metaNote:
			s.note.load(value)
			return nil
		case len(key) == len(metaRule)+16 && string(key[:len(metaRule)]) == metaRule:
			return s.rules.load(string(key[len(metaRule):]), value)
		}
		return fmt.Errorf("state has an entry %q that this version does not know", key)
	case engine.Evidence:
		return nil // looked up when asked for
	}
	return fmt.Errorf("state has table %d, which this version does not know", t)
}

// Begin opens the transaction of an interval. now is the wall clock that its
// alerts carry.
func (s *Stage) Begin(ctx context.Context, now time.Time) error {
	txn, err := s.eng.Begin(ctx, s.part)
	if err != nil {
		return fmt.Errorf("begin a transaction of partition %d: %w", s.part, err)
	}
	s.txn = txn
	s.counts, s.now = Counts{}, now.UTC()
	return nil
}

// Txn is the open transaction, for the positions and dead letters that belong
// to the interval.
func (s *Stage) Txn() engine.Txn { return s.txn }

// Partition opens a source partition that holds the watermark at floor until
// its records move it; a known partition is left where it stands.
func (s *Stage) Partition(name string, floor int64) { s.marks.Open(name, floor) }

// Reached says that a source partition's event time is at least t.
func (s *Stage) Reached(name string, t int64) { s.marks.Observe(name, t) }

// Idle says that a source partition's reader stood at its end at wall clock t.
func (s *Stage) Idle(name string, t int64) { s.marks.Idle(name, t) }

// Resume opens every source partition that the restored state knows, at its
// time: it holds the watermark until somebody tells more of it, or closes it.
// Not to be called within an interval: it is not undone.
func (s *Stage) Resume() {
	s.marks.Resume()
	s.marks.Commit()
}

// Partitions are the source partitions that the state knows.
func (s *Stage) Partitions() []string { return s.marks.Partitions() }

// Learn keeps a rule whose matches are to come, with the state.
func (s *Stage) Learn(r *Rule) { s.rules.learn(r) }

// Rule is a rule that is known by its hash, or nil.
func (s *Stage) Rule(hash uint64) *Rule { return s.rules.get(hash) }

// Closed says that a source partition is finished, or not ours any more.
func (s *Stage) Closed(name string) { s.marks.Close(name) }

// Advance fires what is due. live says that the source is connected and read
// to its end: only then does absence fire.
func (s *Stage) Advance(live bool) {
	s.advance(live)
	s.seen.Advance(s.marks.Value())
}

// Apply counts one event's matches. The event is retained.
func (s *Stage) Apply(ev *Event) {
	if ev.Reached != math.MinInt64 {
		s.marks.Observe(ev.Partition, ev.Reached)
		s.advance(false)
	}
	fresh, late, untimed, conflict, ungrouped := false, false, false, false, false
	for i := range ev.Matches {
		m := &ev.Matches[i]
		s.counts.rule(m.Rule.ID).Matches++
		if m.Suppressed != nil && (m.Rule.Policy == nil || !m.Suppressed.OnKey) {
			s.counts.rule(m.Rule.ID).Suppressed++
		}
		var outcome window.Outcome
		switch {
		case m.Rule.Policy == nil:
			outcome = s.plain(ev, m)
		case m.Suppressed != nil && !m.Suppressed.OnKey:
			outcome = window.Counted // ignored: does not count towards the threshold
		case m.NoGroup:
			ungrouped = true
			outcome = window.Counted // matched, without a group to count in
		case m.NoValue:
			outcome = window.Counted // matched, without a value to count
		case !ev.Timed:
			untimed = true
			outcome = window.Counted
		default:
			outcome = s.threshold(ev, m)
		}
		switch outcome {
		case window.Counted:
			fresh = true
		case window.Late:
			fresh, late = true, true
		case window.Refused, window.Noted:
			fresh = true
		case window.Conflict:
			conflict = true
		case window.Duplicate:
		}
	}
	s.counts.Matched += int64(ev.Folded)
	if ev.Secondary {
		return
	}
	if fresh {
		s.counts.Matched++
	} else {
		s.counts.Duplicate++
	}
	s.counts.Late += one(late)
	s.counts.Untimed += one(untimed)
	s.counts.Ungrouped += one(ungrouped)
	s.counts.Conflicts += one(conflict)
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (s *Stage) plain(ev *Event, m *Match) window.Outcome {
	id := plainID(m.Rule.ID, ev.Identity)
	forget := s.marks.Value()
	if ev.Timed {
		forget = max(forget, ev.Time)
	}
	if forget == math.MinInt64 {
		forget = 0
	}
	forget += int64(s.opts.DedupWindow)
	outcome := s.seen.Observe(window.ID(id), ev.Sum, forget)
	if outcome != window.Counted {
		return outcome
	}
	a := plainAlert(id, ev, m)
	a.DetectedAt = s.now
	s.delay(a)
	s.txn.Alert(a, m.Rule.Save || s.opts.SaveAll, m.Suppressed == nil && !s.opts.Quiet)
	s.counts.alert(m.Rule.ID, a.Status, ev.Arrived)
	return outcome
}

func (s *Stage) threshold(ev *Event, m *Match) window.Outcome {
	s.rules.know(m.Rule)
	s.key = appendWindowKey(s.key[:0], m.Rule.Hash, m.Key)
	outcome := s.store.Observe(&window.Match{
		Key: s.key, Policy: *m.Rule.Policy,
		Time: ev.Time, ID: window.ID(ev.Identity), Sum: ev.Sum, Value: m.Value,
	})
	s.putEvidence(ev, m, outcome)
	s.feed()
	return outcome
}

// putEvidence keeps what an alert may tell of a match that counted.
func (s *Stage) putEvidence(ev *Event, m *Match, outcome window.Outcome) {
	if outcome != window.Counted {
		return
	}
	e := evidence{summary: ev.Summary, position: ev.Position, raw: ev.Raw, archived: ev.Archived, offset: ev.Offset}
	if m.Suppressed != nil {
		e.suppression = m.Suppressed.Reason
	}
	s.txn.Put(engine.Evidence, evidenceKey(s.key, window.ID(ev.Identity)), e.append(nil))
	s.counts.arrived(ev.Arrived)
}

// Flush puts everything that the interval changed into the transaction.
func (s *Stage) Flush(ctx context.Context) error {
	if err := s.drain(ctx); err != nil {
		return err
	}
	put := func(t engine.Table) func(key, state []byte) {
		return func(key, state []byte) {
			if state == nil {
				s.txn.Delete(t, clone(key))
				return
			}
			s.txn.Put(t, clone(key), clone(state))
		}
	}
	s.store.Dirty(put(engine.Windows))
	s.seen.Dirty(put(engine.Seen))
	if s.marks.Dirty() {
		s.txn.Put(engine.Meta, []byte(metaWatermark), s.marks.AppendState(nil))
	}
	s.rules.flush(s.txn)
	s.note.flush(s.txn)
	return nil
}

func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }

// Committed ends the interval: what it changed stays. It returns the
// interval's counts.
func (s *Stage) Committed() Counts {
	s.store.Commit()
	s.seen.Commit()
	s.marks.Commit()
	s.rules.commit()
	s.note.commit()
	clear(s.derived)
	s.txn = nil
	return s.counts
}

// RolledBack ends the interval: memory is as it was at Begin, and the same
// events may be applied again.
func (s *Stage) RolledBack() {
	s.store.Rollback()
	s.seen.Rollback()
	s.marks.Rollback()
	s.rules.rollback()
	s.note.rollback()
	clear(s.derived)
	s.txn = nil
	s.counts = Counts{}
}

// Watermark is how far event time is known to be complete, Unix nanoseconds.
func (s *Stage) Watermark() int64 { return s.marks.Value() }

// Windows says what the window store holds.
func (s *Stage) Windows() window.Stats { return s.store.Stats() }

// Remembered is how many identities of plain alerts are remembered.
func (s *Stage) Remembered() int { return s.seen.Len() }
