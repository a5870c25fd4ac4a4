package matcher

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Regex holds for a string that expr (RE2 syntax) matches somewhere; with
// anchored it must match the whole string. An expression that RE2 does not
// have, such as look-around, is an error.
func Regex(expr string, anchored bool) (Op, error) {
	if anchored {
		// Parsed alone first, so that an unbalanced bracket cannot reach out.
		if _, err := syntax.Parse(expr, syntax.Perl); err != nil {
			return nil, fmt.Errorf("parsing regular expression: %w", err)
		}
		expr = `\A(?:` + expr + `)\z`
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("parsing regular expression: %w", err)
	}
	return &regex{re: re}, nil
}

type regex struct {
	re       *regexp.Regexp
	required []byte // occurs in every text that matches; empty: not known
}

func (*regex) op() {}
