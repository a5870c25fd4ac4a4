package lucene

import (
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// Language returns what reads the key lucene of native rules. Warnings go to
// warn, which may be nil; they do not know their rule.
func (o Parser) Language(warn func(Warning)) native.Language {
	return func(file string, value *yaml.Node) (matcher.Node, error) {
		if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str" {
			return nil, errors.New("expected a query string; put it in quotes")
		}
		pos := matcher.Pos{Line: value.Line, Col: value.Column}
		switch {
		case value.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
			pos.Col++
		case value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
			pos.Line, pos.Col = pos.Line+1, 1 // its text begins on the next line
		}
		n, warnings, err := o.Parse(file, value.Value, pos)
		if warn != nil {
			for _, w := range warnings {
				warn(w)
			}
		}
		return n, err
	}
}
