package matcher

import "github.com/valyala/fastjson"

// Node is a compiled condition: one of And, Or, Not, Field, SameElement,
// Anywhere, JSONText and Keyword. Rule languages compile to it; the only
// evaluator is this package's. A Node must not change once it is in a Rule.
type Node interface {
	// eval says whether the node holds for v, the event or, below SameElement
	// and JSONText, a value inside it.
	eval(e *evaluator, v *fastjson.Value) bool
	// canon appends the node's canonical text: nodes of equal text decide alike.
	canon(dst []byte) []byte
	explain(x *explainer, v *fastjson.Value) Explanation
	// needs says what must be true of an event for which the node holds.
	needs() plan
	// reads calls yield for each path that the node reads; nil stands for any.
	reads(yield func(Path))
}

// Note is what a front end attaches to a node for explanations. It takes no
// part in the meaning of the node nor in Rule.Hash.
type Note struct {
	Label string // the predicate in the rule's own words; empty: words are made up
	Pos   Pos
}

// And holds when all of Nodes do; without any it holds.
type And struct {
	Nodes []Node
	Note  Note
}

// Or holds when one of Nodes does; without any it does not.
type Or struct {
	Nodes []Node
	Note  Note
}

// Not holds when Node does not. A test on an absent field does not hold unless
// its Leaf says so, and the Not of it therefore does.
type Not struct {
	Node Node
	Note Note
}

// Field tests the value at Path.
type Field struct {
	Path Path
	Leaf
	Note Note
}

// SameElement holds when some element of the array at Path satisfies Node,
// whose paths are relative to that element. Arrays on the way are flattened; a
// value at Path that is no array is taken for its only element.
type SameElement struct {
	Path Path
	Node Node
	Note Note
}

// Anywhere tests every value that stands under Key, at any depth; it holds when
// one of them satisfies the Leaf. Leaf.Absent holds when there is no such key.
type Anywhere struct {
	Key string
	Leaf
	Note Note
}

// JSONText looks into a string that holds JSON text, perhaps percent-encoded as
// IAM writes policy documents: it holds when Node, whose paths are relative to
// the text's value, does. A value at Path that is an object already is looked
// into as it is; arrays on the way and at the end are flattened (any element).
// A string that is not JSON text does not satisfy it.
type JSONText struct {
	Path Path
	Node Node
	Note Note
}

// Keyword holds when some value anywhere in the event satisfies the Leaf. With
// Document the event's whole compact JSON text is tried as well.
type Keyword struct {
	Leaf
	Document bool
	Note     Note
}
