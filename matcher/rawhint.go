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
	// İ and the Kelvin sign lower-case to ASCII letters.
	return bytes.Contains(raw, []byte(`\u`)) || bytes.Contains(raw, []byte("\u0130")) || bytes.Contains(raw, []byte("\u212a"))
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
