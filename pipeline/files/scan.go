package files

import (
	"encoding/binary"
	"math/bits"
)

// scanner finds where a JSON value ends, and nothing else. It can stop
// anywhere and go on with the next bytes. Brackets are counted, not matched:
// whether the value is JSON is for the reader of the record to say.
type scanner struct {
	depth  int
	quoted bool // in a string
	escape bool // after a backslash in a string
}

// stops holds for the bytes that mean something to a scanner outside of strings.
var stops = [256]bool{'{': true, '[': true, '}': true, ']': true, '"': true}

// skipQuoted returns the place of the first quote or backslash in b from i on,
// len(b) if there is none. It looks at eight bytes at once: a byte of x ^ m is
// zero where x has the byte that m repeats, and v-ones &^ v & highs has its
// lowest bit set in the first zero byte of v.
func skipQuoted(b []byte, i int) int {
	const (
		ones   = 0x0101010101010101
		highs  = 0x8080808080808080
		quotes = ones * '"'
		slants = ones * '\\'
	)
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		q, s := x^quotes, x^slants
		if hit := ((q-ones)&^q | (s-ones)&^s) & highs; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// run scans b, which begins where the last run ended. It returns how many bytes
// it consumed and whether the value ended with them.
func (s *scanner) run(b []byte) (n int, ended bool) {
	i := 0
	if s.escape && len(b) > 0 {
		s.escape = false
		i = 1
	}
	for {
		if s.quoted {
			i = skipQuoted(b, i)
			if i == len(b) {
				return i, false
			}
			if b[i] == '\\' {
				if i+1 == len(b) {
					s.escape = true
					return i + 1, false
				}
				i += 2
				continue
			}
			s.quoted = false
			i++
			if s.depth == 0 {
				return i, true
			}
		}
		for i < len(b) && !stops[b[i]] {
			i++
		}
		if i == len(b) {
			return i, false
		}
		switch b[i] {
		case '"':
			s.quoted = true
		case '{', '[':
			s.depth++
		default:
			s.depth--
			if s.depth <= 0 {
				return i + 1, true
			}
		}
		i++
	}
}
