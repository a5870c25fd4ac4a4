package window

import "time"

// dismiss tells that matches will not be asked for again.
func (sh *shard) dismiss(e *entry, p *Policy, recs []rec) {
	sh.journal.add(happening{typ: Forgotten, policy: *p, key: e.key, hash: e.hash, last: &lastState{
		ep:   episode{first: recs[0].time, last: recs[len(recs)-1].time},
		recs: recs,
	}})
}

// end tells the end of an episode that fired. If it fired since the last drain,
// that is told first, with the same state.
func (sh *shard) end(e *entry, p *Policy, ep *episode, typ ChangeType, last *lastState, into ID, returned bool) {
	last.ep = *ep
	if h := sh.journal.open(ep.pend); h != nil {
		if h.typ == Fired {
			h.last = last
		} else {
			h.void = true
		}
	}
	sh.journal.add(happening{
		typ: typ, policy: *p, key: e.key, hash: e.hash, serial: ep.serial, into: into, returned: returned, last: last,
	})
}

// copied is recs[lo:hi] with an array of its own.
func (sh *shard) copied(e *entry, lo, hi int) *lastState {
	st := &lastState{recs: append([]rec(nil), e.recs[lo:hi]...)}
	if vals := e.values(); vals != nil {
		st.values = sh.distinct(&sh.policies[e.policy], vals[lo:hi])
	}
	return st
}

// firstChain answers where the first chain ends in recs, its last time, and
// whether it is an episode.
func firstChain(e *entry, p *Policy) (hi int, last int64, episode bool) {
	if eps := e.episodes(); len(eps) > 0 && eps[0].first <= e.recs[0].time {
		_, hi = e.within(eps[0].first, eps[0].last)
		return hi, eps[0].last, true
	}
	hi = walkRight(e, p, 0)
	return hi, e.recs[hi-1].time, false
}

// leave ends the first chain, as typ if it fired, and takes it out.
func (sh *shard) leave(e *entry, p *Policy, hi int, episode bool, typ ChangeType) {
	st := &lastState{recs: e.recs[:hi:hi]} // cut leaves that array alone
	if vals := e.values(); vals != nil {
		st.values = sh.distinct(p, vals[:hi])
	}
	if p.peaks() && typ == Resolved {
		if ep, ok := sh.verdict(e, p, hi, episode); ok {
			ep.pend = sh.journal.add(happening{typ: Fired, policy: *p, key: e.key, hash: e.hash, serial: ep.serial})
			sh.journal.fire(e, &ep)
			sh.end(e, p, &ep, Resolved, st, ID{}, false)
		} else {
			sh.dismiss(e, p, st.recs)
		}
		if episode {
			e.more.eps = e.more.eps[1:]
		}
	} else if episode {
		if ep := &e.more.eps[0]; ep.fired {
			sh.end(e, p, ep, typ, st, ID{}, false)
		} else {
			sh.dismiss(e, p, st.recs)
		}
		e.more.eps = e.more.eps[1:]
	} else {
		sh.dismiss(e, p, st.recs)
	}
	e.cut(0, hi)
	if e.more != nil && len(e.more.eps) == 0 {
		e.more.eps = nil
		if e.more.vals == nil {
			e.more = nil
		}
	}
}

// nextDue is when Advance has to look at e again.
func (sh *shard) nextDue(e *entry, forgetAfter time.Duration) int64 {
	p := &sh.policies[e.policy]
	if p.Kind == Tumbling {
		return sh.nextPeriod(e, p, forgetAfter)
	}
	if p.Kind == Absence {
		if len(e.episodes()) > 0 {
			return after(e.newest(), max(forgetAfter, p.Within))
		}
		return after(e.newest(), p.Within)
	}
	_, last, _ := firstChain(e, p)
	due := after(last, p.Within)
	if p.trailing() {
		if i := e.unjudged(); i < len(e.recs) {
			due = min(due, e.recs[i].time)
		}
	}
	return p.delay(due)
}

// ripe adds the keys that have something to do before watermark w, whether the
// source is live or not.
func (sh *shard) ripe(due []appointment, w int64, forgetAfter time.Duration) []appointment {
	h := &sh.closing
	for len(*h) > 0 && (*h)[0].at < w {
		t := h.pop()
		if !sh.holds(t) {
			continue
		}
		e := sh.entries.at(t.n)
		if at := sh.nextDue(e, forgetAfter); at < w {
			due = append(due, appointment{at: at, sh: sh, n: t.n})
			e.due = inHand
		} else {
			sh.schedule(t.n, e, at)
		}
	}
	return due
}

// close ends the chains of e that watermark w has passed, and e with the last.
func (sh *shard) close(n uint32, e *entry, w int64) {
	p := &sh.policies[e.policy]
	w = p.behind(w)
	sh.weigh(e, -1)
	sh.touch(n, e)
	if p.trailing() {
		sh.judge(e, p, w)
	}
	for len(e.recs) > 0 {
		hi, last, episode := firstChain(e, p)
		if !over(w, last, p.Within) {
			sh.weigh(e, 1)
			sh.schedule(n, e, sh.nextDue(e, 0))
			return
		}
		sh.leave(e, p, hi, episode, Resolved)
	}
	sh.remove(n, e)
}
