package cloudwatch

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// Language returns the native.Language for the key cloudwatch of a rule. warn,
// if it is not nil, is called with each warning, in the goroutine that loads.
func Language(warn func(Warning)) native.Language {
	return func(file string, value *yaml.Node) (matcher.Node, error) {
		if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str" {
			return nil, &Error{
				Pos: matcher.Pos{File: file, Line: value.Line, Col: value.Column},
				Msg: `cloudwatch must be a pattern in quotes, such as '{ $.eventName = ConsoleLogin }'`,
			}
		}
		p := &parser{src: value.Value, base: matcher.Pos{File: file, Line: value.Line, Col: value.Column}, exact: true}
		switch {
		case value.Style&yaml.LiteralStyle != 0:
			p.base.Line++
			p.base.Col = 1 // the indentation is not known
		case value.Style&yaml.FoldedStyle != 0,
			value.Style&yaml.DoubleQuotedStyle != 0 && strings.ContainsAny(value.Value, "\n\"\\"),
			value.Style&yaml.SingleQuotedStyle != 0 && strings.ContainsAny(value.Value, "\n'"):
			p.exact = false // characters of the pattern stand elsewhere in the file
		case value.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
			p.base.Col++
		}
		n, warnings, err := p.parse()
		if err != nil {
			return nil, err
		}
		if warn != nil {
			for _, w := range warnings {
				warn(w)
			}
		}
		return n, nil
	}
}
