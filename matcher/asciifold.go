package matcher

import (
	"encoding/binary"
	"unicode/utf8"
)

// isASCII says whether text holds ASCII characters only.
func isASCII(text []byte) bool {
	for len(text) >= 8 {
		if binary.LittleEndian.Uint64(text)&highBits != 0 {
			return false
		}
		text = text[8:]
	}
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldsTo says whether text, which is ASCII, folds to folded.
func foldsTo(text []byte, folded string) bool {
	if len(text) != len(folded) {
		return false
	}
	for i, c := range text {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != folded[i] {
			return false
		}
	}
	return true
}
