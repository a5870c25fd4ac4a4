package matcher

import (
	"cmp"
	"slices"
)

// before says that a single way is better asked for n than for other.
func (x *index) before(n, other *need) bool {
	kind := func(n *need) int {
		switch {
		case n.finite():
			return 0
		case n.present:
			return 2
		default:
			return 1
		}
	}
	return cmp.Or(cmp.Compare(kind(n), kind(other)), cmp.Compare(x.cost(n.id), x.cost(other.id)), cmp.Compare(n.id, other.id)) < 0
}

// split says by which path each way of a group is found; path -1 are those
// that are found by none.
type split struct {
	order []int32 // paths, cheapest to scan first
	ways  map[int32][]int32
}

func (s *split) put(path, way int32) {
	if _, ok := s.ways[path]; !ok {
		s.order = append(s.order, path)
	}
	s.ways[path] = append(s.ways[path], way)
}

// choose picks a path for each way: the one that leaves it with the fewest
// others, and among equals the one that serves most ways.
func (x *index) choose(ways, used []int32) split {
	c := x.count(ways, used)
	first := x.assign(ways, &c, nil)
	if len(first.order) > maxAccesses {
		// Each path costs a scan: keep those that serve most ways.
		slices.SortStableFunc(first.order, func(a, b int32) int {
			return cmp.Compare(len(first.ways[b]), len(first.ways[a]))
		})
		first = x.assign(ways, &c, first.order[:maxAccesses])
	}
	slices.SortFunc(first.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(x.cost(a), x.cost(b)), cmp.Compare(a, b))
	})
	return first
}

// census counts the ways that share a value, and those that a path serves.
type census struct {
	used   []int32
	values map[valueAt]int
	serves map[int32]int
}

type valueAt struct {
	path  int32
	value string
}

func (x *index) count(ways, used []int32) census {
	c := census{used: used, values: map[valueAt]int{}, serves: map[int32]int{}}
	for _, id := range ways {
		for _, n := range x.ways[id].way {
			if slices.Contains(used, n.id) {
				continue
			}
			c.serves[n.id]++
			for _, v := range n.values {
				c.values[valueAt{n.id, v}]++
			}
		}
	}
	return c
}

func (x *index) assign(ways []int32, c *census, only []int32) split {
	s := split{ways: map[int32][]int32{}}
	for _, id := range ways {
		best, bestShare := int32(-1), 0
		for i := range x.ways[id].way {
			n := &x.ways[id].way[i]
			if slices.Contains(c.used, n.id) || only != nil && !slices.Contains(only, n.id) {
				continue
			}
			share := x.share(n, len(ways), c)
			if best < 0 || cmp.Or(cmp.Compare(share, bestShare),
				cmp.Compare(c.serves[best], c.serves[n.id]),
				cmp.Compare(x.cost(n.id), x.cost(best))) < 0 {
				best, bestShare = n.id, share
			}
		}
		s.put(best, id)
	}
	return s
}

// share is how many ways of the group an event would still meet that satisfies
// the need. Tests and presence leave all of them.
func (x *index) share(n *need, ways int, c *census) int {
	switch {
	case n.present:
		return 2*ways + 2
	case len(n.tests) > 0:
		return 2*ways + 1
	}
	most := 1
	for _, v := range n.values {
		most = max(most, c.values[valueAt{n.id, v}])
	}
	return most
}

// cost ranks paths by what a scan of them costs and tells: the event source
// follows from the name, fields deep inside are dear.
func (x *index) cost(path int32) int {
	switch {
	case path < 0:
		return -1
	case len(x.paths[path]) == 1 && x.paths[path][0] == "eventSource":
		return 1
	default:
		return 2 * (len(x.paths[path]) - 1)
	}
}
