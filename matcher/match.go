package matcher

import (
	"slices"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Hit is one rule whose condition held.
type Hit struct {
	Rule       *Rule
	Suppressed *Suppression // the suppression that covers the match, or nil
	// Member and Tag, where Rule is a correlation's: which of its Members matched.
	Member *Member
	Tag    int
}

// Matcher matches events. One goroutine owns it.
type Matcher struct {
	rs    *Ruleset
	eval  evaluator
	event uint64    // number of the current event
	found []int32   // candidates
	scans []scanned // by path
	name  []byte    // folded event name
	stats matchStats
}

// MatcherOptions of NewMatcherWith. The zero value is the default.
type MatcherOptions struct { //nolint:revive // Options are the Ruleset's
	// Now returns a monotonic time in nanoseconds, for sampling what rules cost.
	// Nil: costs are not sampled.
	Now func() int64
	// SampleEvery is how many parsed events share one sample; default 64.
	SampleEvery int
}

// NewMatcher returns a Matcher over rs.
func (rs *Ruleset) NewMatcher() *Matcher { return rs.NewMatcherWith(MatcherOptions{}) }

// NewMatcherWith returns a Matcher over rs that samples what rules cost.
func (rs *Ruleset) NewMatcherWith(o MatcherOptions) *Matcher {
	return &Matcher{
		rs:    rs,
		eval:  evaluator{enrich: rs.enrich},
		scans: make([]scanned, len(rs.index.paths)),
		stats: newMatchStats(len(rs.rules), o),
	}
}

// Match appends to dst a Hit for every enabled rule whose condition holds for
// ev, in the order of the rules' IDs; behind the Hit of a rule, or, if it is
// Silent, in its place, those of the correlations that count it. candidate says whether any rule could
// have matched: only then was the event parsed. A non-nil error means that a
// candidate does not parse: the event is invalid, and dst is returned as it
// came.
func (m *Matcher) Match(dst []Hit, ev *cloudtrail.Event) (hits []Hit, candidate bool, err error) {
	m.event++
	m.found = m.found[:0]
	m.candidates(ev)
	if len(m.found) == 0 {
		return dst, false, nil
	}
	if len(m.found) > 1 {
		slices.Sort(m.found)
		m.found = slices.Compact(m.found)
	}
	m.eval.begin()
	m.eval.document.raw = ev.Raw()
	if raw := m.rs.index.raw; raw != nil {
		m.found = slices.DeleteFunc(m.found, func(i int32) bool {
			return raw[i] && !mayHoldRaw(&m.eval, m.rs.index.conds[i])
		})
		if len(m.found) == 0 {
			return dst, false, nil
		}
	}
	v, err := ev.Parse()
	if err != nil {
		return dst, true, err
	}
	clock := m.stats.start()
	for _, i := range m.found {
		r := m.rs.rules[i]
		ok := m.rs.index.conds[i].eval(&m.eval, v)
		if ok {
			own := m.suppressed(i, ev)
			if !r.Silent {
				dst = append(dst, Hit{Rule: r, Suppressed: own})
			}
			if m.rs.fed[i] != nil {
				dst = m.feed(dst, i, own, ev)
			}
		}
		clock = m.stats.count(i, ok, clock)
	}
	return dst, true, nil
}

// suppressed returns the first suppression in force that covers a match of
// rule i. The event has been parsed.
func (m *Matcher) suppressed(i int32, ev *cloudtrail.Event) *Suppression {
	list := m.rs.suppress[i]
	if len(list) == 0 {
		return nil
	}
	v, err := ev.Parse()
	if err != nil {
		return nil
	}
	nanos, timed := ev.Time()
	for _, s := range list {
		if s.inForce(nanos, timed) && s.Cond.eval(&m.eval, v) {
			return s
		}
	}
	return nil
}
