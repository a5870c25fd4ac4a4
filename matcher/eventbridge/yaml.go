package eventbridge

import (
	"errors"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// Language returns the reader of the key eventbridge in native rules, whose value
// is a pattern as a YAML map or as JSON text. warn, which may be nil, is called
// for each remark on a pattern.
func Language(o Options, warn func(Warning)) native.Language {
	return func(file string, n *yaml.Node) (matcher.Node, error) {
		node, warnings, err := parseYAML(file, n, o)
		if warn != nil {
			for _, w := range warnings {
				warn(w)
			}
		}
		return node, err
	}
}

func parseYAML(file string, n *yaml.Node, o Options) (matcher.Node, []Warning, error) {
	pos := matcher.Pos{File: file, Line: max(n.Line, 1), Col: max(n.Column, 1)}
	if n.Kind != yaml.ScalarNode {
		v, err := fromYAML(file, n, 1)
		if err != nil {
			return nil, nil, err
		}
		return lower(v, o)
	}
	if n.ShortTag() != "!!str" {
		return nil, nil, errorAt(pos, "an event pattern must be a map, or its JSON text, not %s", clip(n.Value))
	}
	v, err := readJSON(file, []byte(n.Value))
	if err != nil {
		return nil, nil, inside(err, pos)
	}
	if _, err := (&compiler{}).pattern(v); err != nil {
		return nil, nil, inside(err, pos) // said with the places in the text
	}
	v.move(pos)
	return lower(v, o)
}

// inside puts the place of an error in JSON text at the place of that text, whose
// indentation and escapes YAML has taken away.
func inside(err error, at matcher.Pos) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	return &Error{Pos: at, Msg: fmt.Sprintf("line %d, column %d of the pattern: %s", e.Pos.Line, e.Pos.Col, e.Msg), Err: e.Err}
}

// move puts every value at one place.
func (v *value) move(pos matcher.Pos) {
	v.pos = pos
	for _, item := range v.items {
		item.move(pos)
	}
	for i := range v.members {
		v.members[i].pos = pos
		v.members[i].val.move(pos)
	}
}

// jsonNumber is how JSON writes numbers.
var jsonNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)

// fromYAML reads a YAML value as the JSON value that it stands for.
func fromYAML(file string, n *yaml.Node, depth int) (*value, error) {
	v := &value{pos: matcher.Pos{File: file, Line: max(n.Line, 1), Col: max(n.Column, 1)}}
	if depth > MaxDepth {
		return nil, v.errorf("nested deeper than %d levels", MaxDepth)
	}
	switch n.Kind {
	case yaml.MappingNode:
		v.kind = objectValue
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, errorAt(matcher.Pos{File: file, Line: key.Line, Col: key.Column}, "a key must be plain text")
			}
			val, err := fromYAML(file, n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			v.members = append(v.members, member{key.Value, matcher.Pos{File: file, Line: key.Line, Col: key.Column}, val})
		}
		return v, nil
	case yaml.SequenceNode:
		v.kind = listValue
		for _, item := range n.Content {
			val, err := fromYAML(file, item, depth+1)
			if err != nil {
				return nil, err
			}
			v.items = append(v.items, val)
		}
		return v, nil
	case yaml.ScalarNode:
		return v, v.scalar(n)
	default:
		return nil, v.errorf("aliases are not supported: write the value out")
	}
}

func (v *value) scalar(n *yaml.Node) error {
	v.text = n.Value
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		v.kind = textValue
	case "!!bool":
		v.kind, v.text = boolValue, "false"
		var b bool
		if err := n.Decode(&b); err != nil {
			return v.errorf("%s is no boolean: %v", clip(n.Value), err)
		}
		if b {
			v.text = "true"
		}
	case "!!null":
		v.kind, v.text = nullValue, "null"
	default:
		v.kind = numberValue
		if len(n.Value) > maxNumber || !jsonNumber.MatchString(n.Value) {
			return v.errorf("%s is no JSON number: write %q for text", clip(n.Value), clip(n.Value))
		}
	}
	return nil
}
