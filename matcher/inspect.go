package matcher

import (
	"bytes"
	"strings"

	"github.com/valyala/fastjson"
)

// Canonical returns the canonical text of a condition: conditions of equal text
// decide alike.
func Canonical(n Node) string { return string(n.canon(nil)) }

// CanonicalOp is Canonical of what judges one value.
func CanonicalOp(op Op) string { return string(op.canon(nil)) }

// DetectionHash is Rule.Hash without the rule's ID: rules that share it have the
// same condition and threshold.
func DetectionHash(r *Rule) uint64 {
	anonymous := *r
	anonymous.ID = ""
	return anonymous.hash()
}

// OpWords describes an Op as a predicate: `is "a" or "b"`.
func OpWords(op Op) string { return op.words() }

// Indexed says whether the index can serve a rule with that condition.
func Indexed(n Node) bool {
	x := buildIndex([]*Rule{{Enabled: true, Cond: n}})
	return x.rest == nil || len(x.rest.always) == 0
}

// Probe evaluates conditions on made-up events. One goroutine owns it.
type Probe struct {
	eval   evaluator
	parser fastjson.Parser
}

// Holds evaluates n on a JSON object. No Enricher is asked. Of what is not JSON
// it is false.
func (p *Probe) Holds(n Node, event string) bool {
	v, err := p.parser.Parse(event)
	if err != nil {
		return false
	}
	p.eval.begin()
	p.eval.document.raw = append(p.eval.document.raw[:0], event...)
	return n.eval(&p.eval, v)
}

// Fields returns the leaves of a Tree as nodes of which each must hold for the
// Tree to hold. Leaves that keys with dots in them might satisfy in another
// place are left out.
func (t *Tree) Fields() []Node {
	var out []Node
	for i := range t.leaves {
		l := &t.leaves[i]
		if len(l.Path) != 1 && !t.plain {
			continue
		}
		f := &Field{Path: Keys(l.Path...), Leaf: Leaf{Op: l.Op, Absent: l.Absent, Objects: ObjectFalse}, Note: l.Note}
		if l.Op == nil {
			f.Op = OneOf() // holds for nothing
		}
		out = append(out, f)
	}
	return out
}

// OpTexts are the texts for which an Op can hold.
type OpTexts struct {
	Texts []string
	Fold  bool // the same texts in any case may satisfy as well
	// Listed says that a person wrote the texts out; others are made from
	// regular expressions.
	Listed bool
}

// TextsOf returns the texts of all values for which op can hold; ok is false
// when there is no end of them or more than some thousand. With words the texts
// are all that consist of letters, digits and underscores only: of an analysed
// field those that are one word.
func TextsOf(op Op, words bool) (t OpTexts, ok bool) {
	switch op := op.(type) {
	case *stringSet:
		return OpTexts{Texts: op.values, Fold: op.fold, Listed: true}, true
	case isBool:
		return OpTexts{Texts: []string{strings.TrimPrefix(op.words(), "is ")}, Listed: true}, true
	case *wildcard:
		t = OpTexts{Fold: op.fold, Listed: true}
		for _, g := range op.globs {
			text, literal := g.literal()
			if !literal {
				return OpTexts{}, false
			}
			t.Texts = append(t.Texts, text)
		}
		return t, true
	case *regex:
		t.Texts, t.Fold, ok = ExpandRegexp(op.tree, op.anchored, maxExpansion)
		return t, ok
	case *oneOf:
		return unionTexts(op.ops, words)
	case *every:
		for _, sub := range op.ops {
			if t, ok = TextsOf(sub, words); ok {
				return t, true
			}
		}
	case *forKind:
		return TextsOf(op.op, words)
	case *dateOr:
		return unionTexts([]Op{op.date, op.other}, words)
	case *anyToken:
		if words {
			t, ok = TextsOf(op.op, words)
			t.Fold = true // tokens are in small letters
			return t, ok
		}
	case *phrase:
		if words && len(op.tokens) == 1 {
			return OpTexts{Texts: op.tokens, Fold: true, Listed: true}, true
		}
		return OpTexts{}, words // no word holds several
	case *numberText:
		if words && op.rel == EQ {
			return OpTexts{Texts: []string{string(op.operand.append(nil))}, Listed: true}, true
		}
	}
	return OpTexts{}, false
}

func unionTexts(ops []Op, words bool) (OpTexts, bool) {
	sum := OpTexts{Listed: true}
	for _, sub := range ops {
		t, ok := TextsOf(sub, words)
		if !ok || len(sum.Texts)+len(t.Texts) > maxValues {
			return OpTexts{}, false
		}
		sum.Texts = append(sum.Texts[:len(sum.Texts):len(sum.Texts)], t.Texts...)
		sum.Fold = sum.Fold || t.Fold
		sum.Listed = sum.Listed && t.Listed
	}
	return sum, true
}

// IgnoresCase says that op holds for a text whenever it holds for the same in
// another case.
func IgnoresCase(op Op) bool {
	switch op := op.(type) {
	case *stringSet:
		return op.fold
	case *affix:
		return op.fold
	case *wildcard:
		return op.fold
	case *anyToken, *phrase, exists, hasValue, hasLeaf, holdsNull, isNull, kindIs:
		return true
	case *forKind:
		return IgnoresCase(op.op)
	case *oneOf:
		return allIgnoreCase(op.ops)
	case *every:
		return allIgnoreCase(op.ops)
	case *neither:
		return allIgnoreCase(op.ops)
	}
	return false
}

func allIgnoreCase(ops []Op) bool {
	for _, op := range ops {
		if !IgnoresCase(op) {
			return false
		}
	}
	return true
}

// AsksPresence says that op holds for every value, or for every one but null and
// what is empty: that it asks whether there is a value.
func AsksPresence(op Op) bool {
	switch op.(type) {
	case exists, hasValue, hasLeaf:
		return true
	}
	return false
}

// SubsetOf says that a leaf holds wherever another does, as far as their form
// shows it: they are the same, or the same but for lists of texts.
func (l *Leaf) SubsetOf(other *Leaf) bool {
	if bytes.Equal(l.canon(nil), other.canon(nil)) {
		return true
	}
	if l.Arrays != other.Arrays || l.AsText != other.AsText || l.Null != other.Null || l.Objects != other.Objects || l.Absent != other.Absent {
		return false
	}
	a, ok := l.Op.(*stringSet)
	b, ok2 := other.Op.(*stringSet)
	if !ok || !ok2 || a.fold && !b.fold {
		return false
	}
	in := make(map[string]bool, len(b.values))
	for _, v := range b.values {
		in[v] = true
	}
	for _, v := range a.values {
		if b.fold && !a.fold {
			v = Fold(v)
		}
		if !in[v] {
			return false
		}
	}
	return true
}
