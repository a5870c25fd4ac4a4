package matcher

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Tree holds when every one of its leaves finds its value, and all of them find
// theirs in the same elements of the arrays on their ways: two leaves below one
// array must be satisfied inside one of its elements. A value that stands in an
// array itself, not in an object or array inside it, is in no element.
//
// A leaf may also hold for want of a value (TreeLeaf.Absent): no value may then be
// at its path in the elements that the leaves before it, in the order of their
// paths, are in; where none of those is below the array, in all its elements.
//
// Only scalars are values: null is one, objects, {} and [] are none.
//
// A key with dots in the event is the same as the nested keys.
//
// Evaluation looks at each value of the event a bounded number of times, whatever
// the arrays: it does not try combinations.
//
// Semantics: aws/event-ruler, array consistency and "exists": false.
type Tree struct {
	leaves []TreeLeaf // by path, distinct
	root   branch
	plain  bool
	Note   Note
}

// TreeLeaf is one test of a Tree.
type TreeLeaf struct {
	Path []string // plain keys, without dots in them
	// Op judges a scalar; nil: none satisfies.
	Op Op
	// Absent: the leaf also holds where no value is.
	Absent bool
	Note   Note
}

// branch is a key of a Tree.
type branch struct {
	key  string
	leaf *TreeLeaf // the test of what stands here, or nil
	kids []*branch
	// leaves are those below and here, in the order of their paths, each with
	// the rest of its path from here.
	leaves []below
	// mayLack says that all leaves below (not here) hold where nothing is,
	// someMayLack that one here or below does.
	mayLack, someMayLack bool
	deep                 bool // some kid has kids: a dotted key may lead below
}

type below struct {
	rest   []string
	absent bool
}

// NewTree returns the Tree of leaves; of several with one path the last counts.
// With plainTop the event's own keys are taken as they are: only below them
// does a key with dots stand for nested ones. (CloudTrail writes no dots into
// the names of top-level fields, and the index can then look for them.)
func NewTree(plainTop bool, leaves []TreeLeaf, note Note) *Tree {
	byPath := make(map[string]TreeLeaf, len(leaves))
	for _, l := range leaves {
		byPath[strings.Join(l.Path, ".")] = l
	}
	t := &Tree{plain: plainTop, Note: note}
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		t.leaves = append(t.leaves, byPath[path])
	}
	for i := range t.leaves {
		t.root.add(&t.leaves[i], t.leaves[i].Path)
	}
	t.root.seal()
	return t
}

func (b *branch) add(leaf *TreeLeaf, rest []string) {
	for {
		b.leaves = append(b.leaves, below{rest, leaf.Absent})
		if len(rest) == 0 {
			b.leaf = leaf
			return
		}
		b = b.kid(rest[0])
		rest = rest[1:]
	}
}

func (b *branch) kid(key string) *branch {
	for _, k := range b.kids {
		if k.key == key {
			return k
		}
	}
	k := &branch{key: key}
	b.kids = append(b.kids, k)
	return k
}

func (b *branch) seal() {
	b.mayLack = true
	for _, l := range b.leaves {
		b.someMayLack = b.someMayLack || l.absent
		b.mayLack = b.mayLack && (l.absent || len(l.rest) == 0)
	}
	for _, k := range b.kids {
		b.deep = b.deep || len(k.kids) > 0
		k.seal()
	}
}

// lacking says whether the branch holds where nothing stands.
func (b *branch) lacking() bool { return b.mayLack && (b.leaf == nil || b.leaf.Absent) }

func (l *TreeLeaf) canon(dst []byte) []byte {
	dst = canonPath(append(dst, "(leaf "...), Keys(l.Path...))
	if l.Absent {
		dst = append(dst, " absent"...)
	}
	if l.Op != nil {
		dst = l.Op.canon(append(dst, ' '))
	}
	return append(dst, ')')
}

func (t *Tree) canon(dst []byte) []byte {
	dst = append(dst, "(tree "...)
	dst = strconv.AppendBool(dst, t.plain)
	for i := range t.leaves {
		dst = t.leaves[i].canon(append(dst, ' '))
	}
	return append(dst, ')')
}

// needs are those of the leaves that no dotted key can satisfy.
func (t *Tree) needs() plan {
	var nodes, weak []Node
	for i := range t.leaves {
		l := &t.leaves[i]
		switch n := len(l.Path); {
		case l.Absent || n == 0:
			continue
		case l.Op == nil:
			return nil // never holds
		case n == 1 || n == 2 && t.plain:
			nodes = append(nodes, &Field{Path: Keys(l.Path...), Leaf: Leaf{Op: l.Op}})
		case t.plain:
			weak = append(weak, &Field{Path: Keys(l.Path[0]), Leaf: Leaf{Op: Exists(), Null: NullFalse}})
		}
	}
	if len(nodes) == 0 {
		nodes = weak
	}
	return (&And{Nodes: nodes}).needs()
}

func (t *Tree) reads(yield func(Path)) {
	for i := range t.leaves {
		yield(Keys(t.leaves[i].Path...))
	}
}
