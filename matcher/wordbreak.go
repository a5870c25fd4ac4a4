package matcher

import (
	"unicode"
	"unicode/utf8"
)

// breakClass is what a character does at the borders of words.
// Semantics: UAX #29, property Word_Break, and what Lucene adds to it for
// ideographs, Hiragana and the scripts of South-East Asia.
type breakClass uint8

const (
	breakOther breakClass = iota
	breakLetter
	breakHebrew
	breakNumeric
	breakKatakana
	breakJoiner // underscores
	breakMidLetter
	breakMidNumber
	breakMidBoth
	breakSingleQuote
	breakDoubleQuote
	breakExtend // marks and format characters: they go with what is before
	breakHan
	breakHiragana
	breakComplex
)

// asciiBreaks are the classes of the ASCII characters.
var asciiBreaks = func() (t [utf8.RuneSelf]breakClass) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			t[c] = breakLetter
		case '0' <= c && c <= '9':
			t[c] = breakNumeric
		}
	}
	t['_'], t['.'], t[':'] = breakJoiner, breakMidBoth, breakMidLetter
	t[','], t[';'] = breakMidNumber, breakMidNumber
	t['\''], t['"'] = breakSingleQuote, breakDoubleQuote
	return t
}()

// classAt returns the class of the character at at, and its length in bytes.
func classAt(text []byte, at int) (breakClass, int) {
	if c := text[at]; c < utf8.RuneSelf {
		return asciiBreaks[c], 1
	}
	r, n := utf8.DecodeRune(text[at:])
	return classOf(r), n
}

var complexScripts = []*unicode.RangeTable{
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tai_Le, unicode.New_Tai_Lue, unicode.Tai_Tham,
	unicode.Tai_Viet, unicode.Ahom,
}

func classOf(r rune) breakClass {
	switch r {
	case 0xB7, 0x387, 0x5F4, 0x2027, 0xFE13, 0xFE55, 0xFF1A:
		return breakMidLetter
	case 0x2018, 0x2019, 0x2024, 0xFE52, 0xFF07, 0xFF0E:
		return breakMidBoth
	case 0x37E, 0x589, 0x60C, 0x60D, 0x66C, 0x7F8, 0x2044, 0xFE10, 0xFE14, 0xFE50, 0xFE54, 0xFF0C, 0xFF1B:
		return breakMidNumber
	case 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x309B, 0x309C, 0x30A0, 0x30FC, 0xFF70:
		return breakKatakana
	case 0x66B:
		return breakNumeric
	case 0x200C, 0x200D, 0xFF9E, 0xFF9F:
		return breakExtend
	case 0x202F:
		return breakJoiner
	case 0x200B:
		return breakOther
	case 0x3005, 0x3007, 0x303B:
		return breakHan
	}
	switch {
	case unicode.Is(unicode.Pc, r):
		return breakJoiner
	case 0x24B6 <= r && r <= 0x24E9: // circled letters are alphabetic symbols
		return breakLetter
	case unicode.Is(unicode.Nd, r):
		return breakNumeric
	case unicode.Is(unicode.Han, r):
		if unicode.Is(unicode.Lo, r) || unicode.Is(unicode.Nl, r) {
			return breakHan
		}
		return breakOther
	case unicode.In(r, complexScripts...) && unicode.In(r, unicode.Lo, unicode.Lm, unicode.Mn, unicode.Mc):
		return breakComplex
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc, unicode.Cf):
		return breakExtend
	case unicode.Is(unicode.Hiragana, r):
		return breakHiragana
	case unicode.Is(unicode.Katakana, r):
		return breakKatakana
	case unicode.Is(unicode.Hebrew, r) && unicode.Is(unicode.Lo, r):
		return breakHebrew
	case unicode.IsLetter(r) || unicode.Is(unicode.Nl, r):
		return breakLetter
	default:
		return breakOther
	}
}
