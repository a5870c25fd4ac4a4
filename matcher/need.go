package matcher

import (
	"slices"
	"strings"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// need is a necessary condition on the value at one path, as a scan of the
// event's bytes can see it: the path is not missing, and (unless only presence
// is asked) the value's text is one of values when folded, or satisfies one of
// tests. A scan that meets an array or an object decides nothing.
type need struct {
	path    cloudtrail.Path
	id      int32    // of the path, in an index
	values  []string // folded, sorted, distinct
	tests   []Op     // textual
	present bool     // presence is enough; values and tests are not used
	notNull bool     // null does not count as present
}

// finite says that the need is a set of values.
func (n *need) finite() bool { return !n.present && len(n.tests) == 0 }

// way is a set of needs with distinct paths, all of which must hold.
type way []need

// plan is what a node needs: one of its ways must hold. A plan without ways
// never holds; one with an empty way says nothing.
type plan []way

// Bounds of plans.
const (
	maxWays   = 16   // ways of one rule; beyond it the rule is not indexed
	maxValues = 4096 // values of one need; beyond it they are tested, not indexed
	// maxExpansion bounds how many texts a regular expression expands to.
	maxExpansion = 1024
)

func unknown() plan { return plan{way{}} }

func (p plan) says() bool {
	return !slices.ContainsFunc(p, func(w way) bool { return len(w) == 0 })
}

func (w way) find(path cloudtrail.Path) int {
	return slices.IndexFunc(w, func(n need) bool { return slices.Equal(n.path, path) })
}

func (n *And) needs() plan {
	sum := unknown()
	for _, sub := range n.Nodes {
		p := sub.needs()
		if len(sum)*len(p) <= maxWays {
			sum = product(sum, p)
			continue
		}
		// Too many: the plan that says more stands for both.
		if !sum.says() || p.says() && len(p) < len(sum) {
			sum = p
		}
	}
	return sum
}

func product(a, b plan) plan {
	out := make(plan, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			w := slices.Clone(x)
			for _, n := range y {
				if i := w.find(n.path); i >= 0 {
					w[i] = both(w[i], n)
				} else {
					w = append(w, n)
				}
			}
			out = append(out, w)
		}
	}
	return out
}

// both returns what two needs at one path come to.
func both(a, b need) need {
	switch {
	case a.finite() && b.finite():
		a.values = slices.DeleteFunc(slices.Clone(a.values), func(v string) bool {
			_, ok := slices.BinarySearch(b.values, v)
			return !ok
		})
		return a
	case a.finite():
		return a
	case b.finite():
		return b
	case a.present:
		b.notNull = b.notNull || a.notNull
		return b
	default:
		return a
	}
}

func (n *Or) needs() plan {
	var sum plan
	for _, sub := range n.Nodes {
		p := sub.needs()
		if !p.says() {
			return unknown()
		}
		for _, w := range p {
			sum = sum.add(w)
		}
	}
	if len(sum) > maxWays {
		return unknown()
	}
	return sum
}

// add adds a way to a disjunction; it melts into one that has a set of values
// at the same path.
func (p plan) add(w way) plan {
	for i, other := range p {
		var common way
		sets := false
		for _, n := range w {
			if j := other.find(n.path); j >= 0 {
				u := either(n, other[j])
				sets = sets || u.finite()
				common = append(common, u)
			}
		}
		if sets || len(common) > 0 && len(p) >= maxWays {
			p[i] = common
			return p
		}
	}
	return append(p, slices.Clone(w))
}

// either returns what one of two needs at one path comes to.
func either(a, b need) need {
	u := need{path: a.path, present: a.present || b.present, notNull: a.nullFails() && b.nullFails()}
	if !u.present {
		u.values = merged(a.values, b.values)
		u.tests = slices.Concat(a.tests, b.tests)
	}
	return u
}

// nullFails says that null does not satisfy the need.
func (n *need) nullFails() bool { return n.notNull || !n.present }

func merged(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// needs of a Not are those of a doubled one; of others nothing is known.
func (n *Not) needs() plan {
	if inner, ok := n.Node.(*Not); ok {
		return inner.Node.needs()
	}
	return unknown()
}

func (n *Field) needs() plan {
	path, ok := n.Path.Plain()
	if !ok || len(path) == 0 || n.Absent {
		return unknown()
	}
	nd := need{path: path}
	values, finite := finiteTexts(n.Op)
	switch {
	case n.Null == NullTrue:
		nd.present = true
	case finite && len(values) <= maxValues:
		nd.values = values
	case n.Op.textual():
		nd.tests = []Op{n.Op}
	default:
		nd.present, nd.notNull = true, n.Null == NullFalse || n.Null == NullAbsent
	}
	return plan{way{nd}}
}

// presence is the plan of a node that looks into what stands at p.
func presence(p Path) plan {
	path, ok := p.Plain()
	if !ok || len(path) == 0 {
		return unknown()
	}
	return plan{way{need{path: path, present: true}}}
}

func (n *SameElement) needs() plan { return presence(n.Path) }
func (n *JSONText) needs() plan    { return presence(n.Path) }
func (n *Anywhere) needs() plan    { return unknown() }
func (n *Keyword) needs() plan     { return unknown() }

// finiteTexts returns, folded, the texts of all values for which op can hold.
func finiteTexts(op Op) (folded []string, ok bool) {
	switch op := op.(type) {
	case *stringSet:
		return canonicalTexts(true, op.values), true
	case isBool:
		return []string{strings.ToUpper(op.words()[len("is "):])}, true
	case *wildcard:
		for _, g := range op.globs {
			text, literal := g.literal()
			if !literal {
				return nil, false
			}
			folded = append(folded, text)
		}
		return canonicalTexts(true, folded), true
	case *regex:
		texts, _, ok := ExpandRegexp(op.tree, op.anchored, maxExpansion)
		return canonicalTexts(true, texts), ok
	case *oneOf:
		for _, sub := range op.ops {
			texts, ok := finiteTexts(sub)
			if !ok {
				return nil, false
			}
			folded = merged(folded, texts)
		}
		return folded, true
	case *every:
		for _, sub := range op.ops {
			if texts, ok := finiteTexts(sub); ok {
				return texts, true
			}
		}
	}
	return nil, false
}

// The paths that a node reads.

func readAll(nodes []Node, yield func(Path)) {
	for _, n := range nodes {
		n.reads(yield)
	}
}

func (n *And) reads(yield func(Path))         { readAll(n.Nodes, yield) }
func (n *Or) reads(yield func(Path))          { readAll(n.Nodes, yield) }
func (n *Not) reads(yield func(Path))         { n.Node.reads(yield) }
func (n *Field) reads(yield func(Path))       { yield(n.Path) }
func (n *SameElement) reads(yield func(Path)) { yield(n.Path) }
func (n *JSONText) reads(yield func(Path))    { yield(n.Path) }
func (n *Anywhere) reads(yield func(Path))    { yield(nil) }
func (n *Keyword) reads(yield func(Path))     { yield(nil) }
