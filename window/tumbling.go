package window

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// A Tumbling key counts matches in periods of Within, aligned to the epoch. A
// datapoint is the number of matches in a period; a period without matches has
// none. At the end of each period the alarm is on or off by the last Periods
// datapoints. The key remembers the matches of these, those of its alarm while
// it is on (its episode), and at least its newest match.

const maxPeriods = 10_080

func (p *Policy) tumbles() error {
	var errs []error
	if p.N < 0 || p.N > MaxN {
		errs = append(errs, fmt.Errorf("count %d is not between 0 and %d", p.N, MaxN))
	}
	if p.Periods < 1 || p.Periods > maxPeriods || p.Points < 1 || p.Points > p.Periods {
		errs = append(errs, fmt.Errorf("%d of %d datapoints", p.Points, p.Periods))
	}
	if p.Missing > Ignore {
		errs = append(errs, fmt.Errorf("unknown treatment of missing data %d", p.Missing))
	}
	if p.Within > 0 && p.Periods > 0 && p.Within > math.MaxInt64/4/time.Duration(p.Periods) {
		errs = append(errs, fmt.Errorf("%d periods of %v are too long", p.Periods, p.Within))
	}
	return errors.Join(errs...)
}

// floor is the beginning of the period that t is in.
func (p *Policy) floor(t int64) int64 {
	rest := t % int64(p.Within)
	if rest < 0 {
		rest += int64(p.Within)
	}
	if t < math.MinInt64+rest {
		return math.MinInt64
	}
	return t - rest
}

// before is n periods before t, or the beginning of time.
func (p *Policy) before(t int64, n uint16) int64 {
	if d := int64(p.Within) * int64(n); t >= math.MinInt64+d {
		return t - d
	}
	return math.MinInt64
}

func (p *Policy) breaches(count int) bool { return (count >= p.N) != p.Under }

// alarm judges the members of the periods that end at end. keep: the alarm
// stays as it is.
func (p *Policy) alarm(recs []rec, end int64) (on, keep bool) {
	var (
		there, bad int
		oldest     int  // of the oldest datapoint that breaches: how many periods back it is, 1 the last one
		clean      bool // a later one does not
	)
	for i := 0; i < len(recs); {
		start, from := p.floor(recs[i].time), i
		for i < len(recs) && recs[i].time-start < int64(p.Within) {
			i++
		}
		there++
		switch {
		case !p.breaches(i - from):
			clean = bad > 0
		case bad == 0:
			oldest = int((end - start) / int64(p.Within))
			fallthrough
		default:
			bad++
		}
	}
	points, missing := int(p.Points), int(p.Periods)-there
	switch p.Missing {
	case Breaching:
		return bad+missing >= points, false
	case Ignore:
		return bad >= points, bad < points && bad+missing >= points
	case NoData:
		return bad >= points || bad > 0 && oldest >= points && !clean, false
	case NotBreaching:
	}
	return bad >= points, false
}

// tally takes a match of a Tumbling key in.
func (sh *shard) tally(n uint32, e *entry, m *Match, watermark int64, forgetAfter time.Duration) Outcome {
	p := &sh.policies[e.policy]
	i, found := e.search(m.Time, &m.ID)
	switch {
	case found && e.recs[i].sum != m.Sum:
		return Conflict
	case found:
		return Duplicate
	case m.Time < p.behind(watermark):
		return Late
	}
	start := p.floor(m.Time)
	if lo, hi := e.within(start, after(start, p.Within-1)); hi-lo >= sh.limit(p) {
		return Noted // the datapoint is beyond anything that it is compared with
	}
	sh.touch(n, e)
	x := e.extra()
	if len(e.recs) == 0 || start < x.judged {
		x.judged = start // nothing from here on is judged: the watermark has not come
	}
	fresh := len(e.recs) == 0
	e.insert(i, rec{time: m.Time, id: m.ID, sum: m.Sum}, false, 0)
	if fresh && sh.idle != nil {
		sh.idle.push(timer{at: m.Time, tie: tagOf(e.hash), n: n})
	}
	if due := sh.nextPeriod(e, p, forgetAfter); fresh || due < e.due {
		sh.schedule(n, e, due)
	}
	return Counted
}

// empty says that no match is in the last Periods before end, nor after it.
func (e *entry) empty(p *Policy, end int64) bool {
	return e.recs[len(e.recs)-1].time < p.before(end, p.Periods)
}

// nextPeriod is when a Tumbling key is due: at the end of the next period, or,
// when all is empty and stays so, when it is given up.
func (sh *shard) nextPeriod(e *entry, p *Policy, forgetAfter time.Duration) int64 {
	if x := e.more; !e.empty(p, x.judged) {
		return p.delay(after(x.judged, p.Within-1))
	}
	return p.delay(after(e.newest(), p.memory(forgetAfter)))
}

// memory is after how much silence a key is given up.
func (p *Policy) memory(forgetAfter time.Duration) time.Duration {
	return max(forgetAfter, p.Within*time.Duration(p.Periods))
}

// evaluate judges the periods that watermark w has passed the end of.
func (sh *shard) evaluate(n uint32, e *entry, w int64, forgetAfter time.Duration) {
	p := &sh.policies[e.policy]
	w = p.behind(w)
	sh.weigh(e, -1)
	sh.touch(n, e)
	x := e.more
	for {
		if e.empty(p, x.judged) {
			if len(x.eps) == 0 && !p.live() || over(w, e.newest(), p.memory(forgetAfter)) {
				sh.giveUp(e, p, Resolved)
				sh.remove(n, e)
				return
			}
			break
		}
		end := after(x.judged, p.Within)
		if end > w || end == math.MaxInt64 {
			break
		}
		lo, hi := e.window(p, end)
		next := end
		if lo == hi && hi < len(e.recs) { // until the next match all periods are alike
			next = max(end, min(p.floor(e.recs[hi].time), p.floor(w)))
		}
		sh.period(e, p, end)
		x.judged = next
	}
	sh.weigh(e, 1)
	sh.schedule(n, e, sh.nextPeriod(e, p, forgetAfter))
}

// window is the members of the periods that end at end.
func (e *entry) window(p *Policy, end int64) (lo, hi int) {
	return e.within(p.before(end, p.Periods), end-1)
}

// period judges the alarm at the end of a period.
func (sh *shard) period(e *entry, p *Policy, end int64) {
	lo, hi := e.window(p, end)
	x := e.more
	on, keep := p.alarm(e.recs[lo:hi], end)
	switch was := len(x.eps) > 0; {
	case was && (on || keep):
		sh.alarmed(e, p, end, hi)
	case was:
		sh.cleared(e, p, end, hi)
	case on && hi > 0:
		sh.raise(e, p, end, min(lo, hi-1))
	default:
		if lo = e.spent(p, end); lo > 0 {
			sh.dismiss(e, p, e.recs[:lo:lo])
			e.cut(0, lo)
		}
	}
}

// spent is how many members no later period needs; the newest one before end
// stays, to stand for a silence.
func (e *entry) spent(p *Policy, end int64) int {
	lo, _ := e.within(p.before(end, p.Periods-1), math.MaxInt64)
	_, hi := e.within(math.MinInt64, end-1)
	return max(min(lo, hi-1), 0)
}

// raise turns the alarm on. Where all is missing, the newest match stands for it.
func (sh *shard) raise(e *entry, p *Policy, end int64, lo int) {
	if lo > 0 {
		sh.dismiss(e, p, e.recs[:lo:lo])
		e.cut(0, lo)
	}
	_, hi := e.within(math.MinInt64, end-1)
	ep := episode{first: e.recs[0].time, last: e.recs[hi-1].time, told: end, firedAt: end, fired: true}
	binary.BigEndian.PutUint64(ep.serial[8:], uint64(end)) // one match may be in several alarms
	ep.pend = sh.journal.add(happening{typ: Fired, policy: *p, key: e.key, hash: e.hash, serial: ep.serial})
	e.more.eps = []episode{ep}
	sh.journal.fire(e, &ep)
}

// alarmed adds the matches of another period to the alarm. Of too many the
// later ones go that no period needs.
func (sh *shard) alarmed(e *entry, p *Policy, end int64, hi int) {
	ep := &e.more.eps[0]
	if hi > 0 && e.recs[hi-1].time > ep.last {
		ep.last = e.recs[hi-1].time
		h := sh.journal.open(ep.pend)
		if h == nil {
			ep.pend = sh.journal.add(happening{typ: Updated, policy: *p, key: e.key, hash: e.hash, serial: ep.serial})
			h = sh.journal.open(ep.pend)
		}
		if p.Realert > 0 && end >= after(ep.told, p.Realert) {
			ep.told = end
			h.notify = h.typ == Updated
		}
	}
	free := min(e.spent(p, end), hi-1)
	if excess := hi - sh.limit(p); excess > 0 && free > 1 { // the first one stays: it is the alarm's beginning
		ep.capped = true
		lo := max(free-excess, 1)
		sh.forget(e, p, lo, free, nil)
	}
}

// cleared turns the alarm off.
func (sh *shard) cleared(e *entry, p *Policy, end int64, hi int) {
	ep := e.more.eps[0]
	e.more.eps = nil
	spent := e.spent(p, end)
	st := sh.copied(e, 0, hi)
	st.kept = max(hi-spent, 0)
	sh.end(e, p, &ep, Resolved, st, ID{}, false)
	e.cut(0, spent)
}

// giveUp tells the end of all that e holds.
func (sh *shard) giveUp(e *entry, p *Policy, typ ChangeType) {
	recs := e.recs[:len(e.recs):len(e.recs)]
	if eps := e.episodes(); len(eps) > 0 {
		_, hi := e.within(math.MinInt64, eps[0].last)
		sh.end(e, p, &eps[0], typ, &lastState{recs: recs[:hi:hi]}, ID{}, false)
		recs = recs[hi:]
	}
	if len(recs) > 0 {
		sh.dismiss(e, p, recs)
	}
	e.recs = nil
}

// tumblingSound checks what the head of this file promises.
func tumblingSound(p *Policy, e *entry) bool {
	x := e.more
	if x == nil || p.floor(x.judged) != x.judged || len(x.eps) > 1 {
		return false
	}
	if len(x.eps) == 0 {
		return true
	}
	ep := &x.eps[0]
	_, hi := e.within(math.MinInt64, ep.last)
	return ep.fired && hi > 0 && ep.first == e.recs[0].time && cmp.Compare(ep.last, ep.first) >= 0 &&
		ep.last < x.judged && ep.last == e.recs[hi-1].time
}
