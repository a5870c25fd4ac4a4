package window

import (
	"math"
	"sort"
)

// What is judged once the watermark has come: peaks when their chain ends, and
// means and percentiles at each match.

// peak is the greatest value of any span, Within long, that ends with one of
// recs[lo:hi], as far as these lie before event time before.
func (sh *shard) peak(e *entry, p *Policy, lo, hi int, before int64) int64 {
	r, vals := e.recs, e.values()
	best, from := int64(math.MinInt64), lo
	var (
		sum    wide
		tags   tagCounts
		counts map[uint64]int32
	)
	if p.Kind == PeakDistinct {
		counts = sh.scratch.cleared()
	}
	for to := lo; to < hi && r[to].time < before; to++ {
		switch p.Kind {
		case PeakDistinct:
			counts[vals[to]]++
		case PeakTags:
			tags.add(vals[to])
		case PeakSum:
			sum = sum.plus(int64(vals[to]))
		default: // PeakCount takes the number of matches
		}
		for ; apart(r[from].time, r[to].time, p.Within); from++ {
			switch p.Kind {
			case PeakDistinct:
				if counts[vals[from]]--; counts[vals[from]] == 0 {
					delete(counts, vals[from])
				}
			case PeakTags:
				tags.remove(vals[from])
			case PeakSum:
				sum = sum.minus(int64(vals[from]))
			default: // PeakCount
			}
		}
		if to+1 < hi && r[to+1].time == r[to].time {
			continue // the span ends with all of that time
		}
		now := int64(to - from + 1)
		switch p.Kind {
		case PeakDistinct:
			now = int64(len(counts))
		case PeakTags:
			now = int64(tags.n)
		case PeakSum:
			now = sum.clamp()
		default: // PeakCount
		}
		best = max(best, now)
	}
	return best
}

// verdict judges the first chain, recs[:hi], at its end. Where it holds, the
// chain was an episode after all.
func (sh *shard) verdict(e *entry, p *Policy, hi int, capped bool) (episode, bool) {
	ep := episode{serial: e.recs[0].id, first: e.recs[0].time, last: e.recs[hi-1].time, told: math.MinInt64}
	if capped {
		ep = e.more.eps[0]
	}
	if best := max(ep.told, sh.peak(e, p, 0, hi, math.MaxInt64)); !p.Bounds.holds(best) {
		return episode{}, false
	}
	ep.fired = true
	ep.told = ep.last
	ep.firedAt = after(ep.last, p.Within)
	return ep, true
}

// decided says that the peak is above all bounds: it only grows, but a sum.
func (p *Policy) decided(peak int64) bool {
	return p.peaks() && p.Kind != PeakSum && peak > p.Bounds.ceiling()
}

// unjudged is the first member whose span is still to be judged.
func (e *entry) unjudged() int {
	i := sort.Search(len(e.recs), func(i int) bool { return e.recs[i].time >= e.more.judged })
	return e.skipFired(i)
}

// skipFired is the first member from i on that is in no episode.
func (e *entry) skipFired(i int) int {
	eps := e.episodes()
	for k := range eps {
		if i < len(e.recs) && eps[k].fired && eps[k].first <= e.recs[i].time && e.recs[i].time <= eps[k].last {
			_, i = e.within(eps[k].first, eps[k].last)
		}
	}
	return i
}

// judge judges the spans that end before watermark w and were not judged yet.
func (sh *shard) judge(e *entry, p *Policy, w int64) {
	for i := e.unjudged(); i < len(e.recs) && e.recs[i].time < w; {
		end := i + 1
		for end < len(e.recs) && e.recs[end].time == e.recs[i].time {
			end++
		}
		from := reach(e.recs, p, i)
		vals := e.values()[from:end]
		if p.Kind == Average && average(&p.Bounds, vals) || p.Kind == Percentile && percentile(p, vals) {
			ep := e.episodeAround(p, i)
			sh.fire(e, p, nil, ep, from, end-1)
			_, i = e.within(ep.first, ep.last)
		} else {
			i = e.skipFired(end)
		}
	}
	e.more.judged = max(e.more.judged, w)
}

// episodeAround is the chain of member i as an episode that is yet to fire.
func (e *entry) episodeAround(p *Policy, i int) *episode {
	x, y := touching(e.episodes(), e.recs[i].time, p)
	if x < y {
		return &e.more.eps[x]
	}
	lo, hi := walk(e, p, i)
	return e.replace(x, x, episode{serial: e.recs[lo].id, first: e.recs[lo].time, last: e.recs[hi-1].time})
}
