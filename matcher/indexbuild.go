package matcher

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Bounds of a group's shape.
const (
	maxAccesses = 8 // fields that one group is split by
	maxSplits   = 4 // fields that stand behind one another
)

// buildIndex indexes the enabled rules.
func buildIndex(rules []*Rule) index {
	x := index{ids: map[string]int32{}}
	x.pathID(eventName)
	byName := map[string][]int32{}
	var rest []int32
	for i, r := range rules {
		if !r.Enabled {
			continue
		}
		named := false
		for _, w := range r.Cond.needs() {
			id := int32(len(x.ways))
			for j := range w {
				w[j].id = x.pathID(w[j].path)
			}
			x.ways = append(x.ways, indexedWay{rule: int32(i), way: w})
			at := w.find(eventName)
			if at < 0 || w[at].present {
				rest = append(rest, id)
				continue
			}
			named = true
			if n := &w[at]; len(n.tests) > 0 {
				x.tested = append(x.tested, testedBy{tests: withValues(n), way: id})
				continue
			}
			for _, v := range w[at].values {
				byName[v] = append(byName[v], id)
			}
		}
		if named {
			x.named = append(x.named, int32(i))
		}
	}
	x.names = x.table(byName, []int32{x.ids[eventName[0]]})
	if len(rest) > 0 {
		x.rest = x.group(rest, nil)
	}
	if len(x.tested) > 0 {
		x.cache = newNameCache()
	}
	return x
}

// withValues returns the need's tests, and one for its values.
func withValues(n *need) []Op {
	if len(n.values) == 0 {
		return n.tests
	}
	return append(slices.Clone(n.tests), newStringSet(true, n.values))
}

func (x *index) pathID(p cloudtrail.Path) int32 {
	key := strings.Join(p, "\x00")
	id, ok := x.ids[key]
	if !ok {
		id = int32(len(x.paths))
		x.ids[key] = id
		x.paths = append(x.paths, p)
	}
	return id
}

// table makes a group for each value; values with the same ways share one.
func (x *index) table(byValue map[string][]int32, used []int32) table {
	var t table
	shared := map[string]*group{}
	var key []byte
	for _, value := range slices.Sorted(maps.Keys(byValue)) {
		ways := byValue[value]
		if len(ways) == 0 {
			continue
		}
		key = key[:0]
		for _, w := range ways {
			key = binary.LittleEndian.AppendUint32(key, uint32(w))
		}
		g := shared[string(key)]
		if g == nil {
			g = x.group(ways, used)
			shared[string(key)] = g
		}
		t.add(value, g)
	}
	t.seal()
	return t
}

// group splits ways by the fields that they need beyond those in used. It does
// not change x and may be called while Matchers read it.
func (x *index) group(ways, used []int32) *group {
	g := &group{}
	if len(used) > maxSplits {
		g.always = x.rulesOf(ways)
		return g
	}
	split := x.choose(ways, used)
	for _, path := range split.order {
		of := split.ways[path]
		if path < 0 {
			g.always = x.rulesOf(of)
			continue
		}
		g.accesses = append(g.accesses, x.access(path, of, append(slices.Clip(used), path)))
	}
	return g
}

func (x *index) access(path int32, ways, used []int32) access {
	a := access{path: path, all: x.rulesOf(ways)}
	byValue := map[string][]int32{}
	var present, notNull []int32
	for _, id := range ways {
		n := x.needAt(id, path)
		switch {
		case n.present && n.notNull:
			notNull = append(notNull, id)
		case n.present:
			present = append(present, id)
		case len(n.tests) > 0:
			a.tested = append(a.tested, testedBy{tests: withValues(n), way: id, group: x.group([]int32{id}, used)})
		default:
			for _, v := range n.values {
				byValue[v] = append(byValue[v], id)
			}
		}
	}
	a.values = x.table(byValue, used)
	if present != nil {
		a.present = x.group(present, used)
	}
	if notNull != nil {
		a.notNull = x.group(notNull, used)
	}
	return a
}

// needAt returns the way's need at a path, nil if it has none.
func (x *index) needAt(id, path int32) *need {
	w := x.ways[id].way
	for i := range w {
		if w[i].id == path {
			return &w[i]
		}
	}
	return nil
}

// rulesOf returns the rules of ways, each once, in order.
func (x *index) rulesOf(ways []int32) []int32 {
	rules := make([]int32, len(ways))
	for i, id := range ways {
		rules[i] = x.ways[id].rule
	}
	slices.Sort(rules)
	return slices.Clip(slices.Compact(rules))
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
	c := census{used: used}
	if len(ways) == 1 {
		return c
	}
	c.values, c.serves = map[valueAt]int{}, map[int32]int{}
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
