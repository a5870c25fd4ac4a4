package matcher

import (
	"slices"

	"github.com/valyala/fastjson"
)

// HoldsNull holds for JSON null, and for an array that has null as an element
// (at any depth of arrays). An empty array does not hold null. With
// Leaf.Absent it is what Sigma calls null: missing or null.
func HoldsNull() Op { return holdsNull{} }

type holdsNull struct{ notText }

func (holdsNull) eval(e *evaluator) bool { return e.cur.v != nil && hasNull(e.cur.v) }

// whole: an empty array at the end of a path must not look like no value.
func (holdsNull) whole() bool { return true }

func (holdsNull) canon(dst []byte) []byte { return append(dst, "holds-null"...) }
func (holdsNull) words() string           { return "is null" }

func hasNull(v *fastjson.Value) bool {
	switch v.Type() {
	case fastjson.TypeNull:
		return true
	case fastjson.TypeArray:
		return slices.ContainsFunc(v.GetArray(), hasNull)
	default:
		return false
	}
}
