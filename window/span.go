package window

import "sort"

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
	if p.Kind == Distinct {
		return sh.distinctSpan(e, p, i)
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

func (sh *shard) distinctSpan(e *entry, p *Policy, i int) (from, to int, ok bool) {
	r, vals := e.recs, e.values()
	if known(r, vals, p, i) {
		return 0, 0, false
	}
	from = sort.Search(i, func(k int) bool { return !apart(r[k].time, r[i].time, p.Within) })
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

// distinct counts the values.
func (sh *shard) distinct(vals []uint64) int {
	counts := sh.scratch.cleared()
	for _, v := range vals {
		counts[v]++
	}
	return len(counts)
}
