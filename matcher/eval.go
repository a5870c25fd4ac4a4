package matcher

import (
	"github.com/valyala/fastjson"
)

// evaluator holds what evaluating one event needs. One goroutine owns it; its
// buffers are used again for every event.
type evaluator struct {
	cur       sight
	number    []byte    // text of a number
	folded    []byte    // folded text of cur
	jsonText  []byte    // compact JSON of an object or array
	rewritten []byte    // texts made by Rewritten, one behind the other
	lowered   []byte    // lower-cased text of cur
	tokens    []tokenAt // of lowered
	path      []byte    // dotted path of the value that FieldsLike is at
	texts     []*inside // parsers of JSON inside strings, by depth
	depth     int       // of JSONText nodes
	// escapes says that keys may be written with escapes, and fastjson must
	// unescape an object's keys before the first of duplicates can be found. The
	// event's own tree has them unescaped; JSON inside strings may not.
	escapes bool

	document documentText
	enrich   Enricher // nil: there is none
}

// sight is the value that an operator judges, and its text if it has one.
type sight struct {
	v        *fastjson.Value // nil while the index judges a scanned text
	text     []byte
	isText   bool
	isFolded bool // evaluator.folded holds the folded text
}

// inside is JSON found in a string.
type inside struct {
	parser  fastjson.Parser
	of      *fastjson.Value // the string it was parsed from; nil: nothing
	value   *fastjson.Value // nil: the string is not JSON
	escapes bool            // some of its keys may be escaped
	plain   []byte          // percent-decoded text
}

// begin prepares for an event.
func (e *evaluator) begin() {
	e.document.of, e.document.fold.made = nil, false
	for _, in := range e.texts {
		in.of, in.value = nil, nil
	}
}

// text returns the text of the value in sight, folded if so asked.
func (e *evaluator) text(fold bool) []byte {
	if !fold {
		return e.cur.text
	}
	if !e.cur.isFolded {
		e.folded = appendFoldBytes(e.folded[:0], e.cur.text)
		e.cur.isFolded = true
	}
	return e.folded
}

// look makes v the value in sight; mask says which values besides strings have
// a text.
func (e *evaluator) look(v *fastjson.Value, mask TextMask) {
	e.cur = sight{v: v}
	switch v.Type() {
	case fastjson.TypeString:
		e.cur.text, e.cur.isText = v.GetStringBytes(), true
	case fastjson.TypeNumber:
		if mask&TextNumbers != 0 {
			e.number = v.MarshalTo(e.number[:0])
			e.cur.text, e.cur.isText = e.number, true
		}
	case fastjson.TypeTrue, fastjson.TypeFalse:
		if mask&TextBools != 0 {
			e.jsonText = v.MarshalTo(e.jsonText[:0])
			e.cur.text, e.cur.isText = e.jsonText, true
		}
	case fastjson.TypeObject:
		if mask&TextObjects != 0 {
			e.compact(v)
		}
	case fastjson.TypeArray:
		if mask&TextArrays != 0 {
			e.compact(v)
		}
	case fastjson.TypeNull: // never has a text
	}
}

func (e *evaluator) compact(v *fastjson.Value) {
	e.jsonText = appendCompact(e.jsonText[:0], v)
	e.cur.text, e.cur.isText = e.jsonText, true
}

// lookText makes a scanned text the value in sight.
func (e *evaluator) lookText(text []byte) { e.cur = sight{text: text, isText: true} }

// member returns the first member of v under key, nil if v is no object or has
// none.
func (e *evaluator) member(v *fastjson.Value, key string) *fastjson.Value {
	if v.Type() != fastjson.TypeObject {
		return nil
	}
	o := v.GetObject()
	if e.escapes {
		// Of {"\u0061":1,"a":2} Get finds the second as long as the keys are raw.
		// Asking for a key with a backslash makes it unescape them.
		o.Get(`\`)
	}
	return o.Get(key)
}

// verdict is what a walk along a path came to.
type verdict uint8

const (
	absent verdict = iota // no value is there
	failed
	held
)

func verdictOf(ok bool) verdict {
	if ok {
		return held
	}
	return failed
}

// judge applies the leaf to the value at the end of a path.
func (l *Leaf) judge(e *evaluator, v *fastjson.Value) verdict {
	switch v.Type() {
	case fastjson.TypeNull:
		switch l.Null {
		case NullAbsent:
			return absent
		case NullFalse:
			return failed
		case NullTrue:
			return held
		case NullSeen: // the operator judges it
		}
	case fastjson.TypeObject:
		if l.Objects == ObjectFalse {
			return failed
		}
	case fastjson.TypeArray:
		if l.Op.whole() {
			break
		}
		if l.Arrays != WholeArray {
			return l.judgeElements(e, v)
		}
		if l.Objects == ObjectFalse {
			return failed
		}
	default: // a scalar: the operator judges it
	}
	e.look(v, l.AsText)
	return verdictOf(l.Op.eval(e))
}

func (l *Leaf) judgeElements(e *evaluator, array *fastjson.Value) verdict {
	sum := absent
	if l.AsText&TextArrays != 0 || l.AsText&TextObjectArrays != 0 && hasObject(array) {
		e.look(array, TextArrays)
		if l.Arrays == AnyElement && l.Op.eval(e) {
			return held
		}
	}
	for _, v := range array.GetArray() {
		r := l.judge(e, v)
		if l.settles(&sum, r) {
			break
		}
	}
	return sum
}

// settles adds one branch's verdict to the sum of an array's; true means that
// the others cannot change it.
func (l *Leaf) settles(sum *verdict, r verdict) bool {
	if l.Arrays == EachElement {
		if r == absent {
			r = verdictOf(l.Absent)
		}
		if *sum == absent || r == failed {
			*sum = r
		}
		return *sum == failed
	}
	*sum = max(*sum, r)
	return *sum == held
}

// walk goes from v along the rest of a path and judges what is there.
func (l *Leaf) walk(e *evaluator, v *fastjson.Value, rest Path) verdict {
	for i := range rest {
		step := &rest[i]
		switch step.Kind {
		case StepKey:
			if v.Type() == fastjson.TypeArray && l.Arrays != WholeArray {
				return l.walkAll(e, v.GetArray(), rest[i:])
			}
			v = e.member(v, step.Key)
		case StepIndex:
			array := v.GetArray()
			if step.Index < 0 || step.Index >= len(array) {
				return absent
			}
			v = array[step.Index]
		case StepElements:
			return l.walkAll(e, v.GetArray(), rest[i+1:])
		case StepMembers:
			return l.walkMembers(e, v, rest[i+1:])
		}
		if v == nil {
			return absent
		}
	}
	return l.judge(e, v)
}

func (l *Leaf) walkAll(e *evaluator, array []*fastjson.Value, rest Path) verdict {
	sum := absent
	for _, v := range array {
		if l.settles(&sum, l.walk(e, v, rest)) {
			break
		}
	}
	return sum
}

func (l *Leaf) walkMembers(e *evaluator, v *fastjson.Value, rest Path) verdict {
	sum, settled := absent, false
	var seen firsts
	v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
		if !settled && seen.first(v, key, member) {
			settled = l.settles(&sum, l.walk(e, member, rest))
		}
	})
	return sum
}

func (l *Leaf) result(r verdict) bool { return r == held || r == absent && l.Absent }

func (n *And) eval(e *evaluator, v *fastjson.Value) bool {
	for _, sub := range n.Nodes {
		if !sub.eval(e, v) {
			return false
		}
	}
	return true
}

func (n *Or) eval(e *evaluator, v *fastjson.Value) bool {
	for _, sub := range n.Nodes {
		if sub.eval(e, v) {
			return true
		}
	}
	return false
}

func (n *Not) eval(e *evaluator, v *fastjson.Value) bool { return !n.Node.eval(e, v) }

func (n *Field) eval(e *evaluator, v *fastjson.Value) bool {
	return n.result(n.walk(e, v, n.Path))
}
