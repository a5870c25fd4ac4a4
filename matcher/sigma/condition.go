package sigma

import (
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// Bounds of a condition.
const (
	maxCondition = 64 << 10 // bytes
	maxNesting   = 100      // brackets and nots
	maxTerms     = 2_000
)

// conditionParser parses one condition.
//
//	or   := and { "or" and }
//	and  := not { "and" not }
//	not  := "not" not | term
//	term := "(" or ")" | ("1"|"any"|"all") "of" ("them"|pattern) | name
type conditionParser struct {
	r          *reader
	at         *yaml.Node
	selections []*selection
	tokens     []token
	next       int
	depth      int
	terms      int
	leaves     int
	failed     bool
}

type token struct {
	text string
	at   int // byte in the condition
}

// condition reads a condition, or a list of conditions of which any may hold.
func (r *reader) condition(n *yaml.Node, selections []*selection) matcher.Node {
	conditions := items(n)
	if len(conditions) == 0 {
		r.errorf(n, "the condition is an empty list")
		return nil
	}
	or := &matcher.Or{Note: matcher.Note{Label: "any of the conditions", Pos: r.pos(n)}}
	for _, c := range conditions {
		text, ok := r.text(c, "the condition")
		if !ok {
			return nil
		}
		node := r.oneCondition(c, text, selections)
		if node == nil {
			return nil
		}
		or.Nodes = append(or.Nodes, node)
	}
	if len(or.Nodes) == 1 {
		return or.Nodes[0]
	}
	return or
}

func (r *reader) oneCondition(n *yaml.Node, text string, selections []*selection) matcher.Node {
	p := &conditionParser{r: r, at: n, selections: selections}
	if len(text) > maxCondition {
		r.errorf(n, "a condition of more than %d bytes", maxCondition)
		return nil
	}
	p.scan(text)
	node := p.or()
	if !p.failed && p.next < len(p.tokens) {
		switch t := p.peek(); t {
		case ")":
			p.fail(p.next, "a closing bracket without an opening one")
		default:
			p.fail(p.next, "expected and, or, or the end of the condition, found %q", clip(t))
		}
	}
	if p.failed || node == nil {
		return nil
	}
	return node
}

// isNameRune says which characters a name in a condition is made of.
func isNameRune(c rune) bool {
	return c == '_' || c == '-' || c == '.' || unicode.IsLetter(c) || unicode.IsDigit(c)
}

func (p *conditionParser) scan(text string) {
	for i := 0; i < len(text); {
		end := i
		for j, c := range text[i:] {
			if !isNameRune(c) && c != '*' {
				break
			}
			end = i + j + len(string(c))
		}
		if end > i {
			p.tokens = append(p.tokens, token{text[i:end], i})
			i = end
			continue
		}
		if c := text[i]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			size := len(string([]rune(text[i:min(i+4, len(text))])[0]))
			p.tokens = append(p.tokens, token{text[i:min(i+size, len(text))], i})
			i += size
			continue
		}
		i++
	}
}

func (p *conditionParser) peek() string {
	if p.next < len(p.tokens) {
		return p.tokens[p.next].text
	}
	return ""
}

// is says whether the next token is the key word.
func (p *conditionParser) is(word string) bool { return strings.EqualFold(p.peek(), word) }

// pos returns the place of a token. It is exact where the condition stands on
// the line of its key, as it nearly always does.
func (p *conditionParser) pos(i int) *yaml.Node {
	n := *p.at
	at := 0
	if i < len(p.tokens) {
		at = p.tokens[i].at
	} else if len(p.tokens) > 0 {
		last := p.tokens[len(p.tokens)-1]
		at = last.at + len(last.text)
	}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		n.Column += at
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			n.Column++
		}
	}
	return &n
}

func (p *conditionParser) fail(i int, format string, args ...any) matcher.Node {
	if !p.failed {
		p.r.errorf(p.pos(i), format, args...)
	}
	p.failed = true
	return nil
}

func (p *conditionParser) note(from int) matcher.Note {
	var words []string
	for _, t := range p.tokens[from:p.next] {
		words = append(words, t.text)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(strings.Join(words, " "), "( ", "("), " )", ")")
	return matcher.Note{Label: clip(text), Pos: p.r.pos(p.pos(from))}
}

func (p *conditionParser) or() matcher.Node {
	from := p.next
	nodes := []matcher.Node{p.and()}
	for !p.failed && p.is("or") {
		p.next++
		nodes = append(nodes, p.and())
	}
	if p.failed || len(nodes) == 1 {
		return nodes[0]
	}
	return &matcher.Or{Nodes: nodes, Note: p.note(from)}
}

func (p *conditionParser) and() matcher.Node {
	from := p.next
	nodes := []matcher.Node{p.not()}
	for !p.failed && p.is("and") {
		p.next++
		nodes = append(nodes, p.not())
	}
	if p.failed || len(nodes) == 1 {
		return nodes[0]
	}
	return &matcher.And{Nodes: nodes, Note: p.note(from)}
}

func (p *conditionParser) not() matcher.Node {
	if p.depth++; p.depth > maxNesting {
		return p.fail(p.next, "nested deeper than %d levels", maxNesting)
	}
	defer func() { p.depth-- }()
	if !p.is("not") {
		return p.term()
	}
	from := p.next
	p.next++
	node := p.not()
	if p.failed {
		return nil
	}
	return &matcher.Not{Node: node, Note: p.note(from)}
}

func (p *conditionParser) term() matcher.Node {
	if p.terms++; p.terms > maxTerms {
		return p.fail(p.next, "more than %d terms", maxTerms)
	}
	from, word := p.next, p.peek()
	following := ""
	if from+1 < len(p.tokens) {
		following = p.tokens[from+1].text
	}
	switch {
	case word == "":
		return p.fail(from, "the condition ends where a selection was expected, %s", hint("", p.names()))
	case word == "(":
		p.next++
		node := p.or()
		if !p.failed && p.peek() != ")" {
			return p.fail(from, "the bracket is not closed")
		}
		p.next++
		return node
	case strings.EqualFold(following, "of"):
		p.next += 2
		return p.of(from, strings.ToLower(word))
	case slices.ContainsFunc([]string{"and", "or", "not", "of", "them", ")"}, p.is):
		return p.fail(from, "expected the name of a selection, found %q", word)
	case word == "|":
		return p.fail(from, "a pipe: aggregations stand at the end of a condition, as in: selection | count() by field > 5")
	}
	for _, s := range p.selections {
		if s.name == word {
			p.next++
			return p.use(from, s)
		}
	}
	if strings.Contains(word, "*") {
		return p.fail(from, "a pattern needs 1 of or all of before it: 1 of %s", clip(word))
	}
	return p.fail(from, "there is no selection %q, %s", clip(word), hint(word, p.names()))
}

func (p *conditionParser) names() []string {
	var names []string
	for _, s := range p.selections {
		names = append(names, s.name)
	}
	return names
}

// use refers to a selection. Its own errors are told already.
func (p *conditionParser) use(from int, s *selection) matcher.Node {
	s.used = true
	if s.node == nil {
		p.failed = true
		return nil
	}
	if p.leaves += s.leaves; p.leaves > maxLeaves {
		return p.fail(from, "the condition comes to more than %d tests", maxLeaves)
	}
	return s.node
}

// of reads what stands behind "1 of" and "all of".
func (p *conditionParser) of(from int, quantity string) matcher.Node {
	switch quantity {
	case "1", "any", "all":
	default:
		return p.fail(from, "%q of: only 1 of and all of exist", clip(quantity))
	}
	pattern := p.peek()
	if pattern == "" || pattern == "(" || pattern == ")" {
		return p.fail(p.next, "expected them or a pattern as selection_* behind %s of", quantity)
	}
	p.next++
	var nodes []matcher.Node
	for _, s := range p.selections {
		if !selects(pattern, s.name) {
			continue
		}
		if p.terms++; p.terms > maxTerms {
			return p.fail(from, "more than %d terms", maxTerms)
		}
		nodes = append(nodes, p.use(from, s))
		if p.failed {
			return nil
		}
	}
	if len(nodes) == 0 {
		return p.fail(p.next-1, "%q selects nothing, %s", clip(pattern), hint(strings.ReplaceAll(pattern, "*", ""), p.names()))
	}
	if quantity == "all" {
		return &matcher.And{Nodes: nodes, Note: p.note(from)}
	}
	return &matcher.Or{Nodes: nodes, Note: p.note(from)}
}

// selects says whether a pattern stands for a name: * is any run. Names that
// begin with _ are left out, unless the pattern begins with _ as well.
func selects(pattern, name string) bool {
	if strings.EqualFold(pattern, "them") {
		return !strings.HasPrefix(name, "_")
	}
	if strings.HasPrefix(name, "_") && !strings.HasPrefix(pattern, "_") {
		return false
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return name == pattern
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}
