package lease

import (
	"cmp"
	"slices"
	"time"
)

// listing is what the last Sync was told of a stream.
type listing struct {
	shards map[string]Shard
	of     identity
	after  time.Time // the stream was listed after that; zero: unknown
}

func shardsByID(shards []Shard) map[string]Shard {
	l := make(map[string]Shard, len(shards))
	for _, s := range shards {
		s.Parents = slices.DeleteFunc(slices.Clone(s.Parents), func(p string) bool { return p == "" || p == s.ID })
		// A listing that was changed while it was paged may repeat a shard: closed is newer.
		if old, ok := l[s.ID]; ok && old.Closed {
			continue
		}
		l[s.ID] = s
	}
	return l
}

// trimmedAfter is how long a lease must have been known before a listing
// that has neither its shard nor its parent is believed: a listing may be behind.
const trimmedAfter = 10 * time.Minute

// leasable tells whether a shard may be read now: all its parents are read to
// their ends. A parent without a lease must be known to be no more: it or the
// shard itself has been read already, or it is missing in a listing that is
// newer than the shard. judged is false where a listing is needed to tell. first is
// when this lease was seen first; finished tells whether a parent was read.
func (l listing) leasable(r row, rows map[string]row, first time.Time, finished func(r row, parent string) bool) (leasable, judged bool) {
	leasable, judged = true, true
	for _, id := range r.parents {
		parent, ok := rows[leaseKey(r.stream, id)]
		switch {
		case ok:
			leasable = leasable && parent.finished()
		case r.progressed():
		default:
			_, listed := l.shards[id]
			_, self := l.shards[r.shard]
			newer := self || first.Add(trimmedAfter).Before(l.after)
			if (listed || !newer) && !finished(r, id) {
				leasable, judged = false, false
			}
		}
	}
	return leasable, judged
}

// family answers questions about the shards of a stream and their leases.
type family struct {
	start    string
	of       identity
	asOf     int64
	stream   string
	listed   map[string]Shard
	rows     map[string]row // by shard
	children map[string][]string
	parents  map[string][]string
	read     map[string]bool // memo of descended, by itself
	chosen   map[string]bool // likewise, with those that started at LATEST
	kin      map[string]row  // leases under another key that are not made under this one yet
	passed   map[string]bool // memo of passedBy
}

func newFamily(stream, start string, listed map[string]Shard, rows []row) *family {
	f := &family{
		start: start, stream: stream, listed: listed, rows: map[string]row{},
		children: map[string][]string{}, parents: map[string][]string{},
		read: map[string]bool{}, chosen: map[string]bool{}, kin: map[string]row{}, passed: map[string]bool{},
	}
	for _, r := range rows {
		if r.stream != stream {
			continue
		}
		f.rows[r.shard] = r
		for _, p := range r.parents {
			f.join(p, r.shard)
		}
		for _, c := range r.children {
			f.join(r.shard, c)
		}
	}
	for _, s := range listed {
		for _, p := range s.Parents {
			f.join(p, s.ID)
		}
	}
	return f
}

func (f *family) join(parent, child string) {
	if !slices.Contains(f.children[parent], child) {
		f.children[parent] = append(f.children[parent], child)
		f.parents[child] = append(f.parents[child], parent)
	}
}

// descended tells that a descendant of the shard has been read: the shard was finished.
func (f *family) descended(id string) bool {
	return f.anyBelow(id, f.read, func(r row) bool { return !r.checkpoint.Sentinel() || r.finished() })
}

// leftOut tells that a descendant has been read or was started after the shard.
func (f *family) leftOut(id string) bool {
	return f.anyBelow(id, f.chosen, row.progressed)
}

func (f *family) anyBelow(id string, memo map[string]bool, is func(row) bool) bool {
	if known, ok := memo[id]; ok {
		return known
	}
	memo[id] = false // a circle in the listing ends here
	for _, c := range f.children[id] {
		if r, ok := f.rows[c]; ok && is(r) || f.anyBelow(c, memo, is) {
			memo[id] = true
			break
		}
	}
	return memo[id]
}

// missing are the leases to make, each generation after that of its parents.
func (f *family) missing() [][]row {
	made := map[string]string{} // shard: where it starts; "": not at all
	depth := map[string]int{}
	var generations [][]row
	for _, id := range f.parentsFirst() {
		s, ok := f.listed[id]
		if !ok {
			continue
		}
		start := f.startOf(s, made)
		k, adopted := f.kin[id]
		if adopted && !f.passedBy(id) {
			start = k.checkpoint.Sequence
		}
		made[id] = start
		for _, p := range f.parents[id] {
			depth[id] = max(depth[id], depth[p]+1)
		}
		if start == "" {
			continue
		}
		for len(generations) <= depth[id] {
			generations = append(generations, nil)
		}
		r := f.newRow(s, start)
		if adopted {
			r.checkpoint, r.since = k.checkpoint, cmp.Or(k.since, r.since)
		}
		generations[depth[id]] = append(generations[depth[id]], r)
	}
	return slices.DeleteFunc(generations, func(g []row) bool { return len(g) == 0 })
}

func (f *family) newRow(s Shard, start string) row {
	r := newRow(f.stream, s, start)
	r.of = f.of
	if start == Latest {
		r.since = f.asOf
	}
	return r
}

// startOf is where a listed shard's new lease starts; "": it needs none.
func (f *family) startOf(s Shard, made map[string]string) string {
	if _, ok := f.rows[s.ID]; ok || f.leftOut(s.ID) {
		return ""
	}
	// A child that waits for this shard: read it, whatever the options say.
	for _, c := range f.children[s.ID] {
		if r, ok := f.rows[c]; ok && !r.finished() {
			return r.checkpoint.Sequence
		}
	}
	if start := f.inherited(s.ID, made, map[string]bool{}); start != "" {
		return start
	}
	if f.succeeds(s) {
		return TrimHorizon
	}
	if f.start == Latest && s.Closed {
		return ""
	}
	return f.start
}

// inherited is where a shard starts that descends from one that is or was
// leased: at its beginning. Only below one that starts at a time it starts there, too,
// since its ancestor may have ended before that time.
func (f *family) inherited(id string, made map[string]string, been map[string]bool) string {
	start := ""
	for _, p := range f.parents[id] {
		if been[p] {
			continue
		}
		been[p] = true
		r, leased := f.rows[p]
		at := made[p]
		switch {
		case leased && r.checkpoint.Sequence == AtTimestamp:
			at = AtTimestamp
		case leased, at == Latest, at == "" && f.descended(p):
			at = TrimHorizon
		case at == "":
			at = f.inherited(p, made, been)
		}
		if at == AtTimestamp {
			return at
		}
		if at != "" {
			start = at
		}
	}
	return start
}

// succeeds tells that the shard took over hash keys of one that has a lease and
// is listed no more, though the shards between are gone: it is no new beginning.
func (f *family) succeeds(s Shard) bool {
	for id, r := range f.rows {
		if _, listed := f.listed[id]; listed || r.endHash == "" || s.EndingHashKey == "" {
			continue
		}
		if !lessDecimal(r.endHash, s.StartingHashKey) && !lessDecimal(s.EndingHashKey, r.startHash) {
			return true
		}
	}
	return false
}

// over are the finished leases whose children have all been read from.
func (f *family) over() []row {
	var gone []row
	for id, r := range f.rows {
		if _, adopted := f.kin[id]; adopted || !r.finished() || len(f.children[id]) == 0 {
			continue
		}
		if !slices.ContainsFunc(f.children[id], func(c string) bool { return !f.begun(c) }) {
			gone = append(gone, r)
		}
	}
	return gone
}

// begun tells that a shard has a checkpoint, or had one.
func (f *family) begun(id string) bool {
	if r, ok := f.rows[id]; ok {
		return !r.checkpoint.Sentinel() || r.finished()
	}
	_, listed := f.listed[id]
	return !listed || f.descended(id)
}

// parentsFirst are all shards, each after its parents.
func (f *family) parentsFirst() []string {
	var order []string
	been := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		if been[id] {
			return
		}
		been[id] = true
		for _, p := range f.parents[id] {
			visit(p)
		}
		order = append(order, id)
	}
	ids := make([]string, 0, len(f.listed))
	for id := range f.listed {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		visit(id)
	}
	return order
}
