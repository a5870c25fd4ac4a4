package matcher

import (
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
	x := index{ids: map[string]int32{}, conds: make([]Node, len(rules))}
	x.pathID(eventName)
	byName := map[string][]int32{}
	var rest []int32
	for i, r := range rules {
		if !r.Enabled {
			continue
		}
		named := false
		x.conds[i] = simplified(r.Cond)
		if rawTested(x.conds[i]) {
			if x.raw == nil {
				x.raw = make([]bool, len(rules))
			}
			x.raw[i] = true
		}
		for _, w := range x.conds[i].needs() {
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
	if len(x.named) > 0 {
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
	if len(ways) == 1 {
		return x.chain(ways[0], used)
	}
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

// chain is the group of a single way: its needs one behind the other, those
// that tell most and cost least first. Most groups are such.
func (x *index) chain(id int32, used []int32) *group {
	g := &group{}
	rule := []int32{x.ways[id].rule}
	var next *need
	if len(used) <= maxSplits {
		for i := range x.ways[id].way {
			n := &x.ways[id].way[i]
			if !slices.Contains(used, n.id) && (next == nil || x.before(n, next)) {
				next = n
			}
		}
	}
	if next == nil {
		g.always = rule
		return g
	}
	a := access{path: next.id, all: rule}
	inner := x.chain(id, append(slices.Clip(used), next.id))
	switch {
	case next.present && next.notNull:
		a.notNull = inner
	case next.present:
		a.present = inner
	case len(next.tests) > 0:
		a.tested = []testedBy{{tests: withValues(next), way: id, group: inner}}
	default:
		a.values.entries = make([]tableEntry, 0, len(next.values))
		for _, v := range next.values {
			a.values.add(v, inner)
		}
		a.values.seal()
	}
	g.accesses = []access{a}
	return g
}

func (x *index) access(path int32, ways, used []int32) access {
	a := access{path: path, all: x.rulesOf(ways)}
	byValue := map[string][]int32{}
	var present, notNull []int32
	tested := map[string][]int32{} // by the canonical text of the tests
	var tests []string
	for _, id := range ways {
		n := x.needAt(id, path)
		switch {
		case n.present && n.notNull:
			notNull = append(notNull, id)
		case n.present:
			present = append(present, id)
		case len(n.tests) > 0:
			key := string(canonSet(nil, "tests", withValues(n)))
			if tested[key] == nil {
				tests = append(tests, key)
			}
			tested[key] = append(tested[key], id)
		default:
			for _, v := range n.values {
				byValue[v] = append(byValue[v], id)
			}
		}
	}
	for _, key := range tests {
		of := tested[key]
		a.tested = append(a.tested, testedBy{tests: withValues(x.needAt(of[0], path)), way: of[0], group: x.group(of, used)})
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
