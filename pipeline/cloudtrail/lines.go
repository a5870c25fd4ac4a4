package cloudtrail

import (
	"bytes"

	"github.com/valyala/fastjson"
)

// soleEvent says that b is one event, if it is JSON at all, and leaves ev at
// it. This is the way of nearly every payload, and cheaper than finding
// where the object ends. It may answer false for an event.
func (r *run) soleEvent(b []byte) bool {
	if b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	r.ev.Reset(b)
	c, _ := r.classify()
	return c == classEvent && r.ev.err == nil && (r.ev.closed || soleFrom(b, r.ev.pos))
}

// soleFrom says that an object that goes on at i is the only one in b, which
// ends in a closing brace. Inside an object a
// closing brace is followed by a comma, another bracket, or a quote or backslash
// (JSON text in a string), and only between objects by something else.
func soleFrom(b []byte, i int) bool {
	for ; ; i++ {
		i += bytes.IndexByte(b[i:], '}')
		if i == len(b)-1 {
			return true
		}
		c := b[i+1]
		if isSpace(c) {
			if c = b[skipSpace(b, i+1)]; c == '"' || c == '\\' {
				return false
			}
		}
		switch c {
		case ',', '}', ']', '"', '\\':
		default:
			return false
		}
	}
}

// many unwraps several objects, one a line or one after the other.
func (r *run) many(b []byte) {
	r.wrapped = true
	for i := skipSpace(b, 0); i < len(b); i = skipSpace(b, i) {
		i += r.oneOfMany(b[i:])
	}
}

// oneOfMany unwraps what b begins with and returns where it ends.
func (r *run) oneOfMany(b []byte) int {
	if b[0] != '{' && b[0] != '[' {
		n := endOfLine(b, 0)
		r.invalid(b[:n], "not a JSON object")
		return n
	}
	end := endOfOne(b)
	if end < 0 {
		return r.broken(b)
	}
	next := end
	for next < len(b) && (b[next] == ' ' || b[next] == '\t' || b[next] == '\r') {
		next++
	}
	if next < len(b) && b[next] != '\n' && b[next] != '{' && b[next] != '[' {
		n := endOfLine(b, next)
		r.invalid(b[:n], errTail.Error())
		return n
	}
	r.whole(b[:end])
	return end
}

// broken unwraps an object or array that has no end, and returns where to go on.
func (r *run) broken(b []byte) int {
	if b[0] == '[' {
		return r.elements(b, 0, events, true)
	}
	r.ev.open(b)
	return r.object(b, true)
}

// endOfOne returns where the object or array that b begins with ends, or -1.
// One that goes on over the end of its line must be valid in all its parts, so
// that a line that was cut does not swallow those after it.
func endOfOne(b []byte) int {
	eol := endOfLine(b, 0)
	end, _ := skipContainer(b[:eol], 1, 1)
	if end >= 0 || eol == len(b) {
		return end
	}
	end, deepest := skipContainer(b, 1, 1)
	if end >= 0 && deepest <= greatestMaxDepth && fastjson.ValidateBytes(b[:end]) != nil {
		return -1
	}
	return end
}

// resync returns where, after i, a line begins with a brace, or len(b).
func resync(b []byte, i int) int {
	if k := bytes.Index(b[i:], []byte("\n{")); k >= 0 {
		return i + k + 1
	}
	return len(b)
}

func endOfLine(b []byte, i int) int {
	if k := bytes.IndexByte(b[i:], '\n'); k >= 0 {
		return i + k
	}
	return len(b)
}

// trimSpace is bytes.TrimSpace for JSON's white space.
func trimSpace(b []byte) []byte {
	b = b[skipSpace(b, 0):]
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
