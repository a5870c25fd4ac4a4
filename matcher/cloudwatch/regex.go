package cloudwatch

import (
	"errors"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// regex reads %expression%.
// Semantics: CloudWatch Logs User Guide, "Supported regular expressions (regex)
// syntax": unanchored, without groups; the common subset with RE2.
func (p *parser) regex() (matcher.Op, error) {
	start := p.i
	if p.regexes++; p.regexes > MaxRegexes {
		return nil, p.errorf(start, "more than %d regular expressions: CloudWatch takes no more", MaxRegexes)
	}
	p.i++
	from := p.i
	class := -1 // where a character class begins
	for p.i < len(p.src) {
		c := p.src[p.i]
		switch {
		case c == '%':
			if class >= 0 {
				return nil, p.errorf(class, "the [ is not closed before the %%")
			}
			expr := p.src[from:p.i]
			if expr == "" {
				return nil, p.errorf(start, "the regular expression is empty")
			}
			op, err := matcher.Regex(expr, false)
			if err != nil {
				return nil, p.errorf(from, "%v", rootCause(err))
			}
			p.i++
			return op, nil
		case c == '\\':
			if err := p.escape(); err != nil {
				return nil, err
			}
			continue
		case c == '[' && class >= 0:
			return nil, p.errorf(p.i, "[ inside a character class: write \\[")
		case c == '[':
			class = p.i
		case c == ']' && class >= 0 && p.i > class+1 && p.src[class+1:p.i] != "^":
			class = -1
		case c == '{' && class < 0:
			if err := p.repetition(); err != nil {
				return nil, err
			}
			continue
		case c == '}' && class < 0, c == ']' && class < 0:
			return nil, p.errorf(p.i, "a %c that closes nothing: write \\%c", c, c)
		case isWord(c), strings.IndexByte(":#=@/;,-^$?]{}|*+.", c) >= 0:
		case c == '(' || c == ')':
			return nil, p.errorf(p.i, "CloudWatch's regular expressions have no groups: %c is not supported", c)
		case c >= 0x80:
			return nil, p.errorf(p.i, "CloudWatch's regular expressions are ASCII: %q is not supported", []rune(p.src[p.i:])[0])
		case c == ' ':
			return nil, p.errorf(p.i, "a blank in a regular expression is not supported: write \\s")
		default:
			return nil, p.errorf(p.i, "%q is not supported in a regular expression: write \\%c", rune(c), c)
		}
		p.i++
	}
	return nil, p.errorf(start, "the regular expression is not closed by %%")
}

// escape goes over a backslash and what it escapes.
func (p *parser) escape() error {
	at := p.i
	p.i++
	if p.i == len(p.src) {
		return p.errorf(at, "a backslash at the end")
	}
	switch c := p.src[p.i]; {
	case strings.IndexByte("dDsSwW", c) >= 0:
	case c == 'x':
		if p.i+2 >= len(p.src) || p.src[p.i+1] > '7' || !isHex(p.src[p.i+1]) || !isHex(p.src[p.i+2]) {
			return p.errorf(at, `expected two hexadecimal digits up to 7f after \x`)
		}
		p.i += 2
	case isWord(c) && c != '_':
		return p.errorf(at, `\%c is not supported: there are \d \D \s \S \w \W and \xhh`, c)
	case c >= 0x80 || c < ' ':
		return p.errorf(at, "a backslash before %q", []rune(p.src[p.i:])[0])
	}
	p.i++
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// repetition goes over {n}, {n,} or {n,m}.
func (p *parser) repetition() error {
	at := p.i
	p.i++
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	least := p.run(isDigit)
	if p.take(",") {
		p.run(isDigit)
	}
	if least == "" || !p.take("}") {
		return p.errorf(at, "expected {n}, {n,} or {n,m}, or \\{ for the character")
	}
	return nil
}

func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
