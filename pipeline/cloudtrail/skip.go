package cloudtrail

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
)

// Skipping finds where a JSON value ends without looking at what it says. It
// takes what fastjson takes (control characters inside strings, any mix of
// digits and signs as a number, NaN and Inf), and inside objects and arrays it
// only counts brackets outside strings: it never refuses a value that fastjson
// would parse, and leaves the finer faults to Event.Parse.

const (
	ones       = 0x0101010101010101
	highs      = 0x8080808080808080
	quotes     = ones * '"'
	backslashs = ones * '\\'
)

// skipSpace returns the index of the first byte at or after i that is not JSON
// white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the closing quote of the string whose
// first byte after the opening quote is at i, or -1.
func skipString(b []byte, i int) int {
	start := i
	for {
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:]) ^ quotes
			// The lowest set bit marks the first quote; higher ones may be
			// borrows of the subtraction.
			m := (x - ones) &^ x & highs
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				goto quote
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' {
			i++
		}
		if i >= len(b) {
			return -1
		}
	quote:
		if b[i-1] != '\\' || !escapedAt(b, start, i) {
			return i + 1
		}
		i++
	}
}

// escapedAt says whether the byte at i of a string that begins at start is
// escaped: an odd number of backslashes stands before it.
func escapedAt(b []byte, start, i int) bool {
	n := 0
	for i-n > start && b[i-n-1] == '\\' {
		n++
	}
	return n&1 == 1
}

// skipContainer returns the index after the bracket that brings depth to 0,
// reading from i, which lies inside depth open brackets; -1 if there is none.
// deepest is the greatest depth on the way.
func skipContainer(b []byte, i, depth int) (end, deepest int) {
	deepest = depth
	for i < len(b) {
		c := b[i]
		i++
		switch c {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1, deepest
			}
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
			if depth == 0 {
				return i, deepest
			}
		}
	}
	return -1, deepest
}

// skipValue returns the index after the value that begins at i, its kind, and
// how many brackets nest in it; the end is -1 where there is no value.
func skipValue(b []byte, i int) (end int, kind Kind, nesting int) {
	if i >= len(b) {
		return -1, Broken, 0
	}
	switch b[i] {
	case '"':
		return skipString(b, i+1), String, 0
	case '{':
		end, nesting = skipContainer(b, i+1, 1)
		return end, Object, nesting
	case '[':
		end, nesting = skipContainer(b, i+1, 1)
		return end, Array, nesting
	case 't':
		return skipWord(b, i, "true"), True, 0
	case 'f':
		return skipWord(b, i, "false"), False, 0
	case 'n':
		if end = skipWord(b, i, "null"); end >= 0 {
			return end, Null, 0
		}
	}
	return skipNumber(b, i), Number, 0
}

func skipWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func skipNumber(b []byte, i int) int {
	start := i
	for i < len(b) && (b[i] >= '0' && b[i] <= '9' || b[i] == '.' || b[i] == '-' || b[i] == '+' || b[i] == 'e' || b[i] == 'E') {
		i++
	}
	if i == start || i == start+1 && (b[start] == '-' || b[start] == '+') {
		if i+3 <= len(b) && (strings.EqualFold(string(b[i:i+3]), "nan") || strings.EqualFold(string(b[i:i+3]), "inf")) {
			return i + 3
		}
		// fastjson takes a bare sign at the very end of its input; inside an
		// object there is no such place.
		return -1
	}
	return i
}

// nesting returns how deep brackets nest in b, and whether an object key in it
// is written with escapes. On bytes that are not JSON the answer is a guess.
func nesting(b []byte) (deepest int, escapedKeys bool) {
	depth := 0
	for i := 0; i < len(b); {
		c := b[i]
		i++
		switch c {
		case '"':
			end := skipString(b, i)
			if end < 0 {
				return deepest, escapedKeys
			}
			if !escapedKeys && bytes.IndexByte(b[i:end], '\\') >= 0 {
				next := skipSpace(b, end)
				escapedKeys = next < len(b) && b[next] == ':'
			}
			i = end
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest, escapedKeys
}
