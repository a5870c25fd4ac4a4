package matcher

import "github.com/valyala/fastjson"

// ForKind narrows op, which must look at texts only, to values of the types in
// kinds: Leaf.AsText may show others as text as well.
func ForKind(kinds KindMask, op Op) Op { return &forKind{kinds: kinds, op: op} }

// NumberText holds for a text that is a JSON number and stands in the relation
// to operand, another; the comparison is exact. ok is false if operand is none.
// Unlike Compare it looks at the text that Leaf.AsText gives a number.
func NumberText(rel Relation, operand string) (op Op, ok bool) {
	d, ok := parseDecimal([]byte(operand))
	return &numberText{rel: rel, operand: d}, ok
}

// DateOr judges a text that begins as an ISO 8601 date does (2006-01-02) by
// date, and others by other.
func DateOr(date, other Op) Op { return &dateOr{date: date, other: other} }

type (
	forKind struct {
		kinds KindMask
		op    Op
	}
	numberText struct {
		onText
		rel     Relation
		operand decimal
	}
	dateOr struct{ date, other Op }
)

// A text that the index scanned has lost its type: any may be it.
func (o *forKind) eval(e *evaluator) bool {
	return (e.cur.v == nil || maskOf(e.cur.v)&o.kinds != 0) && o.op.eval(e)
}

func (o *numberText) eval(e *evaluator) bool {
	if !e.cur.isText || e.cur.v != nil && e.cur.v.Type() == fastjson.TypeString {
		return false
	}
	d, ok := parseDecimal(e.cur.text)
	return ok && o.rel.holds(d.compare(&o.operand))
}

func (o *dateOr) eval(e *evaluator) bool {
	if e.cur.isText && beginsAsDate(e.cur.text) {
		return o.date.eval(e)
	}
	return o.other.eval(e)
}

func beginsAsDate(s []byte) bool {
	const form = "dddd-dd-dd"
	if len(s) < len(form) {
		return false
	}
	for i := range len(form) {
		if form[i] == '-' && s[i] != '-' || form[i] == 'd' && !isDigit(s[i]) {
			return false
		}
	}
	return len(s) == len(form) || s[len(form)] == 'T' || s[len(form)] == ' '
}

func (o *forKind) whole() bool   { return o.op.whole() }
func (o *forKind) textual() bool { return o.op.textual() }
func (o *dateOr) whole() bool    { return o.date.whole() || o.other.whole() }
func (o *dateOr) textual() bool  { return o.date.textual() && o.other.textual() }

func (o *forKind) canon(dst []byte) []byte {
	dst = kindIs{mask: o.kinds}.canon(append(dst, "(for "...))
	return append(o.op.canon(append(dst, ' ')), ')')
}

func (o *numberText) canon(dst []byte) []byte {
	dst = append(append(append(dst, "(number-text"...), o.rel.String()...), ' ')
	return append(o.operand.append(dst), ')')
}

func (o *dateOr) canon(dst []byte) []byte {
	dst = append(o.date.canon(append(dst, "(date "...)), ' ')
	return append(o.other.canon(dst), ')')
}

func (o *forKind) words() string    { return o.op.words() }
func (o *numberText) words() string { return o.rel.String() + " " + string(o.operand.append(nil)) }
func (o *dateOr) words() string     { return o.other.words() }
