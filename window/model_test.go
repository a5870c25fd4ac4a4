package window

import (
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

// model is the store as one would write it with all the time and memory in the
// world: it keeps every match that was taken and works everything out anew.
type model struct {
	wm   int64
	keys map[string]*modelKey
}

type modelKey struct {
	policy   Policy
	taken    []Match // sorted by (time, ID), never dropped
	eps      []modelEpisode
	silent   *modelEpisode // of an open absence
	newest   *Match
	gone     []modelEpisode // absences that are over
	forgetIn time.Duration
}

// modelEpisode is what two runs are compared by, and more.
type modelEpisode struct {
	Key      string
	Serial   ID
	FiredAt  int64
	First    int64
	Last     int64
	Count    int
	Values   int
	Resolved bool
	Capped   bool
	IDs      []ID
}

func newModel() *model { return &model{wm: math.MinInt64, keys: map[string]*modelKey{}} }

func (mo *model) clone() *model {
	c := &model{wm: mo.wm, keys: maps.Clone(mo.keys)}
	for k, v := range c.keys {
		x := *v
		x.taken, x.eps, x.gone = slices.Clone(v.taken), slices.Clone(v.eps), slices.Clone(v.gone)
		if v.silent != nil {
			s := *v.silent
			x.silent = &s
		}
		c.keys[k] = &x
	}
	return c
}

// wmOf is the watermark as k's policy knows it.
func (mo *model) wmOf(k *modelKey) int64 {
	if mo.wm == math.MinInt64 {
		return mo.wm
	}
	return mo.wm - int64(k.policy.Depth)
}

func byTime(a, b Match) int {
	if c := cmp.Compare(a.Time, b.Time); c != 0 {
		return c
	}
	return slices.Compare(a.ID[:], b.ID[:])
}

func (mo *model) observe(m Match, forgetAfter time.Duration) Outcome {
	k := mo.keys[string(m.Key)]
	if k == nil {
		k = &modelKey{policy: m.Policy, forgetIn: forgetAfter}
		mo.keys[string(m.Key)] = k
	}
	if k.policy.Kind == Absence {
		return k.meet(m)
	}
	w, wm := int64(k.policy.Within), mo.wmOf(k)
	for _, c := range k.chains() {
		for _, x := range c {
			if x.ID == m.ID && c[len(c)-1].Time+w >= wm {
				if x.Sum != m.Sum {
					return Conflict
				}
				return Duplicate
			}
		}
	}
	if m.Time < wm {
		return Late
	}
	k.taken = append(k.taken, m)
	slices.SortFunc(k.taken, byTime)
	k.judge(string(m.Key), wm)
	return Counted
}

func (k *modelKey) chains() [][]Match {
	var out [][]Match
	for i, m := range k.taken {
		if i == 0 || m.Time-k.taken[i-1].Time > int64(k.policy.Within) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], m)
	}
	return out
}

func values(ms []Match) int {
	set := map[uint64]bool{}
	for _, m := range ms {
		set[m.Value] = true
	}
	return len(set)
}

func tags(ms []Match) int {
	set := uint64(0)
	for _, m := range ms {
		set |= m.Value
	}
	return bits.OnesCount64(set)
}

func sum(ms []Match) (s int64) {
	for _, m := range ms {
		s += int64(m.Value)
	}
	return s
}

// inOrder tries all ways.
func inOrder(ms []Match, tag, n int, from int64) bool {
	if tag == n {
		return true
	}
	for _, m := range ms {
		if m.Value>>tag&1 == 1 && m.Time >= from && inOrder(ms, tag+1, n, m.Time) {
			return true
		}
	}
	return false
}

// satisfies says whether a span of matches, not longer than Within, fires at once.
func (p *Policy) satisfies(ms []Match) bool {
	switch p.Kind {
	case Count:
		return len(ms) >= p.N
	case Distinct:
		return values(ms) >= p.N
	case Together:
		return tags(ms) >= p.N
	case InOrder:
		return inOrder(ms, 0, p.N, math.MinInt64)
	case Sum:
		return sum(ms) >= p.Bounds.Min
	default: // judged when the watermark has come
		return false
	}
}

// allows is Bounds for a ratio, by multiplying out.
func (b Bounds) allows(num, den int64) bool {
	low := b.Set&HasMin != 0 && (num < b.Min*den || b.Set&MinOpen != 0 && num == b.Min*den)
	high := b.Set&HasMax != 0 && (num > b.Max*den || b.Set&MaxOpen != 0 && num == b.Max*den)
	excluded := b.Set&HasNot != 0 && num == b.Not*den
	return !low && !high && !excluded
}

// judged is when the watermark shows that a chain, closed or not, fires: the
// time that it has to pass, or the end of time.
func (p *Policy) judged(c []Match, closed bool) int64 {
	w := int64(p.Within)
	peak := int64(math.MinInt64)
	for _, m := range c {
		var span []Match
		for _, x := range c {
			if x.Time <= m.Time && x.Time >= m.Time-w {
				span = append(span, x)
			}
		}
		switch p.Kind {
		case PeakCount:
			peak = max(peak, int64(len(span)))
		case PeakDistinct:
			peak = max(peak, int64(values(span)))
		case PeakTags:
			peak = max(peak, int64(tags(span)))
		case PeakSum:
			peak = max(peak, sum(span))
		case Average:
			if p.Bounds.allows(sum(span), int64(len(span))) {
				return m.Time
			}
		case Percentile:
			var vals []int64
			for _, x := range span {
				vals = append(vals, int64(x.Value))
			}
			slices.Sort(vals)
			rank := int(math.Ceil(float64(len(vals)) * float64(p.Percent) / 10_000))
			if p.Bounds.allows(vals[rank-1], 1) {
				return m.Time
			}
		default: // not about the spans before the end
		}
	}
	if p.peaks() && closed && p.Bounds.allows(peak, 1) {
		return c[len(c)-1].Time + w
	}
	return math.MaxInt64
}

// judge works all episodes out anew; what fired before keeps its serial.
func (k *modelKey) judge(key string, wm int64) {
	old := k.eps
	k.eps = nil
	for _, c := range k.chains() {
		firedAt := int64(math.MaxInt64)
		for i := range c {
			for j := i; j < len(c) && c[j].Time-c[i].Time <= int64(k.policy.Within); j++ {
				if k.policy.satisfies(c[i : j+1]) {
					firedAt = min(firedAt, c[j].Time)
				}
			}
		}
		if k.policy.peaks() || k.policy.trailing() {
			if t := k.policy.judged(c, c[len(c)-1].Time+int64(k.policy.Within) < wm); t < wm {
				firedAt = t
			}
		}
		if firedAt == math.MaxInt64 {
			continue
		}
		ep := modelEpisode{
			Key: key, Serial: c[0].ID, FiredAt: firedAt, First: c[0].Time, Last: c[len(c)-1].Time, Count: len(c),
		}
		switch k.policy.Kind {
		case Distinct, PeakDistinct:
			ep.Values = values(c)
		case Together, InOrder, PeakTags:
			ep.Values = tags(c)
		default: // these tell no values
		}
		for _, m := range c {
			ep.IDs = append(ep.IDs, m.ID)
		}
		for _, o := range old { // in order of time: the earliest gives its name
			if slices.Contains(ep.IDs, o.Serial) {
				ep.Serial, ep.FiredAt = o.Serial, o.FiredAt
				break
			}
		}
		k.eps = append(k.eps, ep)
	}
}

func (k *modelKey) meet(m Match) Outcome {
	switch {
	case k.newest == nil:
	case k.newest.ID == m.ID && k.newest.Sum != m.Sum:
		return Conflict
	case k.newest.ID == m.ID:
		return Duplicate
	case byTime(m, *k.newest) < 0 || k.silent != nil && m.Time == k.newest.Time:
		return Noted
	}
	if k.silent != nil {
		k.silent.Resolved = true
		k.gone = append(k.gone, *k.silent)
		k.silent = nil
	}
	k.newest = &m
	return Counted
}

func (mo *model) advance(wm int64, live bool) {
	mo.wm = max(mo.wm, wm)
	for key, k := range mo.keys {
		if k.policy.peaks() || k.policy.trailing() {
			k.judge(key, mo.wmOf(k))
		}
		if k.policy.Kind != Absence || k.newest == nil || !live {
			continue
		}
		t := k.newest.Time
		if due := t + int64(k.policy.Within); k.silent == nil && mo.wm > due {
			k.silent = &modelEpisode{
				Key: key, Serial: k.newest.ID, FiredAt: due, First: t, Last: t, Count: 1, IDs: []ID{k.newest.ID},
			}
		}
		if k.silent != nil && mo.wm > t+int64(max(k.forgetIn, k.policy.Within)) {
			k.silent.Resolved = true
			k.gone = append(k.gone, *k.silent)
			k.silent, k.newest = nil, nil
		}
	}
}

// episodes are all that ever fired and were not merged into another.
func (mo *model) episodes() []modelEpisode {
	var out []modelEpisode
	for _, k := range mo.keys {
		for _, ep := range k.eps {
			ep.Resolved = mo.wmOf(k) > ep.Last+int64(k.policy.Within)
			out = append(out, ep)
		}
		out = append(out, k.gone...)
		if k.silent != nil {
			out = append(out, *k.silent)
		}
	}
	sortEpisodes(out)
	return out
}

func sortEpisodes(eps []modelEpisode) {
	slices.SortFunc(eps, func(a, b modelEpisode) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.First, b.First), slices.Compare(a.Serial[:], b.Serial[:]),
			cmp.Compare(a.FiredAt, b.FiredAt))
	})
}
