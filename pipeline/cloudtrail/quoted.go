package cloudtrail

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// An event that is the text of a JSON string, as CloudWatch Logs brings it, is
// scanned as it is written: its quotes are \", and a backslash of its own is \\.
// Most events match no rule, and for them that is all: unescaping the text and
// reading it once more would cost more than everything else that is done with
// such an event.
//
// Only what is written the way CloudWatch Logs writes it is read like that:
// compact JSON, with no other escapes than these two. At anything else, and for
// every question but that for a top-level field, the text is unescaped and the
// event is read as any other, so that the answers are the same. The state of the
// scan (pos, seen, at, …) is of the text that is being scanned.

// openQuoted makes e the event whose escaped text is b, and reads it up to the
// key that says that it is an event. false: the way of any other event must be
// taken; e then means nothing.
func (e *Event) openQuoted(b []byte) bool {
	if !hasAt(b, 0, `{\"`) || b[len(b)-1] != '}' {
		return false
	}
	e.openAt(nil, 1)
	e.quoted, e.read = b, 0
	for {
		f, ok := e.nextQuoted()
		switch {
		case !ok, f >= fieldBody, f == fieldInsightDetails:
			e.quoted = nil
			return false
		case f == fieldEventName, f == fieldEventSource:
			if !e.isRecord(f) {
				e.quoted = nil
				return false
			}
			return true
		}
	}
}

// isRecord says that the event is one by the eventName or eventSource that was
// just read, and not one of another service's (see foreignRecord).
func (e *Event) isRecord(f field) bool {
	s := e.at[f]
	if s.kind != String || s.escaped {
		return false
	}
	text := quotedText(e.quoted, s)
	if f == fieldEventSource {
		return len(text) < 4 || string(text[:4]) != "aws:"
	}
	return bytes.IndexByte(text, ':') < 0
}

// plainly unescapes the event, if it is not yet, and reads on to where it was.
func (e *Event) plainly() {
	if e.quoted == nil {
		return
	}
	if cap(e.plain) > keepPlain {
		e.plain = nil
	}
	e.plain = appendUnescaped(e.plain[:0], e.quoted)
	read := e.read
	e.Reset(e.plain)
	for range read {
		e.next()
	}
}

// quotedField is Scan for a field with a slot. ok is false when the event was
// unescaped instead.
func (e *Event) quotedField(f field) (text []byte, kind Kind, ok bool) {
	for e.seen&(1<<f) == 0 {
		if e.closed {
			return nil, Missing, true
		}
		if _, ok := e.nextQuoted(); !ok {
			e.plainly()
			return nil, Missing, false
		}
	}
	switch s := e.at[f]; {
	case s.kind == String && !s.escaped:
		return quotedText(e.quoted, s), String, true
	case s.kind == Number, s.kind == True, s.kind == False, s.kind == Null:
		return e.quoted[s.start:s.end], s.kind, true
	}
	e.plainly()
	return nil, Missing, false
}

// quotedText is the text of a string without escapes.
func quotedText(b []byte, s span) []byte { return b[s.start+2 : s.end-2 : s.end-2] }

// nextQuoted is next. Where it is not ok, nothing is said about why.
func (e *Event) nextQuoted() (f field, ok bool) {
	b, i := e.quoted, e.pos
	if e.closed {
		return 0, false
	}
	if f = e.follows[e.last]; f != fieldOther && len(b)-i >= len(quotedKeys[f]) && string(b[i:i+len(quotedKeys[f])]) == quotedKeys[f] {
		i += len(quotedKeys[f])
	} else {
		if i+1 >= len(b) || b[i] != '\\' || b[i+1] != '"' {
			return 0, false
		}
		end, escaped := skipQuoted(b, i+2)
		if end < 0 || escaped || end >= len(b) || b[end] != ':' {
			return 0, false
		}
		f = fieldOf(b[i+2 : end-2])
		e.follows[e.last] = f
		i = end + 1
	}
	if i+1 >= len(b) {
		return 0, false
	}
	s := span{start: i}
	switch c := b[i]; c {
	case '\\':
		if b[i+1] != '"' {
			return 0, false
		}
		s.kind = String
		s.end, s.escaped = skipQuoted(b, i+2)
	case '{', '[':
		s.kind = Object
		if c == '[' {
			s.kind = Array
		}
		var deepest int
		s.end, deepest = skipQuotedContainer(b, i+1)
		if deepest >= e.depthLimit() {
			return 0, false
		}
	case '"', ' ', '\t', '\r', '\n':
		return 0, false
	default:
		s.end, s.kind, _ = skipValue(b, i)
	}
	switch i = s.end; {
	case i < 0:
		return 0, false
	case hasAt(b, i, `,\"`):
		e.pos = i + 1
	case i+1 == len(b) && b[i] == '}':
		e.pos, e.closed = i+1, true
	default:
		return 0, false
	}
	e.last = f
	e.read++
	if f != fieldOther && e.seen&(1<<f) == 0 {
		e.seen |= 1 << f
		e.at[f] = s
	}
	return f, true
}

// skipQuoted is skipString in escaped text, from after the opening \" on. -1:
// the string has no end, or an escape that is not read here.
func skipQuoted(b []byte, i int) (end int, escaped bool) {
	for {
		k := 8
		for i+8 <= len(b) {
			if m := quoteOrBackslash(b[i : i+8]); m != 0 {
				k = bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if k < 8 {
			i += k
		}
		for i < len(b) && b[i] != '\\' && b[i] != '"' {
			i++
		}
		if i+1 >= len(b) || b[i] == '"' {
			return -1, escaped
		}
		// A run of n backslashes is n/2 of the event's own, and an odd one escapes
		// what follows it.
		n := 1
		for i+n < len(b) && b[i+n] == '\\' {
			n++
		}
		if i += n; i >= len(b) {
			return -1, escaped
		}
		switch quote := b[i] == '"'; {
		case quote && n&3 == 1:
			// Before it stands an even number of the event's own.
			return i + 1, escaped || n > 1
		case quote && n&1 == 1:
			i++
		case quote, n&1 == 1:
			return -1, escaped
		}
		escaped = true
	}
}

// skipQuotedContainer is skipContainer in escaped text.
func skipQuotedContainer(b []byte, i int) (end, deepest int) {
	depth := 1
	deepest = depth
	for i < len(b) {
		c := b[i]
		i++
		switch c {
		case '\\':
			if i >= len(b) || b[i] != '"' {
				return -1, deepest
			}
			// skipQuoted, but for the call where the string is short and has no escapes.
			i++
			for i+8 <= len(b) {
				if m := quoteOrBackslash(b[i : i+8]); m != 0 {
					i += bits.TrailingZeros64(m) >> 3
					break
				}
				i += 8
			}
			if i+1 < len(b) && b[i] == '\\' && b[i+1] == '"' {
				i += 2
				continue
			}
			if i, _ = skipQuoted(b, i); i < 0 {
				return -1, deepest
			}
		case '"':
			return -1, deepest
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			if depth--; depth == 0 {
				return i, deepest
			}
		}
	}
	return -1, deepest
}

// quotedEnd returns the index of the quote that ends the string which b is
// inside of at i, where no escape began before i; -1 if there is none.
func quotedEnd(b []byte, i int) int {
	start := i
	var last uint64 // the backslashes of the word before
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		q, s := zeroBytes(w^quotes), zeroBytes(w^backslashs)
		before, second := s<<8|last>>56, s<<16|last>>48
		if q&^(before&^second) != 0 { // not just behind one backslash
			for ; q != 0; q &= q - 1 {
				if at := i + bits.TrailingZeros64(q)>>3; !escapedAt(b, start, at) {
					return at
				}
			}
		}
		last = s
		i += 8
	}
	for ; i < len(b); i++ {
		if b[i] == '"' && !escapedAt(b, start, i) {
			return i
		}
	}
	return -1
}

// zeroBytes marks exactly the bytes of x that are zero.
func zeroBytes(x uint64) uint64 {
	const most = ^uint64(highs)
	return ^(x&most + most | x | most)
}
