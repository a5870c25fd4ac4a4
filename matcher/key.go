package matcher

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// errKey says that bytes are not a key of this threshold.
var errKey = errors.New("not a group-by key of this threshold")

// KeyField is one group-by field's value.
type KeyField struct {
	Path    string // dotted
	Value   string
	Missing bool
}

// AppendKey appends the group-by key of a threshold match: for each path its
// presence and its length-prefixed text, so that a missing field, an empty one
// and ("ab","c") ≠ ("a","bc") differ. DecodeKey reverses it.
//
// The text of a string is itself, of any other value its compact JSON. JSON
// null counts as missing. A path through arrays stands for all the values that
// it reaches: for one of them its text, for several their compact JSON array.
func (t *Threshold) AppendKey(dst []byte, ev *cloudtrail.Event) []byte {
	root, _ := ev.Parse() // of an event that does not parse every field is missing
	var e evaluator
	for _, p := range t.GroupBy {
		start := len(dst) + 1
		var ok bool
		if dst, ok = e.appendValue(append(dst, 1), root, p); !ok {
			dst[start-1] = 0
			continue
		}
		dst = lengthBefore(dst, start)
	}
	return dst
}

// lengthBefore puts the length of dst[start:] in front of it.
func lengthBefore(dst []byte, start int) []byte {
	var length [binary.MaxVarintLen64]byte
	n := len(dst) - start
	k := binary.PutUvarint(length[:], uint64(n))
	dst = append(dst, length[:k]...)
	copy(dst[start+k:], dst[start:start+n])
	copy(dst[start:], length[:k])
	return dst
}

// DecodeKey returns what AppendKey wrote, a field for each group-by path.
func (t *Threshold) DecodeKey(key []byte) ([]KeyField, error) {
	fields := make([]KeyField, 0, len(t.GroupBy))
	for _, p := range t.GroupBy {
		f := KeyField{Path: pathName(p), Missing: true}
		if len(key) == 0 || key[0] > 1 {
			return nil, errKey
		}
		there := key[0] == 1
		key = key[1:]
		if there {
			n, size := binary.Uvarint(key)
			if size <= 0 || n > uint64(len(key)-size) {
				return nil, errKey
			}
			key = key[size:]
			f.Missing, f.Value = false, string(key[:n])
			key = key[n:]
		}
		fields = append(fields, f)
	}
	if len(key) > 0 {
		return nil, errKey
	}
	return fields, nil
}

// AppendDistinct appends the text of the distinct field, as AppendKey reads it;
// ok is false when the event lacks it (such a match does not count).
func (t *Threshold) AppendDistinct(dst []byte, ev *cloudtrail.Event) (out []byte, ok bool) {
	root, err := ev.Parse()
	if err != nil {
		return dst, false
	}
	var e evaluator
	return e.appendValue(dst, root, t.Distinct)
}

func pathName(p cloudtrail.Path) string { return strings.Join(p, ".") }

// appendValue appends the text of the value at p, ok is false if there is none.
func (e *evaluator) appendValue(dst []byte, v *fastjson.Value, p cloudtrail.Path) ([]byte, bool) {
	for i, key := range p {
		if v == nil {
			return dst, false
		}
		if v.Type() == fastjson.TypeArray {
			return e.appendReached(dst, v, p[i:])
		}
		v = e.member(v, key)
	}
	if v == nil || v.Type() == fastjson.TypeNull {
		return dst, false
	}
	return appendText(dst, v), true
}

// appendReached appends what p reaches through an array.
func (e *evaluator) appendReached(dst []byte, array *fastjson.Value, p cloudtrail.Path) ([]byte, bool) {
	reached := e.reach(nil, array, p)
	switch len(reached) {
	case 0:
		return dst, false
	case 1:
		return appendText(dst, reached[0]), true
	}
	for i, v := range reached {
		dst = append(dst, "[,"[min(i, 1)])
		dst = appendCompact(dst, v)
	}
	return append(dst, ']'), true
}

// reach appends the values other than null that p leads to from v.
func (e *evaluator) reach(dst []*fastjson.Value, v *fastjson.Value, p cloudtrail.Path) []*fastjson.Value {
	switch {
	case v == nil || v.Type() == fastjson.TypeNull:
		return dst
	case len(p) == 0:
		return append(dst, v)
	case v.Type() == fastjson.TypeArray:
		for _, el := range v.GetArray() {
			dst = e.reach(dst, el, p)
		}
		return dst
	default:
		return e.reach(dst, e.member(v, p[0]), p[1:])
	}
}

// appendText appends a string's text, of any other value the compact JSON.
func appendText(dst []byte, v *fastjson.Value) []byte {
	if v.Type() == fastjson.TypeString {
		return append(dst, v.GetStringBytes()...)
	}
	return appendCompact(dst, v)
}
