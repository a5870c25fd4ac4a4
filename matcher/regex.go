package matcher

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Regex holds for a string that expr (RE2 syntax) matches somewhere; with
// anchored it must match the whole string. An expression that RE2 does not
// have, such as look-around, is an error.
func Regex(expr string, anchored bool) (Op, error) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("parsing regular expression: %w", err)
	}
	full := expr
	if anchored {
		full = `\A(?:` + expr + `)\z`
	}
	re, err := regexp.Compile(full)
	if err != nil {
		return nil, fmt.Errorf("parsing regular expression: %w", err)
	}
	return &regex{expr: expr, tree: tree, anchored: anchored, re: re, required: []byte(requiredLiteral(tree))}, nil
}

type regex struct {
	onText
	expr     string // as it was written
	tree     *syntax.Regexp
	anchored bool
	re       *regexp.Regexp
	required []byte // occurs in every text that matches; empty: not known
}

func (r *regex) eval(e *evaluator) bool {
	return e.cur.isText && bytes.Contains(e.cur.text, r.required) && r.re.Match(e.cur.text)
}

func (r *regex) canon(dst []byte) []byte {
	return canonTexts(dst, "regex", false, []string{r.re.String()})
}

func (r *regex) words() string { return "matches /" + r.expr + "/" }

// requiredLiteral returns the longest text that occurs in everything that re
// matches, as far as it shows without looking into alternatives.
func requiredLiteral(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture, syntax.OpPlus:
		return requiredLiteral(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return requiredLiteral(re.Sub[0])
		}
	case syntax.OpConcat:
		best := ""
		for _, sub := range re.Sub {
			if s := requiredLiteral(sub); len(s) > len(best) {
				best = s
			}
		}
		return best
	default: // no one text that is always there
	}
	return ""
}
