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

// skipText is skipString for text that may be wanted: it also says whether
// there are escapes in it.
func skipText(b []byte, i int) (end int, escaped bool) {
	start := i
	for i+16 <= len(b) {
		x := quoteOrBackslash(b[i : i+8])
		y := quoteOrBackslash(b[i+8 : i+16])
		k := bits.TrailingZeros64(x)
		if x == 0 {
			k = 64 + bits.TrailingZeros64(y)
		}
		if k >>= 3; k < 16 {
			i += k
			if b[i] == '"' {
				return i + 1, false
			}
			return skipString(b, start), true
		}
		i += 16
	}
	for ; i < len(b); i++ {
		if b[i] == '"' {
			return i + 1, false
		}
		if b[i] == '\\' {
			return skipString(b, start), true
		}
	}
	return -1, false
}

// quoteOrBackslash marks the first of either in 8 bytes, and perhaps some after it.
func quoteOrBackslash(b []byte) uint64 {
	w := binary.LittleEndian.Uint64(b)
	q, s := w^quotes, w^backslashs
	return ((q-ones)&^q | (s-ones)&^s) & highs
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

// skipContainer returns the index after the bracket that closes the one before i;
// -1 if there is none. deepest is the greatest depth on the way, 1 if that is the
// only bracket.
func skipContainer(b []byte, i int) (end, deepest int) {
	depth := 1
	deepest = depth
	for i < len(b) {
		c := b[i]
		i++
		switch c {
		case '"':
			// skipString, but for the call where the string is short and has no
			// escapes: this loop is where most of a scan's time goes.
		text:
			for i+16 <= len(b) {
				if k := quoteIn16(b[i : i+16]); k < 16 {
					i += k
					break
				}
				i += 16
			}
			for i < len(b) && b[i] != '"' {
				i++
			}
			if i >= len(b) {
				return -1, deepest
			}
			if b[i-1] == '\\' {
				if i = skipEscaped(b, i); i < 0 {
					return -1, deepest
				}
				continue
			}
			i++
			if i+1 < len(b) && b[i+1] == '"' && (b[i] == ':' || b[i] == ',') {
				i += 2
				goto text
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

// quoteIn16 returns the index of the first quote in 16 bytes, 16 or more if
// there is none. It has no branch that depends on where the quote is: how long
// strings are cannot be predicted, and a wrong guess costs more than the words.
func quoteIn16(b []byte) int {
	x := binary.LittleEndian.Uint64(b) ^ quotes
	y := binary.LittleEndian.Uint64(b[8:]) ^ quotes
	x = (x - ones) &^ x & highs
	y = (y - ones) &^ y & highs
	k := bits.TrailingZeros64(x)
	if x == 0 {
		k = 64 + bits.TrailingZeros64(y)
	}
	return k >> 3
}

// skipEscaped is skipString from a quote at i that follows a backslash.
func skipEscaped(b []byte, i int) int {
	// The run of backslashes lies inside the string: before it there is at
	// least the opening quote.
	if escapedAt(b, 0, i) {
		return skipString(b, i+1)
	}
	return i + 1
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
		end, nesting = skipContainer(b, i+1)
		return end, Object, nesting
	case '[':
		end, nesting = skipContainer(b, i+1)
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
