package matcher

import (
	"slices"
	"strings"

	"github.com/valyala/fastjson"
)

// placed is a value that a dotted key puts at a branch.
type placed struct {
	at *branch
	v  *fastjson.Value
}

// merged says whether b holds for the values that stand at it together, where
// dotted keys of objects above have put others below it: {"a.b": 1, "a": {"c": 2}}
// is {"a": {"b": 1, "c": 2}}. An array among several values must satisfy the
// branch alone; a bound for what CloudTrail never writes.
func (w treeWalk) merged(b *branch, here []*fastjson.Value, under []placed) bool {
	if len(here) == 1 && len(under) == 0 && (here[0].Type() != fastjson.TypeObject || !b.deep) {
		return w.holds(b, here[0], false)
	}
	settled := b.leaf == nil || b.leaf.Absent && !slices.ContainsFunc(here, func(v *fastjson.Value) bool { return w.has(v, nil) })
	under = slices.Clone(under)
	for _, v := range here {
		switch v.Type() {
		case fastjson.TypeArray:
			if w.holds(b, v, false) && len(under) == 0 {
				return true
			}
			settled = settled || b.leaf != nil && w.holds(&branch{leaf: b.leaf, mayLack: true}, v, false)
		case fastjson.TypeObject:
			w.place(b, v, &under)
		default:
			settled = settled || w.judge(b.leaf, v)
		}
	}
	if !settled {
		return false
	}
	for _, k := range b.kids {
		var at []*fastjson.Value
		var deeper []placed
		for _, p := range under {
			switch {
			case p.at == k:
				at = append(at, p.v)
			case k.leads(p.at):
				deeper = append(deeper, p)
			}
		}
		if len(at) == 0 && len(deeper) == 0 {
			if !k.lacking() {
				return false
			}
			continue
		}
		if !w.merged(k, at, deeper) {
			return false
		}
	}
	return true
}

// place appends the members of the object v that are at branches below b.
func (w treeWalk) place(b *branch, v *fastjson.Value, out *[]placed) {
	var seen firsts
	v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
		if at := b.find(string(key)); at != nil && seen.first(v, key, member) {
			*out = append(*out, placed{at, member})
		}
	})
}

// find returns the branch below b that a key, perhaps with dots, names.
func (b *branch) find(key string) *branch {
	for part := range strings.SplitSeq(key, ".") {
		i := slices.IndexFunc(b.kids, func(k *branch) bool { return k.key == part })
		if i < 0 {
			return nil
		}
		b = b.kids[i]
	}
	return b
}

// leads says whether other is below b.
func (b *branch) leads(other *branch) bool {
	return slices.ContainsFunc(b.kids, func(k *branch) bool { return k == other || k.leads(other) })
}

// hasDotted is has for the dotted keys of the object v.
func (w treeWalk) hasDotted(v *fastjson.Value, rest []string) bool {
	for n := 2; n <= len(rest); n++ {
		if at := w.e.member(v, strings.Join(rest[:n], ".")); at != nil && w.has(at, rest[n:]) {
			return true
		}
	}
	return false
}
