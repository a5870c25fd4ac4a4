package cloudwatch

import (
	"regexp"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// isBare says which characters a value without quotes may have.
func isBare(c byte) bool { return isWord(c) || strings.IndexByte(".*-:/@+", c) >= 0 }

var number = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// value reads what follows the operator at byte at, and returns the test.
func (p *parser) value(sel selector, rel matcher.Relation, at int) (matcher.Op, error) {
	p.space()
	start := p.i
	if sel.isObject() {
		p.warnf(start, "%s is an object or an array, which no comparison matches, != neither: name a property in it", sel.text)
	}
	if rel == matcher.NE && !sel.alwaysThere() {
		p.differs = append(p.differs, differing{at, sel.text})
	}
	var op matcher.Op
	switch rest := p.src[p.i:]; {
	case strings.HasPrefix(rest, `"`):
		text, err := p.quoted()
		if err != nil {
			return nil, err
		}
		if err := p.noOrder(rel, start); err != nil {
			return nil, err
		}
		op = p.text(text, start)
	case strings.HasPrefix(rest, "%"):
		if err := p.noOrder(rel, start); err != nil {
			return nil, err
		}
		var err error
		if op, err = p.regex(); err != nil {
			return nil, err
		}
	default:
		return p.bare(rel)
	}
	if rel == matcher.NE {
		op = matcher.Neither(op)
	}
	return op, nil
}

func (p *parser) noOrder(rel matcher.Relation, start int) error {
	if rel == matcher.EQ || rel == matcher.NE {
		return nil
	}
	return p.errorf(start, "%s compares numbers: expected a number without quotes, not %s", rel, p.src[start:min(p.i, start+20)])
}

// bare reads a value without quotes: a number, *, or a text.
func (p *parser) bare(rel matcher.Relation) (matcher.Op, error) {
	start := p.i
	word := p.run(isBare)
	if word == "" {
		return nil, p.noValue()
	}
	if number.MatchString(word) {
		return p.number(rel, word)
	}
	if p.i < len(p.src) && strings.IndexByte(" \t\r\n)}|&", p.src[p.i]) < 0 {
		return nil, p.errorf(p.i, "%q in a value without quotes: write it in double quotes", rune(p.src[p.i]))
	}
	if err := p.noOrder(rel, start); err != nil {
		return nil, err
	}
	if strings.Contains(word, "+") {
		return nil, p.errorf(start, "%q in a value without quotes: write it in double quotes", '+')
	}
	var op matcher.Op
	switch {
	case strings.Trim(word, "*") == "":
		// Whatever is there and no object, array or null.
		op = matcher.KindIs(matcher.KindString | matcher.KindNumber | matcher.KindBool)
		if rel == matcher.NE {
			p.warnf(start, "!= * never holds: everything that is there equals *; write NOT EXISTS")
		}
	case strings.EqualFold(word, "true"), strings.EqualFold(word, "false"), strings.EqualFold(word, "null"):
		p.warnf(start, "%s compares with the text %q; the JSON value %s is matched by IS %s", rel, word, strings.ToLower(word), strings.ToUpper(word))
		op = matcher.Equals(false, word)
	default:
		op = p.text(word, start)
	}
	if rel == matcher.NE {
		op = matcher.Neither(op)
	}
	return op, nil
}

// noValue says what is wrong where a value must begin.
func (p *parser) noValue() error {
	rest := p.src[p.i:]
	switch {
	case strings.HasPrefix(rest, "'"), strings.HasPrefix(rest, "“"), strings.HasPrefix(rest, "”"),
		strings.HasPrefix(rest, "‘"), strings.HasPrefix(rest, "’"):
		return p.errorf(p.i, "values stand in double quotes (\"), not in %s", strings.TrimSpace(string([]rune(rest)[:1])))
	case strings.HasPrefix(rest, `\"`):
		return p.errorf(p.i, `expected a value, not \": the quotes of this pattern are escaped, write "`)
	default:
		return p.errorf(p.i, "expected a value, not %s", p.next())
	}
}

// number compares with JSON numbers exactly, with strings by the text.
func (p *parser) number(rel matcher.Relation, word string) (matcher.Op, error) {
	compare := rel
	if rel == matcher.NE {
		compare = matcher.EQ
	}
	num, err := matcher.Compare(compare, jsonNumber(word), false)
	if err != nil {
		return nil, p.errorf(p.i-len(word), "%v", err)
	}
	text := matcher.Equals(false, word)
	if compare != matcher.EQ {
		text = matcher.CompareText(compare, word)
	}
	op := matcher.OneOf(num, text)
	if rel == matcher.NE {
		op = matcher.Neither(op)
	}
	return op, nil
}

// jsonNumber writes the number as JSON does: no plus sign, no leading zeros.
func jsonNumber(word string) string {
	sign := ""
	switch word[0] {
	case '+':
		word = word[1:]
	case '-':
		sign, word = "-", word[1:]
	}
	for len(word) > 1 && word[0] == '0' && '0' <= word[1] && word[1] <= '9' {
		word = word[1:]
	}
	return sign + word
}

// text compares with strings; * stands for any run of characters.
func (p *parser) text(value string, at int) matcher.Op {
	if !strings.Contains(value, "*") {
		return matcher.Equals(false, value)
	}
	if strings.Contains(strings.Trim(value, "*"), "*") {
		p.warnf(at, "a * inside %q is taken as a wildcard; older CloudWatch documentation has it so only at the start or the end", clip(value))
	}
	return matcher.Wildcard(false, matcher.ParseGlob(value, matcher.GlobSyntax{}))
}

// quoted reads a text in double quotes, in which \" is a quote and \\ a backslash.
func (p *parser) quoted() (string, error) {
	start := p.i
	var b strings.Builder
	for p.i++; p.i < len(p.src); p.i++ {
		switch c := p.src[p.i]; {
		case c == '"':
			p.i++
			return b.String(), nil
		case c == '\\' && p.i+1 < len(p.src) && (p.src[p.i+1] == '"' || p.src[p.i+1] == '\\'):
			p.i++
			b.WriteByte(p.src[p.i])
		default:
			b.WriteByte(c)
		}
	}
	return "", p.errorf(start, "the quote \" is not closed")
}
