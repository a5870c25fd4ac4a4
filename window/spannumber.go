package window

import (
	"cmp"
	"slices"
	"sort"
)

// sumSpan finds a span whose values add up to the least sum. None is negative,
// so that no later match takes away from it.
func sumSpan(e *entry, p *Policy, i int) (from, to int, ok bool) {
	r, vals := e.recs, e.values()
	if vals[i] == 0 {
		return 0, 0, false
	}
	from = reach(r, p, i)
	var sum wide
	for k := from; k < i; k++ {
		sum = sum.plus(int64(vals[k]))
	}
	for to = i; to < len(r) && !apart(r[i].time, r[to].time, p.Within); to++ {
		sum = sum.plus(int64(vals[to]))
		for ; apart(r[from].time, r[to].time, p.Within); from++ {
			sum = sum.minus(int64(vals[from]))
		}
		if sum.clamp() >= p.Bounds.Min {
			return from, to, true
		}
	}
	return 0, 0, false
}

// average says whether the mean of the values satisfies the bounds. It compares
// exactly: the sum with the bound times the number of values.
func average(b *Bounds, vals []uint64) bool {
	var sum wide
	for _, v := range vals {
		sum = sum.plus(int64(v))
	}
	return b.judge(func(bound int64) int { return sum.compare(times(bound, len(vals))) })
}

// percentile says whether the value at the nearest rank satisfies the bounds:
// of n values in ascending order the one at ceil(n * percent / 100), from 1. It
// compares without sorting: the value is below a bound if enough values are.
func percentile(p *Policy, vals []uint64) bool {
	rank := (uint64(len(vals))*uint64(p.Percent) + 9_999) / 10_000
	return p.Bounds.judge(func(bound int64) int {
		var below, upTo uint64
		for _, v := range vals {
			switch c := cmp.Compare(int64(v), bound); {
			case c < 0:
				below++
				upTo++
			case c == 0:
				upTo++
			}
		}
		switch {
		case below >= rank:
			return -1
		case upTo >= rank:
			return 0
		}
		return 1
	})
}

// fold halves the number of neighbours in recs[lo:hi], oldest first, until most
// are gone: the value of the later one goes to the earlier. The sum stays; when
// it was is known only to within the gap between neighbours.
func (e *entry) fold(lo, hi, most int) []int {
	vals := append(make([]uint64, 0, cap(e.recs)), e.values()...) // a before-image may read the old ones
	var drop []int
	for k := lo; k+1 < hi && len(drop) < most; k += 2 {
		vals[k] = uint64(wide{}.plus(int64(vals[k])).plus(int64(vals[k+1])).clamp())
		drop = append(drop, k+1)
	}
	e.more.vals = vals
	return drop
}

// sample takes most members of recs[lo:hi] out, those with the greatest
// identities, which are as good as random: what stays is a fair sample.
func (e *entry) sample(lo, hi, most int) []int {
	all := make([]int, hi-lo)
	for k := range all {
		all[k] = lo + k
	}
	slices.SortFunc(all, func(a, b int) int {
		return cmp.Or(-compareIDs(&e.recs[a].id, &e.recs[b].id), cmp.Compare(a, b))
	})
	drop := all[:min(most, len(all))]
	sort.Ints(drop)
	return drop
}
