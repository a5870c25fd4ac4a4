package matcher

import (
	"slices"

	"github.com/valyala/fastjson"
)

// hasObject says that one of the array's elements is an object.
func hasObject(array *fastjson.Value) bool {
	return slices.ContainsFunc(array.GetArray(), func(v *fastjson.Value) bool {
		return v.Type() == fastjson.TypeObject
	})
}
