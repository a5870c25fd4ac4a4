package window

import "math/bits"

// tagCounts counts the members of a span that have each tag.
type tagCounts struct {
	of [MaxTags]int32
	n  int // tags that some member has
}

func (c *tagCounts) add(set uint64) {
	for ; set != 0; set &= set - 1 {
		t := bits.TrailingZeros64(set)
		if c.of[t]++; c.of[t] == 1 {
			c.n++
		}
	}
}

func (c *tagCounts) remove(set uint64) {
	for ; set != 0; set &= set - 1 {
		t := bits.TrailingZeros64(set)
		if c.of[t]--; c.of[t] == 0 {
			c.n--
		}
	}
}

// togetherSpan finds a span with N tags.
func togetherSpan(e *entry, p *Policy, i int) (from, to int, ok bool) {
	r, vals := e.recs, e.values()
	if known(r, vals, p, i) {
		return 0, 0, false
	}
	var tags tagCounts
	from = reach(r, p, i)
	for k := from; k < i; k++ {
		tags.add(vals[k])
	}
	for to = i; to < len(r) && !apart(r[i].time, r[to].time, p.Within); to++ {
		tags.add(vals[to])
		for ; apart(r[from].time, r[to].time, p.Within); from++ {
			tags.remove(vals[from])
		}
		if tags.n >= p.N {
			return from, to, true
		}
	}
	return 0, 0, false
}

// orderedSpan finds a span with the tags 0 to N-1 in that order. Members of one
// time are in any order that is wanted, and one member may have several tags.
func orderedSpan(e *entry, p *Policy, i int) (from, to int, ok bool) {
	r, vals := e.recs, e.values()
	if i > 0 && i == len(r)-1 && vals[i-1] == vals[i] && !apart(r[i-1].time, r[i].time, p.Within) {
		return 0, 0, false // whatever ends with it could have ended with the one before
	}
	var (
		start [MaxTags]int32 // of tags 0 to t in order: where the latest such sequence begins
		have  uint64         // there is one
		last  = p.N - 1
	)
	for k := reach(r, p, i); k < len(r) && (r[k].time <= r[i].time || !apart(r[i].time, r[k].time, p.Within)); {
		first, set := k, uint64(0)
		for ; k < len(r) && r[k].time == r[first].time; k++ {
			set |= vals[k]
		}
		follow(&start, &have, set, p.N, int32(first))
		if have>>last&1 != 0 && !apart(r[start[last]].time, r[first].time, p.Within) {
			return int(start[last]), k - 1, true
		}
	}
	return 0, 0, false
}

// follow goes on by the members of one time, the first of which is at.
func follow(start *[MaxTags]int32, have *uint64, set uint64, n int, at int32) {
	for t := range n {
		switch {
		case set>>t&1 == 0:
		case t == 0:
			start[0] = at
			*have |= 1
		case *have>>(t-1)&1 != 0:
			start[t] = start[t-1]
			*have |= 1 << t
		}
	}
}

// unneeded finds up to most members of recs[lo:hi], oldest first, that no
// ordered span needs: of those that nothing can come before any more, all but
// the ones that make the latest beginnings.
func unneeded(e *entry, p *Policy, lo, hi, most int, watermark int64) []int {
	r, vals := e.recs, e.values()
	var (
		start [MaxTags]int32
		chain [MaxTags][]int // the members of the sequence that start speaks of
		have  uint64
	)
	end := lo
	for end < hi && r[end].time < watermark {
		first, set := end, uint64(0)
		for ; end < hi && r[end].time == r[first].time; end++ {
			set |= vals[end]
		}
		follow(&start, &have, set, p.N, int32(first))
		for t := range p.N {
			if set>>t&1 == 0 || have>>t&1 == 0 {
				continue
			}
			k := first
			for vals[k]>>t&1 == 0 {
				k++
			}
			var before []int
			if t > 0 {
				before = chain[t-1]
			}
			chain[t] = append(append([]int(nil), before...), k)
		}
	}
	needed := make([]bool, end-lo)
	for t := range p.N {
		for _, k := range chain[t] {
			needed[k-lo] = true
		}
	}
	var drop []int
	for k := lo; k < end && len(drop) < most; k++ {
		if !needed[k-lo] {
			drop = append(drop, k)
		}
	}
	return drop
}
