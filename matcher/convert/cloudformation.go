package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// Bounds of a template.
const (
	maxNesting = 64
	maxNodes   = 1 << 20 // aliases followed
)

// template is a CloudFormation template.
type template struct {
	file       string
	parameters map[string]any // default values
	resources  map[string]any
	places     map[string]int // lines of the resources
	warnings   []string
}

// cloudFormation reads the AWS::Logs::MetricFilter and AWS::CloudWatch::Alarm
// resources of a template in YAML or JSON.
func (c *converter) cloudFormation(in Input) error {
	doc, err := parseYAML(in.Data)
	if err != nil {
		return fmt.Errorf("reading the template: %w", err)
	}
	nodes := 0
	tree, err := plainTree(doc, 0, &nodes)
	if err != nil {
		return fmt.Errorf("reading the template: %w", err)
	}
	root, _ := tree.(map[string]any)
	t := &template{file: in.Name, parameters: map[string]any{}, places: map[string]int{}}
	t.resources, _ = root["Resources"].(map[string]any)
	parameters, _ := root["Parameters"].(map[string]any)
	for name, p := range parameters {
		if m, ok := p.(map[string]any); ok && m["Default"] != nil {
			t.parameters[name] = m["Default"]
		}
	}
	t.findPlaces(doc)
	for _, id := range sortedKeys(t.resources) {
		r, _ := t.resources[id].(map[string]any)
		t.warnings = nil
		kind, _ := r["Type"].(string)
		if kind != "AWS::Logs::MetricFilter" && kind != "AWS::CloudWatch::Alarm" {
			continue
		}
		props, _ := t.resolve(r["Properties"], 0).(map[string]any)
		pos := matcher.Pos{File: in.Name, Line: max(t.places[id], 1)}
		if cond, ok := r["Condition"].(string); ok {
			t.warnings = append(t.warnings, fmt.Sprintf("the resource %s stands under the condition %s, which is taken to hold", id, cond))
		}
		for _, w := range t.warnings {
			c.note("%s: %s: %s", pos, id, w)
		}
		if kind == "AWS::Logs::MetricFilter" {
			c.filter(props, id, pos)
		} else {
			c.alarm(props, id, pos)
		}
	}
	return nil
}

func (t *template) findPlaces(doc *yaml.Node) {
	for i := 0; i+1 < len(doc.Content); i += 2 {
		if doc.Content[i].Value != "Resources" {
			continue
		}
		list := doc.Content[i+1].Content
		for j := 0; j+1 < len(list); j += 2 {
			t.places[list[j].Value] = list[j].Line
		}
	}
}

// resolve replaces what can be known of a template's functions.
func (t *template) resolve(v any, depth int) any {
	if depth > maxNesting {
		return unresolved{"nested too deep"}
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = t.resolve(item, depth+1)
		}
		return out
	case map[string]any:
		if len(v) == 1 {
			for name, arg := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return t.function(name, arg, depth+1)
				}
			}
		}
		out := make(map[string]any, len(v))
		for key, item := range v {
			if item = t.resolve(item, depth+1); item != nil {
				out[key] = item
			}
		}
		return out
	default:
		return v
	}
}

func (t *template) function(name string, arg any, depth int) any {
	open := unresolved{strings.TrimPrefix(name, "Fn::") + " " + show(arg)}
	switch name {
	case "Ref":
		if id, ok := arg.(string); ok {
			return t.ref(id, open, depth)
		}
	case "Fn::Sub":
		text, ok := arg.(string)
		if !ok {
			return open
		}
		return t.sub(text, open, depth)
	case "Fn::Join":
		list, _ := arg.([]any)
		if len(list) != 2 {
			return open
		}
		sep, ok := list[0].(string)
		items, ok2 := t.resolve(list[1], depth).([]any)
		if !ok || !ok2 || len(sep) > 64 {
			return open
		}
		var texts []string
		for _, item := range items {
			text, ok := scalarText(item)
			if !ok {
				return open
			}
			texts = append(texts, text)
		}
		return strings.Join(texts, sep)
	}
	return open
}

// ref is the value of a reference: a parameter's default, or a resource's name.
func (t *template) ref(id string, open unresolved, depth int) any {
	if v, ok := t.parameters[id]; ok {
		t.warnings = append(t.warnings, fmt.Sprintf("the parameter %s is taken at its default %s", id, show(v)))
		return v
	}
	if id == "AWS::NoValue" {
		return nil
	}
	r, _ := t.resources[id].(map[string]any)
	props, _ := r["Properties"].(map[string]any)
	switch r["Type"] {
	case "AWS::Logs::MetricFilter":
		if name := props["FilterName"]; name != nil {
			return t.resolve(name, depth)
		}
	case "AWS::CloudWatch::Alarm":
		if name := props["AlarmName"]; name != nil {
			return t.resolve(name, depth)
		}
	}
	return open
}

var subVariable = regexp.MustCompile(`\$\{([^}]*)\}`)

// sub replaces ${Name} in text.
func (t *template) sub(text string, open unresolved, depth int) any {
	known := true
	out := subVariable.ReplaceAllStringFunc(text, func(m string) string {
		id := m[2 : len(m)-1]
		if strings.HasPrefix(id, "!") {
			return "${" + id[1:] + "}"
		}
		value, ok := scalarText(t.ref(strings.TrimSpace(id), open, depth))
		known = known && ok && len(value) < 4096
		return value
	})
	if !known || len(out) > 1<<20 {
		return open
	}
	return out
}

func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// show writes a value for messages.
func show(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "a value"
	}
	if len(b) > 80 {
		return strings.ToValidUTF8(string(b[:80]), "") + "…"
	}
	return string(b)
}

// parseYAML parses one YAML document. The parser panics on some broken inputs;
// that is an error like any other.
func parseYAML(data []byte) (root *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("yaml: %v", p)
		}
	}()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errors.New("no YAML document")
	}
	return doc.Content[0], nil
}

// plainTree turns YAML into a tree; short tags become their long form: !Ref x is
// {Ref: x}.
func plainTree(n *yaml.Node, depth int, nodes *int) (any, error) {
	if *nodes++; depth > maxNesting || *nodes > maxNodes {
		return nil, fmt.Errorf("line %d: nested too deep or too large", n.Line)
	}
	var v any
	switch n.Kind {
	case yaml.AliasNode:
		return plainTree(n.Alias, depth+1, nodes)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			sub, err := plainTree(item, depth+1, nodes)
			if err != nil {
				return nil, err
			}
			list = append(list, sub)
		}
		v = list
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			sub, err := plainTree(n.Content[i+1], depth+1, nodes)
			if err != nil {
				return nil, err
			}
			m[n.Content[i].Value] = sub
		}
		v = m
	default:
		v = scalar(n)
	}
	tag := n.Tag
	if !strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "!!") {
		return v, nil
	}
	name := tag[1:]
	if name == "GetAtt" {
		if s, ok := v.(string); ok {
			resource, attribute, _ := strings.Cut(s, ".")
			v = []any{resource, attribute}
		}
	}
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	return map[string]any{name: v}, nil
}

func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value)
		}
	}
	return n.Value
}
