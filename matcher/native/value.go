package native

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// jsonNumber is how JSON writes numbers.
var jsonNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)

// kind is the JSON type of a scalar in a rule.
type kind uint8

const (
	badValue kind = iota // reported already
	textValue
	numberValue
	boolValue
	nullValue
)

// scalar returns what JSON value a scalar stands for: its text is a string's
// text, or a number as it is written. in names the field for messages; always
// says that CloudTrail writes that field as a string.
func (r *reader) scalar(n *yaml.Node, in string, always bool) (kind, string) {
	if n.Kind != yaml.ScalarNode {
		r.errorf(n, "%s: a value must be a scalar, not %s", in, kindOf(n))
		return badValue, ""
	}
	tag := n.ShortTag()
	if always && (tag == "!!int" || tag == "!!float" || tag == "!!bool") {
		r.errorf(n, "%s is always a string in CloudTrail, %s never equals it: write %q", in, clip(n.Value), clip(n.Value))
		return badValue, ""
	}
	switch tag {
	case "!!str", "!!timestamp":
		return textValue, n.Value
	case "!!bool":
		return boolValue, strings.ToLower(n.Value)
	case "!!null":
		if n.Value == "" {
			r.errorf(n, "%s has no value: write null for JSON null, or {exists: false}", in)
			return badValue, ""
		}
		return nullValue, "null"
	default:
		if !jsonNumber.MatchString(n.Value) {
			r.errorf(n, "%s: %s is no JSON number: write %q for text", in, clip(n.Value), clip(n.Value))
			return badValue, ""
		}
		return numberValue, n.Value
	}
}

// equals returns the test "one of these values".
func (r *reader) equals(items []*yaml.Node, t target, fold bool) matcher.Op {
	var texts []string
	var ops []matcher.Op
	for _, n := range items {
		switch k, s := r.scalar(n, t.name, t.text); k {
		case textValue:
			texts = append(texts, s)
		case numberValue:
			op, err := matcher.Compare(matcher.EQ, s, false)
			if err != nil {
				r.wrap(n, t.name, err)
				continue
			}
			ops = append(ops, op)
		case boolValue:
			ops = append(ops, matcher.IsBool(s == "true"))
		case nullValue:
			ops = append(ops, matcher.IsNull())
		case badValue: // scalar said so
		}
	}
	if len(texts) > 0 {
		ops = append([]matcher.Op{matcher.Equals(fold, texts...)}, ops...)
	}
	return oneOf(ops)
}

func oneOf(ops []matcher.Op) matcher.Op {
	if len(ops) == 1 {
		return ops[0]
	}
	return matcher.OneOf(ops...)
}

func every(ops []matcher.Op) matcher.Op {
	if len(ops) == 1 {
		return ops[0]
	}
	return matcher.Every(ops...)
}

// strings reads a scalar or a list of texts that an operator compares with.
func (r *reader) strings(n *yaml.Node, operator string, emptyAllowed bool) []string {
	var out []string
	for _, item := range r.operands(n, operator) {
		tag := item.ShortTag()
		if item.Kind != yaml.ScalarNode || tag != "!!str" && tag != "!!timestamp" {
			r.errorf(item, "%s compares text, not %s%s", operator, kindOf(item), quoteHint(item))
			continue
		}
		if item.Value == "" && !emptyAllowed {
			r.errorf(item, "%s with an empty text holds for every string: leave it out", operator)
			continue
		}
		out = append(out, item.Value)
	}
	return out
}

// operands returns the operands of an operator: one, or those of a list.
func (r *reader) operands(n *yaml.Node, operator string) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		items, _ := r.list(n, operator)
		return items
	}
	return []*yaml.Node{n}
}

// wrap reports the error of another package at n.
func (r *reader) wrap(n *yaml.Node, what string, err error) {
	if e, ok := err.(*Error); ok { //nolint:errorlint // only an error that is a place itself may keep its place
		r.fail(e)
		return
	}
	r.fail(&Error{Pos: r.pos(n), Msg: what + ": " + err.Error(), Err: err})
}

// label renders a key and its value in one line, in the author's words.
func label(key string, n *yaml.Node) string {
	b := appendFlow([]byte(key+": "), n)
	if len(b) > maxLabel {
		return strings.ToValidUTF8(string(b[:maxLabel]), "") + "…"
	}
	return string(b)
}

const maxLabel = 160

func appendFlow(dst []byte, n *yaml.Node) []byte {
	if len(dst) > maxLabel {
		return dst
	}
	switch n.Kind {
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, c := range n.Content {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendFlow(dst, c)
		}
		return append(dst, ']')
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(dst, n.Content[i].Value...)
			dst = append(dst, ": "...)
			dst = appendFlow(dst, n.Content[i+1])
		}
		return append(dst, '}')
	default:
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			return strconv.AppendQuote(dst, clip(n.Value))
		}
		return append(dst, clip(n.Value)...)
	}
}
