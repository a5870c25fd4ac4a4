package matcher

import "github.com/valyala/fastjson"

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
func KindIs(mask KindMask) Op { return kindIs(mask) }

// IsBool holds for the JSON boolean want.
func IsBool(want bool) Op { return isBool(want) }

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
	kindIs  KindMask
	isBool  bool
	isNull  struct{}
	exists  struct{}
	hasLeaf struct{}
)

func (kindIs) op()  {}
func (isBool) op()  {}
func (isNull) op()  {}
func (exists) op()  {}
func (hasLeaf) op() {}

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
