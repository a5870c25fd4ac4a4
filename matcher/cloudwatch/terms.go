package cloudwatch

import (
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// terms reads the plain-term form: terms that must all be there, ?terms of which
// one must, and -terms that must not.
func (p *parser) terms() (matcher.Node, error) {
	if strings.HasPrefix(p.src[p.i:], "$.") {
		return nil, p.errorf(p.i, "conditions on properties stand in braces: write { %s }", clip(strings.TrimSpace(p.src[p.i:])))
	}
	start := p.i
	var must, may, not []matcher.Node
	firstMay := 0
	for p.space(); p.i < len(p.src); p.space() {
		at := p.i
		if err := p.countCondition(at); err != nil {
			return nil, err
		}
		sign := byte(0)
		if c := p.src[p.i]; c == '?' || c == '-' {
			sign = c
			p.i++
		}
		op, err := p.term()
		if err != nil {
			return nil, err
		}
		n := &matcher.RawText{Op: op, Note: p.note(at, p.i)}
		switch sign {
		case '?':
			if len(may) == 0 {
				firstMay = at
			}
			may = append(may, n)
		case '-':
			not = append(not, &matcher.Not{Node: n, Note: n.Note})
		default:
			must = append(must, n)
		}
	}
	nodes := must
	switch {
	case len(must) > 0 && len(may) > 0:
		p.warnf(firstMay, "terms with ? are ignored, as CloudWatch does beside terms without it")
	case len(may) == 1:
		nodes = may
	case len(may) > 1:
		nodes = []matcher.Node{&matcher.Or{Nodes: may, Note: matcher.Note{Label: "any of (?)", Pos: p.pos(firstMay)}}}
	}
	if nodes = append(nodes, not...); len(nodes) == 1 {
		return nodes[0], nil
	}
	return &matcher.And{Nodes: nodes, Note: matcher.Note{Label: "all of", Pos: p.pos(start)}}, nil
}

// isTerm says which characters a term without quotes may have.
func isTerm(c byte) bool { return isWord(c) || strings.IndexByte(".-:/@", c) >= 0 }

func (p *parser) term() (matcher.Op, error) {
	if p.i == len(p.src) {
		return nil, p.errorf(p.i, "expected a term, not the end of the pattern")
	}
	at := p.i
	switch p.src[p.i] {
	case '"':
		text, err := p.quoted()
		if err != nil {
			return nil, err
		}
		if text == "" {
			return nil, p.errorf(at, "an empty term")
		}
		return matcher.Contains(false, text), p.endTerm()
	case '%':
		op, err := p.regex()
		if err != nil {
			return nil, err
		}
		return op, p.endTerm()
	}
	word := p.run(isTerm)
	if word == "" {
		return nil, p.errorf(at, "expected a term, not %s: a term of other characters than letters, digits and _ . - : / @ stands in double quotes", p.next())
	}
	return matcher.Contains(false, word), p.endTerm()
}

func (p *parser) endTerm() error {
	if p.i == len(p.src) || strings.IndexByte(" \t\r\n", p.src[p.i]) >= 0 {
		return nil
	}
	return p.errorf(p.i, "%q in a term without quotes: write the term in double quotes", []rune(p.src[p.i:])[0])
}
