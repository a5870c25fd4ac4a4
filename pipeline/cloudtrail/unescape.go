package cloudtrail

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// appendUnescaped appends the text of a JSON string, given without its quotes.
// What is no escape (an unknown letter, a \u without four hex digits, half a
// surrogate pair) stays as it is written, and bytes that are not UTF-8 pass
// through: the tree of Event.Parse holds the same text.
func appendUnescaped(dst, s []byte) []byte {
	// Unescaped text is never longer than the escaped one; 8 more so that whole
	// words can be stored.
	dst = slices.Grow(dst, len(s)+8)
	d, n, i := dst[:cap(dst)], len(dst), 0
	for {
		for i+8 <= len(s) {
			w := binary.LittleEndian.Uint64(s[i:])
			binary.LittleEndian.PutUint64(d[n:], w)
			x := w ^ backslashs
			m := (x - ones) &^ x & highs
			if m != 0 {
				k := bits.TrailingZeros64(m) >> 3
				i, n = i+k, n+k
				goto escape
			}
			i, n = i+8, n+8
		}
		for i < len(s) && s[i] != '\\' {
			d[n] = s[i]
			i, n = i+1, n+1
		}
		if i >= len(s) {
			return d[:n]
		}
	escape:
		if i+1 >= len(s) {
			d[n] = '\\'
			return d[:n+1]
		}
		c := s[i+1]
		i += 2
		switch c {
		case '"', '\\', '/':
			d[n] = c
		case 'b':
			d[n] = '\b'
		case 'f':
			d[n] = '\f'
		case 'n':
			d[n] = '\n'
		case 'r':
			d[n] = '\r'
		case 't':
			d[n] = '\t'
		case 'u':
			r, used := unicodeEscape(s[i:])
			if used == 0 {
				d[n], d[n+1] = '\\', 'u'
				n += 2
				continue
			}
			i += used
			n += utf8.EncodeRune(d[n:], r)
			continue
		default:
			d[n], d[n+1] = '\\', c
			n += 2
			continue
		}
		n++
	}
}

// unicodeEscape reads what follows a \u. used is 0 when it is no escape.
func unicodeEscape(s []byte) (r rune, used int) {
	hi, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(hi) {
		return hi, 4
	}
	if len(s) < 10 || s[4] != '\\' || s[5] != 'u' {
		return 0, 0
	}
	lo, ok := hex4(s[6:])
	if !ok {
		return 0, 0
	}
	return utf16.DecodeRune(hi, lo), 10
}

func hex4(s []byte) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	x, err := strconv.ParseUint(string(s[:4]), 16, 16)
	return rune(x), err == nil
}
