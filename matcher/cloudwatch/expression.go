package cloudwatch

import (
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// json reads { expression }.
func (p *parser) json() (matcher.Node, error) {
	p.i++
	p.space()
	if p.i < len(p.src) && p.src[p.i] == '}' {
		return nil, p.errorf(p.i, "the pattern is empty: expected a condition such as $.eventName = ConsoleLogin")
	}
	n, err := p.either()
	if err != nil {
		return nil, err
	}
	if p.i == len(p.src) {
		return nil, p.errorf(p.i, "expected && or || or the closing }, not the end of the pattern")
	}
	if !p.take("}") {
		return nil, p.afterCondition()
	}
	p.space()
	if p.i < len(p.src) {
		return nil, p.errorf(p.i, "%s after the closing }: a pattern is one { … }", p.next())
	}
	return n, nil
}

// afterCondition says what is wrong with what follows a condition.
func (p *parser) afterCondition() error {
	word := p.next()
	switch rest := strings.ToLower(p.src[p.i:]); {
	case strings.HasPrefix(rest, "and"), strings.HasPrefix(rest, "&"):
		return p.errorf(p.i, "expected && or || or }, not %s: write &&", word)
	case strings.HasPrefix(rest, "or"), strings.HasPrefix(rest, "|"):
		return p.errorf(p.i, "expected && or || or }, not %s: write ||", word)
	case strings.HasPrefix(rest, ")"):
		return p.errorf(p.i, "a ) that closes nothing")
	case p.i > 0 && p.src[p.i-1] != ' ' && p.src[p.i-1] != '"':
		return p.errorf(p.i, "expected && or || or }, not %s: a value with such characters stands in double quotes", word)
	default:
		return p.errorf(p.i, "expected && or || or }, not %s: a value with blanks stands in double quotes", word)
	}
}

// either reads terms with || between.
func (p *parser) either() (matcher.Node, error) {
	return p.joined("||", p.both, func(nodes []matcher.Node, note matcher.Note) matcher.Node {
		return &matcher.Or{Nodes: nodes, Note: note}
	}, "any of")
}

// both reads factors with && between.
func (p *parser) both() (matcher.Node, error) {
	return p.joined("&&", p.factor, func(nodes []matcher.Node, note matcher.Note) matcher.Node {
		return &matcher.And{Nodes: nodes, Note: note}
	}, "all of")
}

func (p *parser) joined(
	sign string, part func() (matcher.Node, error), join func([]matcher.Node, matcher.Note) matcher.Node, label string,
) (matcher.Node, error) {
	p.space()
	start := p.i
	var nodes []matcher.Node
	for {
		n, err := part()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		p.space()
		if !p.take(sign) {
			break
		}
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return join(nodes, matcher.Note{Label: label + " (" + sign + ")", Pos: p.pos(start)}), nil
}

// factor reads ( expression ) or a condition.
func (p *parser) factor() (matcher.Node, error) {
	p.space()
	start := p.i
	if !p.take("(") {
		return p.condition()
	}
	if p.depth++; p.depth > MaxDepth {
		return nil, p.errorf(start, "parentheses nest deeper than %d", MaxDepth)
	}
	n, err := p.either()
	if err != nil {
		return nil, err
	}
	p.depth--
	if !p.take(")") {
		if p.i == len(p.src) || p.src[p.i] == '}' {
			return nil, p.errorf(p.i, "expected ) for the ( at %s, not %s", p.column(start), p.next())
		}
		return nil, p.afterCondition()
	}
	return n, nil
}

// condition reads selector operator value, selector IS … and selector NOT EXISTS.
func (p *parser) condition() (matcher.Node, error) {
	start := p.i
	if err := p.countCondition(start); err != nil {
		return nil, err
	}
	if p.i == len(p.src) || p.src[p.i] != '$' {
		return nil, p.noSelector()
	}
	sel, err := p.selector()
	if err != nil {
		return nil, err
	}
	p.space()
	at := p.i
	if p.i < len(p.src) && isWord(p.src[p.i]) {
		leaf, err := p.wordTest(sel)
		if err != nil {
			return nil, err
		}
		return &matcher.Field{Path: sel.path, Leaf: leaf, Note: p.note(start, p.i)}, nil
	}
	rel, ok := p.relation()
	if !ok {
		return nil, p.errorf(at, "expected =, !=, <, <=, >, >=, IS or NOT EXISTS after %s, not %s", sel.text, p.next())
	}
	if strings.HasPrefix(p.src[p.i:], "=") || strings.HasPrefix(p.src[p.i:], "~") {
		return nil, p.errorf(at, "there is no operator %s: write =, and a regular expression as %%…%%", p.src[at:p.i+1])
	}
	op, err := p.value(sel, rel, at)
	if err != nil {
		return nil, err
	}
	leaf := matcher.Leaf{Op: op, Arrays: matcher.WholeArray, Null: matcher.NullFalse, Objects: matcher.ObjectFalse}
	return &matcher.Field{Path: sel.path, Leaf: leaf, Note: p.note(start, p.i)}, nil
}

// noSelector says what is wrong where a condition must begin.
func (p *parser) noSelector() error {
	rest := p.src[p.i:]
	switch {
	case strings.HasPrefix(rest, "!") || strings.HasPrefix(strings.ToUpper(rest), "NOT"):
		return p.errorf(p.i, "there is no NOT before a condition: write != or NOT EXISTS inside it")
	case rest != "" && isWord(rest[0]):
		return p.errorf(p.i, "expected a selector, not %s: write $.%s", p.next(), clip(firstWord(rest)))
	default:
		return p.errorf(p.i, "expected a selector such as $.eventName, or (, not %s", p.next())
	}
}

func firstWord(s string) string {
	for i := range len(s) {
		if !isWord(s[i]) && s[i] != '.' {
			return s[:i]
		}
	}
	return s
}

func (p *parser) relation() (matcher.Relation, bool) {
	for _, op := range []struct {
		sign string
		rel  matcher.Relation
	}{
		{"!=", matcher.NE},
		{"<=", matcher.LE},
		{">=", matcher.GE},
		{"=", matcher.EQ},
		{"<", matcher.LT},
		{">", matcher.GT},
	} {
		if p.take(op.sign) {
			return op.rel, true
		}
	}
	return 0, false
}

// wordTest reads IS NULL, IS TRUE, IS FALSE and NOT EXISTS.
func (p *parser) wordTest(sel selector) (matcher.Leaf, error) {
	at := p.i
	leaf := matcher.Leaf{Arrays: matcher.WholeArray}
	switch word := p.run(isWord); strings.ToUpper(word) {
	case "IS":
		p.space()
		at := p.i
		switch word := p.run(isWord); strings.ToUpper(word) {
		case "NULL":
			leaf.Op = matcher.IsNull()
		case "TRUE":
			leaf.Op = matcher.IsBool(true)
		case "FALSE":
			leaf.Op = matcher.IsBool(false)
		case "NOT":
			return leaf, p.errorf(at, "there is no IS NOT: write %s = * for \"is there and not null\", or %s != value", sel.text, sel.text)
		default:
			p.i = at
			return leaf, p.errorf(at, "expected NULL, TRUE or FALSE after IS, not %s", p.next())
		}
	case "NOT":
		p.space()
		at := p.i
		if word := p.run(isWord); strings.ToUpper(word) != "EXISTS" {
			p.i = at
			return leaf, p.errorf(at, "expected EXISTS after NOT, not %s", p.next())
		}
		leaf.Op, leaf.Absent = matcher.Neither(matcher.Exists()), true
		p.covered[sel.text] = true
		if sel.wild {
			p.warnf(at, "%s NOT EXISTS holds where the selector reaches nothing at all, not where one element lacks it", sel.text)
		}
	case "EXISTS":
		return leaf, p.errorf(at, "there is no EXISTS, only NOT EXISTS: write %s = * for \"is there\"", sel.text)
	default:
		p.i = at
		return leaf, p.errorf(at, "expected =, !=, <, <=, >, >=, IS or NOT EXISTS after %s, not %s", sel.text, p.next())
	}
	return leaf, nil
}
