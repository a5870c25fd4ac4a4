package matcher

import (
	"unsafe"

	"github.com/valyala/fastjson"
)

// appendCompact appends v as JSON without white space. It escapes only what
// JSON requires, so that a text looks the same however the event wrote it.
// Numbers stay as they were written; duplicate keys stay.
func appendCompact(dst []byte, v *fastjson.Value) []byte {
	switch v.Type() {
	case fastjson.TypeObject:
		dst = append(dst, '{')
		n := 0
		v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
			if n++; n > 1 {
				dst = append(dst, ',')
			}
			dst = append(appendJSONString(dst, key), ':')
			dst = appendCompact(dst, member)
		})
		return append(dst, '}')
	case fastjson.TypeArray:
		dst = append(dst, '[')
		for i, el := range v.GetArray() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendCompact(dst, el)
		}
		return append(dst, ']')
	case fastjson.TypeString:
		return appendJSONString(dst, v.GetStringBytes())
	default:
		return v.MarshalTo(dst)
	}
}

const hexDigits = "0123456789abcdef"

func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// v2b lends the bytes of s, for reading only.
func v2b(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// b2v lends b as a string for as long as b does not change.
func b2v(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
