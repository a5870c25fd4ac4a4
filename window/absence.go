package window

import "time"

// An absence key remembers one member, its newest match. It is silent while it
// has an episode.

// meet takes a match of an absence key in.
func (sh *shard) meet(n uint32, e *entry, m *Match) Outcome {
	p := &sh.policies[e.policy]
	now := rec{time: m.Time, id: m.ID, sum: m.Sum}
	if len(e.recs) == 0 {
		e.recs = []rec{now}
		sh.schedule(n, e, after(m.Time, p.Within))
		return Counted
	}
	last := &e.recs[0]
	switch c := last.compare(m.Time, &m.ID); {
	case c == 0 && last.sum != m.Sum:
		return Conflict
	case c == 0:
		return Duplicate
	case c > 0 || m.Time == last.time && len(e.episodes()) > 0:
		return Noted
	}
	sh.touch(n, e)
	old := e.recs
	e.recs = []rec{now}
	e.shared = 0
	if eps := e.episodes(); len(eps) > 0 {
		sh.end(e, p, &eps[0], Resolved, &lastState{recs: old}, ID{}, true)
		e.more = nil
		sh.schedule(n, e, after(m.Time, p.Within))
	} else {
		sh.dismiss(e, p, old)
	}
	return Counted
}

// silent adds the keys that have something to tell before watermark w if the
// source is live.
func (sh *shard) silent(due []appointment, w int64, forgetAfter time.Duration) []appointment {
	h := &sh.silence
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

// miss fires a key that has been silent for Within, and gives it up, telling
// Resolved, after ForgetAfter.
func (sh *shard) miss(n uint32, e *entry, w int64, forgetAfter time.Duration) {
	p := &sh.policies[e.policy]
	sh.weigh(e, -1)
	sh.touch(n, e)
	last := &e.recs[0]
	if len(e.episodes()) == 0 {
		e.extra().eps = []episode{{
			serial: last.id, firedAt: after(last.time, p.Within), first: last.time, last: last.time,
			told: last.time, fired: true,
			pend: sh.journal.add(happening{typ: Fired, policy: *p, key: e.key, hash: e.hash, serial: last.id}),
		}}
	}
	if due := after(last.time, max(forgetAfter, p.Within)); due >= w {
		sh.weigh(e, 1)
		sh.schedule(n, e, due)
		return
	}
	sh.end(e, p, &e.more.eps[0], Resolved, &lastState{recs: e.recs}, ID{}, false)
	sh.remove(n, e)
}
