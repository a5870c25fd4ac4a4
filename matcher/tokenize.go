package matcher

import (
	"unicode"
	"unicode/utf8"
)

// maxTokenLength is how long a token is at most, in UTF-16 units; a longer one
// is cut into such.
const maxTokenLength = 255

// Tokens returns the tokens that the standard analyser makes of text: words as
// Unicode segments them, lower-cased. A dot, a colon or an apostrophe between
// two letters and a dot, comma or semicolon between two digits do not part a
// word, nor does an underscore; other punctuation does.
//
// Semantics: Lucene 8 StandardAnalyzer (StandardTokenizer, UAX #29 of Unicode 9,
// and LowerCaseFilter), without its tokens of emoji.
func Tokens(text string) []string {
	low := appendLower(nil, []byte(text))
	var out []string
	for at := 0; ; {
		start, end := nextToken(low, at)
		if start < 0 {
			return out
		}
		out = append(out, string(low[start:end]))
		at = end
	}
}

// Lower returns text as the standard analyser lower-cases it.
func Lower(text string) string { return string(appendLower(nil, []byte(text))) }

// appendLower appends text with each character lower-cased for itself. Bytes
// that are not UTF-8 stay as they are.
func appendLower(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= utf8.RuneSelf {
			return appendLowerSlow(dst, text[i:])
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func appendLowerSlow(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, text[0])
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		text = text[n:]
	}
	return dst
}

// nextToken returns where the first token at or after at lies, -1 if there is
// none. text must be lower-cased or not, case makes no difference to tokens.
func nextToken(text []byte, at int) (start, end int) {
	for at < len(text) {
		class, n := classAt(text, at)
		switch class {
		case breakLetter, breakHebrew, breakNumeric, breakKatakana, breakJoiner:
			end, word := scanWord(window(text, at), at)
			if word {
				return at, end
			}
			at = end
		case breakComplex:
			end = at
			in := window(text, at)
			for end < len(in) {
				c, n := classAt(in, end)
				if c != breakComplex && c != breakExtend {
					break
				}
				end += n
			}
			return at, end
		case breakHan, breakHiragana:
			return at, skipExtend(window(text, at), at+n)
		default:
			at += n
		}
	}
	return -1, -1
}

// window cuts text where a token that starts at at must end at the latest.
func window(text []byte, at int) []byte {
	if len(text)-at <= maxTokenLength {
		return text
	}
	end := at
	for units := 0; end < len(text); {
		r, n := utf8.DecodeRune(text[end:])
		if units++; r >= 0x10000 {
			units++
		}
		if units > maxTokenLength {
			break
		}
		end += n
	}
	return text[:end]
}

// scanWord returns where the word that starts at start ends. Underscores alone
// are no word.
func scanWord(text []byte, start int) (end int, word bool) {
	prev, n := classAt(text, start)
	word = prev != breakJoiner
	at := start + n
	for at < len(text) {
		class, n := classAt(text, at)
		switch {
		case class == breakExtend:
			at += n
			continue
		case joined(prev, class):
		case prev == breakHebrew && class == breakSingleQuote && !follows(text, at+n, breakHebrew, breakLetter):
			at += n // the quote ends the word as its part; prev stays
			continue
		case between(prev, class) && follows(text, at+n, partners(prev, class)...):
			at = skipExtend(text, at+n)
			continue
		default:
			return at, word
		}
		word = word || class != breakJoiner
		prev = class
		at += n
	}
	return at, word
}

// joined says that no word ends between two neighbours of these classes.
func joined(a, b breakClass) bool {
	switch b {
	case breakLetter, breakHebrew:
		return a == breakLetter || a == breakHebrew || a == breakNumeric || a == breakJoiner
	case breakNumeric:
		return a == breakLetter || a == breakHebrew || a == breakNumeric || a == breakJoiner
	case breakKatakana:
		return a == breakKatakana || a == breakJoiner
	case breakJoiner:
		return true
	default:
		return false
	}
}

// between says that mid does not end a word after a, given the right partner.
func between(a, mid breakClass) bool {
	switch a {
	case breakLetter:
		return mid == breakMidLetter || mid == breakMidBoth || mid == breakSingleQuote
	case breakHebrew:
		return mid == breakMidLetter || mid == breakMidBoth || mid == breakSingleQuote || mid == breakDoubleQuote
	case breakNumeric:
		return mid == breakMidNumber || mid == breakMidBoth || mid == breakSingleQuote
	default:
		return false
	}
}

var (
	afterNumber = []breakClass{breakNumeric}
	afterLetter = []breakClass{breakLetter, breakHebrew}
	afterDouble = []breakClass{breakHebrew}
)

func partners(a, mid breakClass) []breakClass {
	switch {
	case a == breakNumeric:
		return afterNumber
	case mid == breakDoubleQuote:
		return afterDouble
	default:
		return afterLetter
	}
}

// follows says whether what comes next, marks left aside, is of one of classes.
func follows(text []byte, at int, classes ...breakClass) bool {
	at = skipExtend(text, at)
	if at == len(text) {
		return false
	}
	class, _ := classAt(text, at)
	for _, c := range classes {
		if class == c {
			return true
		}
	}
	return false
}

func skipExtend(text []byte, at int) int {
	for at < len(text) && text[at] >= utf8.RuneSelf {
		class, n := classAt(text, at)
		if class != breakExtend {
			break
		}
		at += n
	}
	return at
}
