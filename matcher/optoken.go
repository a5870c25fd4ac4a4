package matcher

import (
	"slices"
	"strings"
)

// AnyToken holds for a text one of whose tokens (see Tokens) satisfies op,
// which sees the token, lower-cased, as a text.
func AnyToken(op Op) Op {
	o := &anyToken{op: op, required: []byte(requiredText(op))}
	if set, ok := op.(*stringSet); ok && !set.fold && set.large == nil && !slices.ContainsFunc(set.values, notAToken) {
		o.values = set.values
	}
	return o
}

// notAToken says that s is not one token of ASCII.
func notAToken(s string) bool {
	tokens := Tokens(s)
	return len(tokens) != 1 || tokens[0] != s || !isASCII(v2b(s))
}

// Phrase holds for a text in which tokens (lower-cased, see Tokens) occur one
// after the other. Without tokens it holds for none.
func Phrase(tokens ...string) Op {
	p := &phrase{tokens: tokens}
	for _, t := range tokens {
		if len(t) > len(p.required) {
			p.required = []byte(t)
		}
	}
	return p
}

type (
	anyToken struct {
		onText
		op       Op
		required []byte   // occurs in every text that matches; empty: not known
		values   []string // what a token must be, each one of ASCII; nil: not known
	}
	phrase struct {
		onText
		tokens   []string
		required []byte
	}
	// tokenAt is where a token lies.
	tokenAt struct{ start, end int }
)

func (o *anyToken) eval(e *evaluator) bool {
	if !e.cur.isText {
		return false
	}
	if len(o.values) > 0 && isASCII(e.cur.text) {
		may := false
		for _, v := range o.values {
			if len(v) == len(e.cur.text) && equalAnyCase(e.cur.text, v) {
				return true
			}
			may = may || len(v) < len(e.cur.text) && containsAnyCase(e.cur.text, v)
		}
		if !may {
			return false
		}
	} else if lacksLowered(e.cur.text, o.required) {
		return false
	}
	e.lowered = appendLower(e.lowered[:0], e.cur.text)
	text := e.lowered
	outer, held := e.cur, false
	for at := 0; !held; {
		start, end := nextToken(text, at)
		if start < 0 {
			break
		}
		e.cur = sight{v: outer.v, text: text[start:end], isText: true}
		held = o.op.eval(e)
		at = end
	}
	e.cur, e.cur.isFolded = outer, false // the folded text is of a token
	return held
}

func (o *phrase) eval(e *evaluator) bool {
	if !e.cur.isText || len(o.tokens) == 0 {
		return false
	}
	if lacksLowered(e.cur.text, o.required) {
		return false
	}
	e.lowered = appendLower(e.lowered[:0], e.cur.text)
	text := e.lowered
	e.tokens = e.tokens[:0]
	for at := 0; ; {
		start, end := nextToken(text, at)
		if start < 0 {
			break
		}
		e.tokens = append(e.tokens, tokenAt{start, end})
		at = end
	}
	for i := 0; i+len(o.tokens) <= len(e.tokens); i++ {
		if o.at(text, e.tokens[i:]) {
			return true
		}
	}
	return false
}

// lacksLowered says that word does not occur in the lower-cased text. It tells
// only where both are ASCII, and so their own lower case.
func lacksLowered(text, word []byte) bool {
	if len(word) == 0 || !isASCII(word) || !isASCII(text) {
		return false
	}
	return len(text) < len(word) || !containsAnyCase(text, b2v(word))
}

func (o *phrase) at(text []byte, tokens []tokenAt) bool {
	for i, want := range o.tokens {
		if string(text[tokens[i].start:tokens[i].end]) != want {
			return false
		}
	}
	return true
}

// requiredText returns a text that occurs in every text for which op holds, ""
// if none is known.
func requiredText(op Op) string {
	switch op := op.(type) {
	case *stringSet:
		if len(op.values) == 1 && !op.fold {
			return op.values[0]
		}
	case *wildcard:
		if len(op.globs) != 1 || op.fold {
			return ""
		}
		best := ""
		for _, t := range op.globs[0].tokens {
			if t.Kind == GlobLiteral && len(t.Text) > len(best) {
				best = t.Text
			}
		}
		return best
	case *regex:
		return string(op.required)
	}
	return ""
}

func (o *anyToken) canon(dst []byte) []byte {
	return append(o.op.canon(append(dst, "(any-token "...)), ')')
}

func (o *phrase) canon(dst []byte) []byte { return canonTexts(dst, "phrase", false, o.tokens) }

func (o *anyToken) words() string { return "has a word that " + o.op.words() }
func (o *phrase) words() string   { return `has the words "` + strings.Join(o.tokens, " ") + `"` }
