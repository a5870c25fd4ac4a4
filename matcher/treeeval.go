package matcher

import (
	"bytes"

	"github.com/valyala/fastjson"
)

func (t *Tree) eval(e *evaluator, v *fastjson.Value) bool {
	w := treeWalk{e: e}
	if t.plain && v.Type() == fastjson.TypeObject {
		return w.members(&t.root, v, false)
	}
	return w.holds(&t.root, v, false)
}

// treeWalk evaluates a Tree on one value.
type treeWalk struct{ e *evaluator }

// holds says whether the branch holds for v, which stands at it. With settled
// its own leaf is satisfied already.
func (w treeWalk) holds(b *branch, v *fastjson.Value, settled bool) bool {
	switch v.Type() {
	case fastjson.TypeArray:
		return w.array(b, v, settled)
	case fastjson.TypeObject:
		if b.leaf != nil && !settled && !b.leaf.Absent {
			return false
		}
		if b.deep && hasDottedKey(v) {
			return w.merged(b, []*fastjson.Value{v}, nil)
		}
		return w.members(b, v, true)
	default:
		return (b.leaf == nil || settled || w.judge(b.leaf, v)) && b.mayLack
	}
}

// members says whether all kids hold for the members of the object v.
func (w treeWalk) members(b *branch, v *fastjson.Value, below bool) bool {
	if !below && b.leaf != nil && !b.leaf.Absent {
		return false
	}
	for _, k := range b.kids {
		at := w.e.member(v, k.key)
		if at == nil {
			if !k.lacking() {
				return false
			}
			continue
		}
		if !w.holds(k, at, false) {
			return false
		}
	}
	return true
}

func (w treeWalk) judge(l *TreeLeaf, v *fastjson.Value) bool {
	if l.Op == nil {
		return false
	}
	w.e.look(v, 0)
	return l.Op.eval(w.e)
}

// array says whether the branch holds for the array v.
func (w treeWalk) array(b *branch, v *fastjson.Value, settled bool) bool {
	elements := v.GetArray()
	if b.leaf != nil && !settled {
		// A scalar is in no element: it leaves the others free.
		for _, el := range elements {
			if isScalar(el) && w.judge(b.leaf, el) {
				if len(b.kids) == 0 || w.array(b, v, true) {
					return true
				}
				break
			}
		}
	}
	if settled && len(b.kids) == 0 {
		return true
	}
	var first *below
	if b.someMayLack {
		// The first leaf in order that has a value anywhere in the array is the
		// one that picks the element: those before it must do without, and it
		// cannot.
		for i := range b.leaves {
			l := &b.leaves[i]
			if settled && len(l.rest) == 0 {
				continue
			}
			if w.has(v, l.rest) {
				first = l
				break
			}
			if !l.absent {
				return false
			}
		}
		if first == nil {
			return true
		}
	}
	for _, el := range elements {
		if !isScalar(el) && (first == nil || w.has(el, first.rest)) && w.holds(b, el, settled) {
			return true
		}
	}
	return false
}

// has says whether a scalar is at the rest of a path from v, in any element of
// the arrays on the way.
func (w treeWalk) has(v *fastjson.Value, rest []string) bool {
	switch v.Type() {
	case fastjson.TypeArray:
		for _, el := range v.GetArray() {
			if w.has(el, rest) {
				return true
			}
		}
		return false
	case fastjson.TypeObject:
		if len(rest) == 0 {
			return false
		}
		if at := w.e.member(v, rest[0]); at != nil && w.has(at, rest[1:]) {
			return true
		}
		return len(rest) > 1 && hasDottedKey(v) && w.hasDotted(v, rest)
	default:
		return len(rest) == 0
	}
}

func isScalar(v *fastjson.Value) bool {
	t := v.Type()
	return t != fastjson.TypeObject && t != fastjson.TypeArray
}

// hasDottedKey says whether a key of the object v has a dot in it.
func hasDottedKey(v *fastjson.Value) bool {
	found := false
	v.GetObject().Visit(func(key []byte, _ *fastjson.Value) {
		found = found || bytes.IndexByte(key, '.') >= 0
	})
	return found
}
