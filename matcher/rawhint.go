package matcher

import (
	"bytes"
	"strings"

	"github.com/valyala/fastjson"
)

// RawHint is Node, asked only of events in whose JSON text one of the lower-case
// ASCII words stands, in any case. Node must hold for no other event, but that
// a character may be written as an escape or as one that lower-cases to ASCII:
// that is seen to here. It saves walking through events.
type RawHint struct {
	Node  Node
	Words []string
	// Exponents: Node may also hold for an event with a number that has an
	// exponent, as for 1e3 where the word is 1000.
	Exponents bool
}

func (n *RawHint) eval(e *evaluator, v *fastjson.Value) bool {
	return (len(e.document.raw) == 0 || n.maybe(e.document.raw)) && n.Node.eval(e, v)
}

// maybe says whether one of the words may stand in raw.
func (n *RawHint) maybe(raw []byte) bool {
	for _, w := range n.Words {
		if containsAnyCase(raw, w) {
			return true
		}
	}
	if n.Exponents && hasExponent(raw) {
		return true
	}
	// İ and the Kelvin sign lower-case to ASCII letters.
	return bytes.Contains(raw, []byte(`\u`)) || bytes.Contains(raw, []byte("\u0130")) || bytes.Contains(raw, []byte("\u212a"))
}

// hasExponent says whether what looks like a number with an exponent stands in
// raw where a value may begin. White space before it counts as such a place.
func hasExponent(raw []byte) bool {
	for i := 1; i < len(raw); i++ {
		if c := raw[i]; c|0x20 != 'e' || !isDigit(raw[i-1]) {
			continue
		}
		at := i - 1
		for at >= 0 && (isDigit(raw[at]) || raw[at] == '.' || raw[at] == '-') {
			at--
		}
		if at < 0 || bytes.IndexByte([]byte(":,[ \t\r\n"), raw[at]) >= 0 {
			return true
		}
	}
	return false
}

// byRarity are the lower-case letters and digits, those that are rare in
// CloudTrail's JSON first.
const byRarity = "zqxjkwvyfhbgpl_m9876543210udcoinsrtae"

func containsAnyCase(text []byte, word string) bool {
	pivot, best := 0, len(byRarity)
	for i := range len(word) {
		if r := strings.IndexByte(byRarity, word[i]); r >= 0 && r < best {
			pivot, best = i, r
		}
	}
	c := word[pivot]
	if containsAround(text, word, pivot, c) {
		return true
	}
	return 'a' <= c && c <= 'z' && containsAround(text, word, pivot, c-('a'-'A'))
}

// containsAround looks for word at each place where c stands for its pivot.
func containsAround(text []byte, word string, pivot int, c byte) bool {
	for at := pivot; at < len(text); at++ {
		i := bytes.IndexByte(text[at:], c)
		if i < 0 {
			return false
		}
		at += i
		if start := at - pivot; start+len(word) <= len(text) && equalAnyCase(text[start:start+len(word)], word) {
			return true
		}
	}
	return false
}

func equalAnyCase(text []byte, lower string) bool {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func (n *RawHint) canon(dst []byte) []byte { return n.Node.canon(dst) }

func (n *RawHint) explain(x *explainer, v *fastjson.Value) Explanation { return n.Node.explain(x, v) }

func (n *RawHint) needs() plan            { return n.Node.needs() }
func (n *RawHint) reads(yield func(Path)) { n.Node.reads(yield) }
