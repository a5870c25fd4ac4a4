package cloudtrail

import (
	"bytes"

	"github.com/valyala/fastjson"
)

// usual unwraps what nearly every payload is: one event, if it is JSON at all,
// or a CloudWatch Logs message as the service writes it. That is cheaper than
// finding where the object ends. It may answer false for these, too, and has
// emitted nothing then.
func (r *run) usual(b []byte) bool {
	if b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	r.ev.Reset(b)
	switch c, array := r.classify(); {
	case c == classLogs && r.u.Lazy:
		return r.lazyLogs(b, array)
	case c != classEvent || r.ev.err != nil || !r.ev.closed && !soleFrom(b, r.ev.pos):
		return false
	}
	r.event(b)
	return true
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
	eol := -1
	for i := skipSpace(b, 0); i < len(b); i = skipSpace(b, i) {
		if i > eol {
			eol = endOfLine(b, i)
		}
		i += r.oneOfMany(b[i:], eol-i)
	}
}

// oneOfMany unwraps what b begins with, its first line ending at eol, and
// returns where to go on.
func (r *run) oneOfMany(b []byte, eol int) int {
	if b[0] != '{' && b[0] != '[' {
		r.invalid(b[:eol], "not a JSON object")
		return eol
	}
	end, bound := endOfOne(b, eol, r.u.limits.MaxDepth+envelopeDepth)
	if end < 0 {
		return r.broken(b[:bound])
	}
	next := end
	for next < len(b) && (b[next] == ' ' || b[next] == '\t' || b[next] == '\r') {
		next++
	}
	if next < len(b) && b[next] != '\n' && b[next] != '{' && b[next] != '[' {
		if next > eol {
			eol = endOfLine(b, next)
		}
		r.invalid(b[:eol], errTail.Error())
		return eol
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

// envelopeDepth is how deep an event lies in an envelope.
const envelopeDepth = 2

// endOfOne returns where the object or array that b begins with ends; -1 if it
// is broken, and then it and what may be its parts end before bound. One that
// goes on over the end of its line must be valid in all its parts, so that a
// line that was cut does not swallow those after it.
func endOfOne(b []byte, eol, depth int) (end, bound int) {
	if end, _ = skipContainer(b[:eol], 1); end >= 0 {
		return end, end
	}
	if eol == len(b) {
		return -1, eol
	}
	end, stop := skipLines(b, depth)
	switch {
	case end < 0:
		return -1, resync(b, stop)
	case fastjson.ValidateBytes(b[:end]) != nil:
		return -1, end
	}
	return end, end
}

// skipLines is skipContainer from the bracket at the beginning of b, for an
// object or array of several lines. It gives up as soon as it can tell that the
// lines do not belong together, so that many broken lines do not cost a pass
// over the rest of the payload each: where a string goes over the end of a line,
// where an opening bracket stands that cannot stand there, and below depth.
// stop is where it gave up.
func skipLines(b []byte, depth int) (end, stop int) {
	level, last := 0, byte(':') // the last byte that is not white space
	for i := 0; i < len(b); {
		c := b[i]
		switch c {
		case ' ', '\t', '\r', '\n':
			i++
			continue
		case '"':
			end := skipString(b, i+1)
			if end < 0 {
				return -1, endOfLine(b, i)
			}
			if k := bytes.IndexByte(b[i:end], '\n'); k >= 0 {
				return -1, i + k
			}
			i, last = end, c
			continue
		case '{', '[':
			if level++; level > depth || last != ':' && last != ',' && last != '[' {
				return -1, i - 1
			}
		case '}', ']':
			if level--; level == 0 {
				return i + 1, i + 1
			}
		}
		i, last = i+1, c
	}
	return -1, len(b)
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
