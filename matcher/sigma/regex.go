package sigma

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// maxRegex bounds the bytes of a regular expression.
const maxRegex = 16 << 10

// unsupported are what PCRE has and RE2 does not, by how it begins.
var unsupported = []struct{ mark, name string }{
	{"(?=", "look-ahead (?=…)"},
	{"(?!", "negative look-ahead (?!…)"},
	{"(?<=", "look-behind (?<=…)"},
	{"(?<!", "negative look-behind (?<!…)"},
	{"(?>", "an atomic group (?>…)"},
	{"(?#", "a comment (?#…)"},
	{"(?(", "a conditional group (?(…)…)"},
	{"(?|", "a branch reset group (?|…)"},
	{"(?R", "recursion (?R)"},
}

// regex returns the operator for a value of re. Semantics: case-sensitive and
// unanchored; the sub-modifiers are RE2's flags of the same names.
func (r *reader) regex(c *chain, _ *yaml.Node, expr string) (matcher.Op, error) {
	if len(expr) > maxRegex {
		return nil, fmt.Errorf("a regular expression of more than %d bytes", maxRegex)
	}
	full := expr
	if c.flags != "" {
		full = "(?" + c.flags + ")" + expr
	}
	op, err := matcher.Regex(full, false)
	if err == nil {
		return op, nil
	}
	if name := foreign(expr); name != "" {
		return nil, fmt.Errorf("the regular expression has %s, which RE2 does not have, as it would cost "+
			"unbounded time; say it by a second selection", name)
	}
	if bad := (*syntax.Error)(nil); errors.As(err, &bad) {
		return nil, fmt.Errorf("the regular expression has %s: %s", bad.Code, clip(bad.Expr))
	}
	return nil, err
}

// foreign names the first thing in expr that RE2 does not have, "" if none is
// found. It is asked about what RE2 has refused. Escapes and character classes are passed over.
func foreign(expr string) string {
	inClass := false
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\' && i+1 < len(expr):
			i++
			switch next := expr[i]; {
			case inClass:
			case '1' <= next && next <= '9':
				return `a back-reference \` + string(next)
			case next == 'k' || next == 'g':
				return `a back-reference \` + string(next)
			case next == 'Z' || next == 'G' || next == 'R' || next == 'K' || next == 'X':
				return `the escape \` + string(next)
			case next == 'Q':
				if end := strings.Index(expr[i:], `\E`); end >= 0 {
					i += end + 1
				} else {
					return ""
				}
			}
		case inClass:
			inClass = c != ']'
		case c == '[':
			inClass = true
			// A bracket that comes first is a character of the class.
			if i+1 < len(expr) && expr[i+1] == '^' {
				i++
			}
			if i+1 < len(expr) && expr[i+1] == ']' {
				i++
			}
		case c == '(':
			for _, u := range unsupported {
				if strings.HasPrefix(expr[i:], u.mark) {
					return u.name
				}
			}
		case c == '+' && i > 0 && strings.IndexByte("*+?}", expr[i-1]) >= 0 && (i == 1 || expr[i-2] != '\\'):
			return "a possessive repetition " + string(expr[i-1]) + "+"
		}
	}
	return ""
}
