package matcher

import (
	"bytes"
	"strconv"

	"github.com/valyala/fastjson"
)

// FieldPair compares the text of the value at Path with that of the value at
// Other. The text of a string is itself, of any other value its compact JSON;
// null has none. Arrays are flattened on both sides: one pair that satisfies is
// enough. Without a value on either side it does not hold.
type FieldPair struct {
	Path, Other Path
	Rel         PairRelation
	Fold        bool // ignoring case
	Note        Note
}

// PairRelation says how the texts of a FieldPair must stand to each other.
type PairRelation uint8

// The relations of a FieldPair: the value at Path against that at Other.
const (
	PairEqual PairRelation = iota
	PairPrefix
	PairSuffix
	PairContains
)

var pairWords = [...]string{
	PairEqual: "is the value of", PairPrefix: "begins with the value of",
	PairSuffix: "ends with the value of", PairContains: "contains the value of",
}

func (n *FieldPair) eval(e *evaluator, v *fastjson.Value) bool {
	var left, right []byte
	return e.some(v, n.Path, func(e *evaluator, a *fastjson.Value) bool {
		var ok bool
		if left, ok = n.text(left[:0], a); !ok {
			return false
		}
		return e.some(v, n.Other, func(_ *evaluator, b *fastjson.Value) bool {
			if right, ok = n.text(right[:0], b); !ok {
				return false
			}
			return n.Rel.holds(left, right)
		})
	})
}

// text appends the text to compare; null has none.
func (n *FieldPair) text(dst []byte, v *fastjson.Value) ([]byte, bool) {
	switch v.Type() {
	case fastjson.TypeNull:
		return dst, false
	case fastjson.TypeString:
		if n.Fold {
			return appendFold(dst, v.GetStringBytes()), true
		}
		return append(dst, v.GetStringBytes()...), true
	default:
		if dst = appendCompact(dst, v); n.Fold {
			dst = appendFold(nil, dst)
		}
		return dst, true
	}
}

func (r PairRelation) holds(a, b []byte) bool {
	switch r {
	case PairPrefix:
		return bytes.HasPrefix(a, b)
	case PairSuffix:
		return bytes.HasSuffix(a, b)
	case PairContains:
		return bytes.Contains(a, b)
	default:
		return bytes.Equal(a, b)
	}
}

func (n *FieldPair) canon(dst []byte) []byte {
	dst = canonPath(append(dst, "(pair "...), n.Path)
	dst = strconv.AppendUint(append(dst, ' '), uint64(n.Rel), 10)
	if n.Fold {
		dst = append(dst, "-fold"...)
	}
	return append(canonPath(append(dst, ' '), n.Other), ')')
}

func (n *FieldPair) explain(x *explainer, v *fastjson.Value) Explanation {
	words := n.Path.String() + " " + pairWords[n.Rel] + " " + n.Other.String() + foldWords(n.Fold)
	ex := x.lead(n, v, n.Note, words)
	for _, p := range []Path{n.Path, n.Other} {
		x.visit(v, p, true, func(at *fastjson.Value) { ex.see(at) })
	}
	return ex
}

// needs: both sides have a value other than null.
func (n *FieldPair) needs() plan {
	sum := unknown()
	for _, p := range []Path{n.Path, n.Other} {
		side := presence(p)
		if side.says() {
			side[0][0].notNull = true
		}
		sum = product(sum, side)
	}
	return sum
}

func (n *FieldPair) reads(yield func(Path)) {
	yield(n.Path)
	yield(n.Other)
}
