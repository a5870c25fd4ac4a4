package lease

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// plan is what a worker does in one round.
type plan struct {
	take []row // in this order
	ask  []row
}

// makePlan takes free leases up to my fair share, then asks for as many as I am
// short, of the workers with most. room is how many more leases I may hold.
func makePlan(st standing, room int) plan {
	var p plan
	p.take = st.back[:min(room, len(st.back))]
	room -= len(p.take)
	mine := st.count[st.me]

	free := st.inMyOrder()
	n := max(0, min(st.ceiling()-mine, len(free), room))
	p.take = append(slices.Clone(p.take), free[:n]...)
	mine += n
	room -= n
	if left := free[n:]; len(left) > 0 {
		// Others should have taken them, and have not: they are full, or gone.
		for _, r := range left {
			if room > 0 && len(st.overdue) > 0 && slices.ContainsFunc(st.overdue, func(o row) bool { return o.key == r.key }) {
				p.take = append(p.take, r)
				room--
				if room == 0 || len(p.take) > n+len(left)/len(st.count) {
					break
				}
			}
		}
		return p
	}

	count := maps.Clone(st.count)
	delete(count, st.me)
	owned := map[string][]row{}
	for w, rows := range st.owned {
		owned[w] = slices.Clone(rows)
		rand.Shuffle(len(rows), func(i, j int) { owned[w][i], owned[w][j] = owned[w][j], owned[w][i] })
	}
	floor := st.floor()
	for short := max(1, floor-mine); short > 0 && room > 0; short-- {
		donor := richest(count, owned)
		if donor == "" || count[donor] < mine+2 {
			break
		}
		last := len(owned[donor]) - 1
		p.ask = append(p.ask, owned[donor][last])
		owned[donor] = owned[donor][:last]
		count[donor]--
		mine++
		room--
	}
	return p
}

// inMyOrder starts each worker at another place of the free leases, so that
// workers that take at the same time seldom meet.
func (st *standing) inMyOrder() []row {
	if len(st.free) == 0 {
		return nil
	}
	workers := slices.Sorted(maps.Keys(st.count))
	start := slices.Index(workers, st.me) * len(st.free) / len(workers)
	if len(workers) == 1 {
		start = rand.N(len(st.free))
	}
	return append(slices.Clone(st.free[start:]), st.free[:start]...)
}

// richest is a worker with most leases among those that can give one; of
// several any.
func richest(count map[string]int, owned map[string][]row) string {
	best, ties := "", 0
	for w, n := range count {
		switch {
		case len(owned[w]) == 0 || best != "" && n < count[best]:
		case best == "" || n > count[best]:
			best, ties = w, 1
		default:
			if ties++; rand.N(ties) == 0 {
				best = w
			}
		}
	}
	return best
}

// grants are the leases that I hand over to who asked: as many as leave me my
// fair share. The others are declined, and counted as mine again. What is on
// its way to me does not count: it may not come.
func (st *standing) grants(draining map[string]bool) (granted, declined []row) {
	mine := st.kept
	for _, r := range st.asked {
		if draining[r.key] {
			mine--
		}
	}
	asked := slices.Clone(st.asked)
	rand.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
	floor := st.floor()
	for _, r := range asked {
		switch {
		case draining[r.key]:
		case mine > floor:
			granted = append(granted, r)
			mine--
		default:
			declined = append(declined, r)
			st.count[r.handOver]--
			st.count[st.me]++
		}
	}
	return granted, declined
}
