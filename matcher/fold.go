package matcher

import (
	"unicode"
	"unicode/utf8"
)

// Fold returns the canonical form of s under Unicode simple case folding: two
// strings that differ only in case have the same. Bytes that are not UTF-8
// stay as they are.
func Fold(s string) string { return string(appendFold(nil, s)) }

// appendFold appends the canonical fold of s: each rune becomes the least of
// those that it folds to, so ASCII letters become capitals.
func appendFold[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			return appendFoldSlow(dst, string(s[i:]))
		}
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func appendFoldSlow(dst []byte, s string) []byte {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[0])
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		s = s[n:]
	}
	return dst
}

func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}
