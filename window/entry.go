package window

import (
	"math"
	"slices"
	"sort"
	"unsafe"
)

// rec is one remembered match. It holds no pointer.
type rec struct {
	time int64
	id   ID
	sum  uint32
}

func (r *rec) compare(t int64, id *ID) int {
	if r.time != t {
		if r.time < t {
			return -1
		}
		return 1
	}
	for i := range id {
		if r.id[i] != id[i] {
			return int(r.id[i]) - int(id[i])
		}
	}
	return 0
}

// episode is what has to be known of a chain beyond its members: that it fired,
// or, not fired, that members were dropped for the cap. All other chains are
// implied by the gaps between the members.
//
// No remembered match outside an episode lies within Within of it, no two
// episodes of a key do, and each has at least one member.
type episode struct {
	serial  ID // of the earliest match: when it fired, or, not fired, so far
	firedAt int64
	first   int64
	last    int64
	told    int64  // event time that was last told; of a chain that has a peak and lost members, the greatest value before
	pend    uint64 // number of its entry in the journal, if that is not drained yet
	thinAt  int32  // members at which it is next worth thinning
	fired   bool
	capped  bool
}

// more is what most keys do not need.
type more struct {
	eps  []episode // sorted by time
	vals []uint64  // where the policy is about values: that of each member
	// judged: of a policy that judges as the watermark goes, all before it is
	// judged; of Tumbling it is the end of a period.
	judged int64
}

// entry is one key's state. Its chains lie one behind the other in recs,
// sorted by (time, ID).
type entry struct {
	key    string
	recs   []rec
	more   *more
	policy uint32 // in shard.policies
	log    uint32 // 1 + its place in the undo log of this interval
	shared uint32 // so many of recs belong to its before-image too and must not be written
	used   bool
	hash   uint64
	due    int64 // when Advance looks at it again: never later than it must
}

const (
	recSize     = int64(unsafe.Sizeof(rec{}))
	episodeSize = int64(unsafe.Sizeof(episode{}))
	moreSize    = int64(unsafe.Sizeof(more{}))
	// Beside the entry: a slot in the index at a load of two thirds and a timer.
	entrySize = int64(unsafe.Sizeof(entry{})) + 12 + int64(unsafe.Sizeof(timer{}))
)

// size is the approximate memory of the entry, in bytes.
func (e *entry) size() int64 {
	n := entrySize + int64(len(e.key)+15)&^15 + int64(cap(e.recs))*recSize
	if e.more != nil {
		n += moreSize + int64(cap(e.more.eps))*episodeSize + int64(cap(e.more.vals))*8
	}
	return n
}

func (e *entry) episodes() []episode {
	if e.more == nil {
		return nil
	}
	return e.more.eps
}

func (e *entry) values() []uint64 {
	if e.more == nil {
		return nil
	}
	return e.more.vals
}

func (e *entry) extra() *more {
	if e.more == nil {
		e.more = &more{judged: math.MinInt64}
	}
	return e.more
}

// newest is the time of the last match.
func (e *entry) newest() int64 {
	t := e.recs[len(e.recs)-1].time
	if eps := e.episodes(); len(eps) > 0 {
		t = max(t, eps[len(eps)-1].last)
	}
	return t
}

// search finds the place of (t, id) in recs.
func (e *entry) search(t int64, id *ID) (int, bool) {
	n := len(e.recs)
	if n == 0 || e.recs[n-1].compare(t, id) < 0 {
		return n, false
	}
	i := sort.Search(n, func(i int) bool { return e.recs[i].compare(t, id) >= 0 })
	return i, e.recs[i].compare(t, id) == 0
}

// span of recs with first <= time <= last.
func (e *entry) within(first, last int64) (lo, hi int) {
	n := len(e.recs)
	if n > 0 && e.recs[0].time < first {
		lo = sort.Search(n, func(i int) bool { return e.recs[i].time >= first })
	}
	hi = n
	if n > 0 && e.recs[n-1].time > last {
		hi = lo + sort.Search(n-lo, func(i int) bool { return e.recs[lo+i].time > last })
	}
	return lo, hi
}

// roomFor is the capacity to grow to for n members: little waste while there
// are few, for most keys have few.
func roomFor(n int) int {
	switch {
	case n <= 4:
		return n
	case n <= 16:
		return (n + 1) &^ 1
	}
	return n + n/4
}

// insert puts r at i, without writing what the before-image shares.
func (e *entry) insert(i int, r rec, valued bool, value uint64) {
	n := len(e.recs)
	if n == cap(e.recs) || i < int(e.shared) {
		grown := make([]rec, n+1, roomFor(n+1))
		copy(grown, e.recs[:i])
		copy(grown[i+1:], e.recs[i:])
		grown[i] = r
		e.recs = grown
		if valued {
			x := e.extra()
			vals := make([]uint64, n+1, roomFor(n+1))
			copy(vals, x.vals[:i])
			copy(vals[i+1:], x.vals[i:])
			vals[i] = value
			x.vals = vals
		}
		e.shared = 0
		return
	}
	e.recs = e.recs[:n+1]
	copy(e.recs[i+1:], e.recs[i:n])
	e.recs[i] = r
	if valued {
		x := e.more
		x.vals = x.vals[:n+1]
		copy(x.vals[i+1:], x.vals[i:n])
		x.vals[i] = value
	}
}

// cut takes recs[lo:hi] out. The rest moves to an array of its own: the old one
// belongs to those who still read it.
func (e *entry) cut(lo, hi int) {
	if lo == hi {
		return
	}
	if hi == len(e.recs) && lo > 0 && lo >= int(e.shared) {
		e.recs = e.recs[:lo]
		if vals := e.values(); vals != nil {
			e.more.vals = vals[:lo]
		}
		return
	}
	n := len(e.recs) - (hi - lo)
	recs := make([]rec, n, roomFor(n))
	copy(recs, e.recs[:lo])
	copy(recs[lo:], e.recs[hi:])
	e.recs = recs
	if vals := e.values(); vals != nil {
		rest := make([]uint64, n, roomFor(n))
		copy(rest, vals[:lo])
		copy(rest[lo:], vals[hi:])
		e.more.vals = rest
	}
	e.shared = 0
}

// replace puts ep in the place of episodes x to y.
func (e *entry) replace(x, y int, ep episode) *episode {
	m := e.extra()
	m.eps = slices.Replace(m.eps, x, y, ep)
	return &m.eps[x]
}

// clone separates m from a before-image. The values stay shared as recs do.
func (m *more) clone() *more {
	return &more{eps: slices.Clone(m.eps), vals: m.vals, judged: m.judged}
}
