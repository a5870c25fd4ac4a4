package window

import "math"

// count takes a match of a threshold key in.
func (sh *shard) count(n uint32, e *entry, m *Match, watermark int64) Outcome {
	i, found := e.search(m.Time, &m.ID)
	if found {
		if e.recs[i].sum != m.Sum {
			return Conflict
		}
		return Duplicate
	}
	if m.Time < watermark {
		return Late
	}
	p := &sh.policies[e.policy]
	sh.touch(n, e)
	if p.trailing() {
		if due := p.delay(m.Time); due < e.due || len(e.recs) == 0 {
			sh.schedule(n, e, due)
		}
	}
	x, y := touching(e.episodes(), m.Time, p)
	if x < y {
		return sh.extend(e, p, m, i, x, y, watermark)
	}
	front := i == 0 && (len(e.recs) == 0 || apart(m.Time, e.recs[0].time, p.Within))
	sh.put(e, p, m, i)
	if len(e.recs) == 1 && sh.idle != nil {
		sh.idle.push(timer{at: m.Time, tie: tagOf(e.hash), n: n})
	}
	if front && !p.trailing() { // a chain of its own, before all others
		sh.schedule(n, e, p.delay(after(m.Time, p.Within)))
	}
	if from, to, ok := sh.span(e, p, i); ok {
		lo, hi := walk(e, p, i)
		ep := e.replace(x, x, episode{
			serial: e.recs[lo].id,
			first:  e.recs[lo].time,
			last:   e.recs[hi-1].time,
		})
		return sh.fire(e, p, m, ep, from, to)
	}
	if len(e.recs) > sh.maxMembers && len(e.recs) > sh.limit(p) {
		return sh.thin(e, p, m, i, watermark)
	}
	return Counted
}

// touching finds the episodes that a match at t would belong to: at most two.
func touching(eps []episode, t int64, p *Policy) (x, y int) {
	for x < len(eps) && eps[x].last < t && apart(eps[x].last, t, p.Within) {
		x++
	}
	for y = x; y < len(eps) && (eps[y].first <= t || !apart(t, eps[y].first, p.Within)); y++ {
	}
	return x, y
}

func (sh *shard) put(e *entry, p *Policy, m *Match, i int) {
	e.insert(i, rec{time: m.Time, id: m.ID, sum: m.Sum}, p.valued(), m.Value)
}

// walk finds the chain around member i by its gaps.
func walk(e *entry, p *Policy, i int) (lo, hi int) {
	return walkLeft(e, p, i), walkRight(e, p, i)
}

func walkLeft(e *entry, p *Policy, i int) int {
	for i > 0 && !apart(e.recs[i-1].time, e.recs[i].time, p.Within) {
		i--
	}
	return i
}

func walkRight(e *entry, p *Policy, i int) int {
	for i++; i < len(e.recs) && !apart(e.recs[i-1].time, e.recs[i].time, p.Within); i++ {
	}
	return i
}

// extend takes a match in that touches the episodes x to y and makes one of
// them, together with the plain chains that it joins to them.
func (sh *shard) extend(e *entry, p *Policy, m *Match, i, x, y int, watermark int64) Outcome {
	eps := e.more.eps
	one := eps[x]
	if y-x == 2 {
		one = sh.merge(e, p, eps[x], eps[x+1])
	}
	sh.put(e, p, m, i)
	// Where an episode reaches over the match, all that lies there is in it already.
	if m.Time < eps[x].first {
		lo := walkLeft(e, p, i)
		one.first = e.recs[lo].time
		if !one.fired {
			one.serial = e.recs[lo].id
		}
	} else if !one.fired && m.Time == one.first && compareIDs(&m.ID, &one.serial) < 0 {
		one.serial = m.ID
	}
	if m.Time > eps[y-1].last {
		one.last = max(one.last, e.recs[walkRight(e, p, i)-1].time)
	}
	ep := e.replace(x, y, one)
	if ep.fired {
		sh.grown(e, p, ep)
		return sh.full(e, p, m, ep)
	}
	if from, to, ok := sh.span(e, p, i); ok {
		return sh.fire(e, p, m, ep, from, to)
	}
	if len(e.recs) > sh.maxMembers && len(e.recs) > sh.limit(p) {
		return sh.thin(e, p, m, i, watermark)
	}
	return Counted
}

func compareIDs(a, b *ID) int {
	r := rec{id: *a}
	return r.compare(0, b)
}

// merge folds two episodes into one before the match that joins them is put
// in. Of two that fired the later ends.
func (sh *shard) merge(e *entry, p *Policy, a, b episode) episode {
	one := a
	switch {
	case a.fired && b.fired:
		lo, hi := e.within(b.first, b.last)
		sh.end(e, p, &b, Merged, sh.copied(e, lo, hi), a.serial, false)
	case b.fired:
		one = b
	case p.peaks():
		one.told = max(a.told, b.told)
	}
	one.first, one.last = a.first, b.last
	one.capped = a.capped || b.capped
	one.thinAt = 0
	return one
}

// fire makes an episode of the chain that ep describes. The span that did it
// is from its member from to its member to.
func (sh *shard) fire(e *entry, p *Policy, m *Match, ep *episode, from, to int) Outcome {
	ep.fired = true
	ep.firedAt = e.recs[to].time
	ep.told = ep.last
	ep.pend = sh.journal.add(happening{typ: Fired, policy: *p, key: e.key, hash: e.hash, serial: ep.serial})
	sh.journal.fire(e, ep)
	lo, hi := e.within(ep.first, ep.last)
	if spare := min(from-lo, hi-lo-sh.limit(p)); spare > 0 {
		// The chain was full while it had not fired: rather its beginning goes than the span that fired.
		ep.capped = true
		sh.forget(e, p, lo, lo+spare, m)
	}
	return sh.full(e, p, m, ep)
}

// grown tells that an open episode changed.
func (sh *shard) grown(e *entry, p *Policy, ep *episode) {
	h := sh.journal.open(ep.pend)
	if h == nil {
		ep.pend = sh.journal.add(happening{typ: Updated, policy: *p, key: e.key, hash: e.hash, serial: ep.serial})
		h = sh.journal.open(ep.pend)
	}
	if p.Realert > 0 && ep.last >= after(ep.told, p.Realert) {
		ep.told = ep.last
		h.notify = h.typ == Updated
	}
}

// full holds an episode that fired to the bound: the earliest members stay. It
// answers Noted where m is not among them.
func (sh *shard) full(e *entry, p *Policy, m *Match, ep *episode) Outcome {
	lo, hi := e.within(ep.first, ep.last)
	if hi-lo <= sh.limit(p) {
		return Counted
	}
	ep.capped = true
	return sh.forget(e, p, lo+sh.limit(p), hi, m)
}

// thin holds the plain chain around member i to the bound, as far as that loses
// no span that could still be satisfied: of its oldest members those may go
// that no match in time can reach, and then those that spare names. Until the
// watermark has moved on a chain may stay above the bound.
func (sh *shard) thin(e *entry, p *Policy, m *Match, i int, watermark int64) Outcome {
	limit := sh.limit(p)
	stale := func(t int64) bool { return over(watermark, t, p.Within) }
	if p.Kind == Count && !stale(e.recs[0].time) {
		return Counted
	}
	x, y := touching(e.episodes(), m.Time, p)
	var lo, hi int
	bound := limit
	if x < y {
		lo, hi = e.within(e.more.eps[x].first, e.more.eps[x].last)
		bound = max(bound, int(e.more.eps[x].thinAt))
	} else {
		lo, hi = walk(e, p, i)
	}
	if hi-lo <= bound {
		return Counted
	}
	if x == y {
		first := &e.recs[lo]
		e.replace(x, x, episode{serial: first.id, first: first.time, last: e.recs[hi-1].time, told: math.MinInt64})
	}
	ep := &e.more.eps[x]
	ep.capped = true
	if p.peaks() {
		before := watermark // a sum may still change after it
		if p.Kind != PeakSum {
			before = math.MaxInt64
		}
		if !p.decided(ep.told) {
			ep.told = max(ep.told, sh.peak(e, p, lo, hi, before))
		}
		if p.decided(ep.told) {
			return sh.forget(e, p, lo+limit, hi, m)
		}
	}
	excess := hi - lo - (limit - limit/8) // some more than one, so that not every match has to do this
	old := lo
	for old < lo+excess && stale(e.recs[old].time) {
		old++
	}
	excess -= old - lo
	sh.forget(e, p, lo, old, m) // m is not late: it is not among them
	hi -= old - lo
	if p.Kind == Count || hi-lo <= limit {
		return Counted
	}
	out := sh.drop(e, p, m, sh.spare(e, p, lo, hi, excess, watermark))
	lo, hi = e.within(e.more.eps[x].first, e.more.eps[x].last)
	e.more.eps[x].thinAt = 0
	if hi-lo > limit-limit/8 {
		e.more.eps[x].thinAt = int32(min(2*(hi-lo), 1<<30))
	}
	return out
}

// spare finds up to most members of recs[lo:hi] that may go. Those of values
// and tags are not needed by any span. A sum's are put together with their
// neighbours, and of what a mean or a percentile is taken from a sample stays:
// these are no longer exact then.
func (sh *shard) spare(e *entry, p *Policy, lo, hi, most int, watermark int64) []int {
	switch p.Kind {
	case Distinct, PeakDistinct, Together, PeakTags:
		return sh.redundant(e, p, lo, hi, most)
	case InOrder:
		return unneeded(e, p, lo, hi, most, watermark)
	case Sum, PeakSum:
		return e.fold(lo, hi, most)
	case Average, Percentile:
		return e.sample(lo, hi, most)
	default: // those that count matches need them all
		return nil
	}
}

// redundant finds up to most members of recs[lo:hi], oldest first, that no span
// needs: those whose neighbours of the same value are at most Within apart, for
// every span that holds them holds a neighbour.
func (sh *shard) redundant(e *entry, p *Policy, lo, hi, most int) []int {
	vals := e.values()
	at := sh.scratch.cleared()
	next := append(sh.scratch.next[:0], make([]int32, hi-lo)...)
	sh.scratch.next = next
	for k := hi - 1; k >= lo; k-- {
		next[k-lo] = at[vals[k]] // 0: none, for a next one is never 0
		at[vals[k]] = int32(k)
	}
	before := sh.scratch.cleared() // value: 1 + its last member that stays
	var drop []int
	for k := lo; k < hi && len(drop) < most; k++ {
		b, n := before[vals[k]], next[k-lo]
		if b != 0 && n != 0 && !apart(e.recs[b-1].time, e.recs[n].time, p.Within) {
			drop = append(drop, k)
			continue
		}
		before[vals[k]] = int32(k + 1)
	}
	return drop
}

// forget takes recs[lo:hi] out of a chain and tells so, but for m itself (if
// there is one), of which nobody knows yet: then it answers Noted.
func (sh *shard) forget(e *entry, p *Policy, lo, hi int, m *Match) Outcome {
	drop := make([]int, hi-lo)
	for k := range drop {
		drop[k] = lo + k
	}
	return sh.drop(e, p, m, drop)
}

func (sh *shard) drop(e *entry, p *Policy, m *Match, drop []int) Outcome {
	out := Counted
	var told []rec
	for _, k := range drop {
		if r := &e.recs[k]; m != nil && r.compare(m.Time, &m.ID) == 0 {
			out = Noted
		} else {
			told = append(told, *r)
		}
	}
	for end := len(drop); end > 0; { // from behind, a run at a time
		start := end - 1
		for start > 0 && drop[start-1] == drop[start]-1 {
			start--
		}
		e.cut(drop[start], drop[end-1]+1)
		end = start
	}
	if len(told) > 0 {
		sh.dismiss(e, p, told)
	}
	return out
}
