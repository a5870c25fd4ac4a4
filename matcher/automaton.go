package matcher

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// Automaton is a finite automaton over characters: state 0 begins, and from
// state s a character of class c leads to Next[s][c], where class c holds the
// characters from Bounds[c-1] up to but not Bounds[c]. A negative state is the
// end: nothing matches from it on.
type Automaton struct {
	Bounds []rune    // ascending
	Next   [][]int32 // by state and class, len(Bounds)+1 a state
	Accept []bool    // by state
}

// MatchAutomaton holds for a string that a takes as a whole. name is what a
// person wrote, and tells it from other automata. a must not change any more.
func MatchAutomaton(name string, a Automaton) Op {
	op := &automaton{name: name, a: a}
	for c := range op.ascii {
		op.ascii[c] = int32(op.class(rune(c)))
	}
	return op
}

type automaton struct {
	onText
	name  string
	a     Automaton
	ascii [utf8.RuneSelf]int32
}

func (o *automaton) class(r rune) int {
	i, found := slices.BinarySearch(o.a.Bounds, r)
	if found {
		i++
	}
	return i
}

func (o *automaton) eval(e *evaluator) bool {
	if !e.cur.isText {
		return false
	}
	state := int32(0)
	for text := e.cur.text; len(text) > 0; {
		var class int32
		if c := text[0]; c < utf8.RuneSelf {
			class, text = o.ascii[c], text[1:]
		} else {
			r, n := utf8.DecodeRune(text)
			class, text = int32(o.class(r)), text[n:]
		}
		if state = o.a.Next[state][class]; state < 0 {
			return false
		}
	}
	return o.a.Accept[state]
}

func (o *automaton) canon(dst []byte) []byte {
	return append(strconv.AppendQuote(append(dst, "(automaton "...), o.name), ')')
}

func (o *automaton) words() string { return "matches /" + o.name + "/" }
