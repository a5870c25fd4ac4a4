package matcher

import (
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// KindMask is a set of JSON types.
type KindMask uint8

// The bits of a KindMask.
const (
	KindString KindMask = 1 << iota
	KindNumber
	KindBool
	KindNull
	KindObject
	KindArray
)

// KindIs holds for values of the types in mask.
func KindIs(mask KindMask) Op { return kindIs{mask: mask} }

// IsBool holds for the JSON boolean want.
func IsBool(want bool) Op { return isBool{want: want} }

// IsNull holds for JSON null.
func IsNull() Op { return isNull{} }

// Exists holds for every value, null, [] and {} included. Arrays at the end of
// the path are seen whole. For "must not exist" negate the Field, or use
// Leaf.Absent with Neither(Exists()).
func Exists() Op { return exists{} }

// HasLeaf holds for every value but objects, and for arrays that hold such a
// value: what EventBridge calls existing.
func HasLeaf() Op { return hasLeaf{} }

type (
	kindIs struct {
		notText
		mask KindMask
	}
	isBool struct {
		notText
		want bool
	}
	isNull  struct{ notText }
	exists  struct{ notText }
	hasLeaf struct{ notText }
)

// notText are the traits of the operators that look at a value, not its text.
type notText struct{}

func (notText) whole() bool   { return false }
func (notText) textual() bool { return false }

func (o kindIs) eval(e *evaluator) bool { return e.cur.v != nil && maskOf(e.cur.v)&o.mask != 0 }

func (o isBool) eval(e *evaluator) bool {
	if e.cur.v == nil {
		return false
	}
	t := e.cur.v.Type()
	return o.want && t == fastjson.TypeTrue || !o.want && t == fastjson.TypeFalse
}

func (isNull) eval(e *evaluator) bool {
	return e.cur.v != nil && e.cur.v.Type() == fastjson.TypeNull
}

func (exists) eval(*evaluator) bool { return true }

func (hasLeaf) eval(e *evaluator) bool { return holdsLeaf(e.cur.v) }

func (exists) whole() bool  { return true }
func (hasLeaf) whole() bool { return true }

func holdsLeaf(v *fastjson.Value) bool {
	switch maskOf(v) {
	case KindObject:
		return false
	case KindArray:
		return slices.ContainsFunc(v.GetArray(), holdsLeaf)
	default:
		return true
	}
}

func (o kindIs) canon(dst []byte) []byte { return append(dst, "(kind "+o.names("|")+")"...) }
func (o isBool) canon(dst []byte) []byte { return strconv.AppendBool(dst, o.want) }
func (isNull) canon(dst []byte) []byte   { return append(dst, "null"...) }
func (exists) canon(dst []byte) []byte   { return append(dst, "exists"...) }
func (hasLeaf) canon(dst []byte) []byte  { return append(dst, "has-leaf"...) }

func (o kindIs) words() string { return "is a " + o.names(" or ") }
func (o isBool) words() string { return "is " + strconv.FormatBool(o.want) }
func (isNull) words() string   { return "is null" }
func (exists) words() string   { return "exists" }
func (hasLeaf) words() string  { return "exists as a leaf" }

var kindNames = [...]string{"string", "number", "boolean", "null", "object", "array"}

func (o kindIs) names(sep string) string {
	var names []string
	for i, name := range kindNames {
		if o.mask&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, sep)
}

func maskOf(v *fastjson.Value) KindMask {
	switch v.Type() {
	case fastjson.TypeString:
		return KindString
	case fastjson.TypeNumber:
		return KindNumber
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return KindBool
	case fastjson.TypeNull:
		return KindNull
	case fastjson.TypeObject:
		return KindObject
	default:
		return KindArray
	}
}
