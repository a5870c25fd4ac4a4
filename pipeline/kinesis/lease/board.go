package lease

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// board remembers since when each lease has stood still, by the clock of this
// process: no time in the table is ever believed. One goroutine uses it.
type board struct {
	failover time.Duration
	seen     map[string]sighting
}

type sighting struct {
	owner, handOver string
	counter         int64
	since, first    time.Time // when it was seen like this, and at all
}

// observe takes in rows that had been read completely at now or before.
func (b *board) observe(rows []row, now time.Time) {
	next := make(map[string]sighting, len(rows))
	for _, r := range rows {
		s, ok := b.seen[r.key]
		if !ok {
			s.first = now
		}
		if !ok || s.owner != r.owner || s.counter != r.counter || s.handOver != r.handOver {
			s = sighting{owner: r.owner, handOver: r.handOver, counter: r.counter, since: now, first: s.first}
		}
		next[r.key] = s
	}
	b.seen = next
}

// stood is how long the lease has not changed.
func (b *board) stood(r row, now time.Time) time.Duration {
	return now.Sub(b.seen[r.key].since)
}

// expired tells that a lease's owner has not renewed it for the failover time.
func (b *board) expired(r row, now time.Time) bool {
	return b.stood(r, now) >= b.failover
}

// standing is one round's view of who has how many leases and which are free.
type standing struct {
	me string
	// count is what each live worker has, with what is on its way to it and
	// without what it was asked for. I am in it.
	count map[string]int
	// owned are the leases of others that may be asked for.
	owned map[string][]row
	// back are mine to take: handed over to me, or written as mine though I do not know of it.
	back []row
	// free are leasable and nobody's, by key; overdue those that stayed so too long.
	free, overdue []row
	// kept is how many I hold, asked those of them that others want.
	kept  int
	asked []row
	// unjudged are the streams whose shards must be listed to judge a lease.
	unjudged map[string]bool
	// first is the owner of the first lease, "" if nobody has any.
	first string
}

// stand sorts the rows of streams with a listing. held tells which leases this
// process still serves: those it never takes, whatever the table says.
func (b *board) stand(rows []row, me string, held map[string]bool, listings map[string]listing, now time.Time) standing {
	st := standing{me: me, count: map[string]int{me: 0}, owned: map[string][]row{}, unjudged: map[string]bool{}}
	byKey := make(map[string]row, len(rows))
	for _, r := range rows {
		byKey[r.key] = r
	}
	families := map[string]*family{}
	finished := func(r row, parent string) bool {
		f := families[r.stream]
		if f == nil {
			f = newFamily(r.stream, "", listings[r.stream].shards, slices.Collect(maps.Values(byKey)))
			families[r.stream] = f
		}
		return f.leftOut(parent)
	}
	rows = slices.SortedFunc(slices.Values(rows), func(a, b row) int { return cmp.Compare(a.key, b.key) })
	for _, r := range rows {
		known, ok := listings[r.stream]
		if !ok || r.finished() {
			continue
		}
		expired := b.expired(r, now)
		if r.owner != "" && !expired && st.first == "" {
			st.first = r.owner
		}
		switch {
		case held[r.key] && r.owner == me:
			st.countOwned(r)
			st.kept++
			if r.handOver != "" {
				st.asked = append(st.asked, r)
			}
		case held[r.key]: // lost; its reader has not left yet
			if r.owner != "" && !expired {
				st.count[r.owner]++
			}
		case r.owner == me && r.handOver == "", r.owner == "" && r.handOver == me:
			st.count[me]++
			st.back = append(st.back, r)
		case r.owner != "" && !expired:
			st.countOwned(r)
			if r.owner != me && r.handOver == "" {
				st.owned[r.owner] = append(st.owned[r.owner], r)
			}
		case r.owner == "" && r.handOver != "" && !expired: // on its way to another
			st.count[r.handOver]++
		default:
			leasable, judged := known.leasable(r, byKey, b.seen[r.key].first, finished)
			if !judged {
				st.unjudged[r.stream] = true
			}
			if !leasable {
				continue
			}
			st.free = append(st.free, r)
			long := b.failover
			if r.owner != "" {
				long *= 2
			}
			if b.stood(r, now) >= long {
				st.overdue = append(st.overdue, r)
			}
		}
	}
	return st
}

// countOwned counts a live lease for who will have it.
func (st *standing) countOwned(r row) {
	if r.handOver != "" {
		st.count[r.handOver]++
		if r.owner != r.handOver {
			st.count[r.owner] += 0 // alive all the same
		}
		return
	}
	st.count[r.owner]++
}

func (st *standing) total() int {
	n := len(st.free)
	for _, c := range st.count {
		n += c
	}
	return n
}

// floor is the least that every worker has when leases are spread evenly.
func (st *standing) floor() int { return st.total() / len(st.count) }

// ceiling is the most.
func (st *standing) ceiling() int { return (st.total() + len(st.count) - 1) / len(st.count) }
