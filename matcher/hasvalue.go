package matcher

import (
	"slices"

	"github.com/valyala/fastjson"
)

// HasValue holds for every value but null, and for an array or an object only
// when it holds for something inside: [], {} and {"a":[null]} have no value.
//
// Semantics: Elasticsearch, exists query.
func HasValue() Op { return hasValue{} }

type hasValue struct{ notText }

func (hasValue) eval(e *evaluator) bool { return e.cur.v != nil && holdsValue(e.cur.v) }

func (hasValue) whole() bool { return true }

func holdsValue(v *fastjson.Value) bool {
	switch maskOf(v) {
	case KindNull:
		return false
	case KindArray:
		return slices.ContainsFunc(v.GetArray(), holdsValue)
	case KindObject:
		found := false
		var seen firsts
		v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
			found = found || seen.first(v, key, member) && holdsValue(member)
		})
		return found
	default:
		return true
	}
}

func (hasValue) canon(dst []byte) []byte { return append(dst, "has-value"...) }
func (hasValue) words() string           { return "has a value" }
