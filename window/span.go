package window

import (
	"math/bits"
	"sort"
)

// scratch is memory that is used over and over.
type scratch struct {
	counts map[uint64]int32
	next   []int32
}

func (s *scratch) cleared() map[uint64]int32 {
	if s.counts == nil || len(s.counts) > 1024 {
		s.counts = make(map[uint64]int32)
	} else {
		clear(s.counts)
	}
	return s.counts
}

// span looks for a span of at most Within, with member i in it, that satisfies
// the policy, and answers the first that does: from is its first member, to the
// member that completes it. This is the one place that says what a span must
// hold. Spans without i were looked at when their members came.
func (sh *shard) span(e *entry, p *Policy, i int) (from, to int, ok bool) {
	if p.Kind != Count {
		return sh.valueSpan(e, p, i)
	}
	r := e.recs
	for to = max(i, p.N-1); to < len(r) && to < i+p.N; to++ {
		if apart(r[i].time, r[to].time, p.Within) {
			break
		}
		if from = to - p.N + 1; !apart(r[from].time, r[to].time, p.Within) {
			return from, to, true
		}
	}
	return 0, 0, false
}

// valueSpan is span for the policies that are about more than the number of
// matches. No span satisfies those that are judged when the watermark has come.
func (sh *shard) valueSpan(e *entry, p *Policy, i int) (from, to int, ok bool) {
	switch p.Kind {
	case Distinct:
		return sh.distinctSpan(e, p, i)
	case Together:
		return togetherSpan(e, p, i)
	case InOrder:
		return orderedSpan(e, p, i)
	case Sum:
		return sumSpan(e, p, i)
	default:
		return 0, 0, false
	}
}

func (sh *shard) distinctSpan(e *entry, p *Policy, i int) (from, to int, ok bool) {
	r, vals := e.recs, e.values()
	if known(r, vals, p, i) {
		return 0, 0, false
	}
	from = reach(r, p, i)
	counts := sh.scratch.cleared()
	for k := from; k < i; k++ {
		counts[vals[k]]++
	}
	for to = i; to < len(r) && !apart(r[i].time, r[to].time, p.Within); to++ {
		counts[vals[to]]++
		for ; apart(r[from].time, r[to].time, p.Within); from++ {
			if counts[vals[from]]--; counts[vals[from]] == 0 {
				delete(counts, vals[from])
			}
		}
		if len(counts) >= p.N {
			return from, to, true
		}
	}
	return 0, 0, false
}

// reach is the first member that lies at most Within before member i.
func reach(r []rec, p *Policy, i int) int {
	return sort.Search(i, func(k int) bool { return !apart(r[k].time, r[i].time, p.Within) })
}

// known says that member i brings no span a value that it did not have: each
// span with i in it holds the same value before i or after i as well.
func known(r []rec, vals []uint64, p *Policy, i int) bool {
	before := i - 1
	for before >= 0 && vals[before] != vals[i] && !apart(r[before].time, r[i].time, p.Within) {
		before--
	}
	if before < 0 || apart(r[before].time, r[i].time, p.Within) {
		return false
	}
	if i == len(r)-1 {
		return true // the widest span that ends at i has it from before
	}
	next := i + 1
	for next < len(r) && vals[next] != vals[i] && !apart(r[before].time, r[next].time, p.Within) {
		next++
	}
	return next < len(r) && vals[next] == vals[i] && !apart(r[before].time, r[next].time, p.Within)
}

// distinct counts the values or tags, where the policy is about them.
func (sh *shard) distinct(p *Policy, vals []uint64) int {
	switch {
	case p.tagged():
		set := uint64(0)
		for _, v := range vals {
			set |= v
		}
		return bits.OnesCount64(set)
	case p.Kind != Distinct && p.Kind != PeakDistinct:
		return 0
	}
	counts := sh.scratch.cleared()
	for _, v := range vals {
		counts[v]++
	}
	return len(counts)
}
