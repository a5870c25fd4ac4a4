package convert

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// eventBridge reads rules as aws events describe-rule and list-rules print them, or
// a pattern alone.
func (c *converter) eventBridge(in Input) error {
	var doc map[string]json.RawMessage
	if err := decodeJSON(in.Data, &doc); err != nil {
		return fmt.Errorf("reading JSON: %w", err)
	}
	if doc["Rules"] == nil && doc["EventPattern"] == nil {
		c.eventPattern(eventRule{Name: nameOf(in), EventPattern: in.Data}, at(in))
		return nil
	}
	var rules struct{ Rules []eventRule }
	if doc["Rules"] == nil {
		rules.Rules = make([]eventRule, 1)
		if err := decodeJSON(in.Data, &rules.Rules[0]); err != nil {
			return fmt.Errorf("reading an EventBridge rule: %w", err)
		}
	} else if err := decodeJSON(in.Data, &rules); err != nil {
		return fmt.Errorf("reading EventBridge rules: %w", err)
	}
	for _, r := range rules.Rules {
		c.eventPattern(r, at(in))
	}
	return nil
}

type eventRule struct {
	Name, Description, State, ScheduleExpression string
	EventPattern                                 json.RawMessage // JSON, or JSON in a string
}

func (c *converter) eventPattern(r eventRule, source matcher.Pos) {
	what := "EventBridge rule " + r.Name
	pattern := []byte(r.EventPattern)
	var text string
	if json.Unmarshal(pattern, &text) == nil {
		pattern = []byte(text)
	}
	if len(pattern) == 0 {
		why := "it has no event pattern"
		if r.ScheduleExpression != "" {
			why = "it runs on a schedule and has no event pattern"
		}
		c.refuse(source, what, "%s", why)
		return
	}
	var checked map[string]any
	if err := decodeJSON(pattern, &checked); err != nil {
		c.refuse(source, what, "the event pattern is not a JSON object: %v", err)
		return
	}
	node, err := jsonNode(checked, 0)
	if err != nil {
		c.refuse(source, what, "%v", err)
		return
	}
	d := draft{
		name: r.Name, title: r.Name, description: r.Description, disabled: r.State == "DISABLED", language: "eventbridge",
		condition: node, what: what, source: source, comments: []string{what},
	}
	if d.disabled {
		d.warnings = append(d.warnings, "the rule is disabled, and is written so")
	}
	c.write(d)
}

// jsonNode writes a JSON value as YAML; strings are quoted, so that none is read
// as something else.
func jsonNode(v any, depth int) (*yaml.Node, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("the event pattern is nested deeper than %d", maxNesting)
	}
	switch v := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range sortedKeys(v) {
			sub, err := jsonNode(v[key], depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, textNode(key), sub)
		}
		return n, nil
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			sub, err := jsonNode(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, sub)
		}
		return n, nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	case string:
		n := textNode(v)
		n.Style = yaml.DoubleQuotedStyle
		return n, nil
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
	}
}

// nameOf is a file's name without folder and ending.
func nameOf(in Input) string {
	base := filepath.Base(in.Name)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
