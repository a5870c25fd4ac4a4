package lucene

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/trailtide/trailtide/matcher"
)

// regexOp returns an operator that holds for texts that x matches as a whole.
// src is what the author wrote. Expressions without & and ~ are handed to RE2,
// whose texts the index can list; the others become an automaton.
func regexOp(src string, x *re, special bool) (matcher.Op, error) {
	if special {
		a, err := compile(x)
		if err != nil {
			return nil, err
		}
		return matcher.MatchAutomaton(src, a), nil
	}
	var b strings.Builder
	x.re2(&b)
	op, err := matcher.Regex(b.String(), true)
	if err != nil {
		return nil, fmt.Errorf("the expression is too large: %w", err)
	}
	return op, nil
}

// re2 writes x in RE2's syntax.
func (x *re) re2(b *strings.Builder) {
	switch x.kind {
	case reNone:
		b.WriteString(`[^\x00-\x{10FFFF}]`)
	case reEmpty:
		b.WriteString("(?:)")
	case reClass:
		x.class(b)
	case reConcat:
		for _, sub := range x.subs {
			if sub.kind == reUnion {
				group(b, sub) // the alternatives end with it
				continue
			}
			sub.re2(b)
		}
	case reUnion:
		for i, sub := range x.subs {
			if i > 0 {
				b.WriteByte('|')
			}
			sub.re2(b)
		}
	case reRepeat:
		if x.subs[0].kind == reClass {
			x.subs[0].re2(b)
		} else {
			group(b, x.subs[0])
		}
		switch {
		case x.least == 0 && x.most == 1:
			b.WriteByte('?')
		case x.least == 0 && x.most < 0:
			b.WriteByte('*')
		case x.least == 1 && x.most < 0:
			b.WriteByte('+')
		case x.most < 0:
			fmt.Fprintf(b, "{%d,}", x.least)
		default:
			fmt.Fprintf(b, "{%d,%d}", x.least, x.most)
		}
	case reInter, reNot: // RE2 has neither: the caller keeps them away
	}
}

func group(b *strings.Builder, x *re) {
	b.WriteString("(?:")
	x.re2(b)
	b.WriteByte(')')
}

func (x *re) class(b *strings.Builder) {
	switch {
	case len(x.ranges) == 0:
		b.WriteString(`[^\x00-\x{10FFFF}]`)
	case len(x.ranges) == 2 && x.ranges[0] == 0 && x.ranges[1] == unicode.MaxRune:
		b.WriteString(`(?s:.)`)
	case len(x.ranges) == 2 && x.ranges[0] == x.ranges[1]:
		fmt.Fprintf(b, `\x{%X}`, x.ranges[0])
	default:
		b.WriteByte('[')
		for i := 0; i < len(x.ranges); i += 2 {
			fmt.Fprintf(b, `\x{%X}-\x{%X}`, x.ranges[i], x.ranges[i+1])
		}
		b.WriteByte(']')
	}
}
