package native

import (
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

var testKeys = []string{"name", "event", "event_json", "match", "suppressed"}

// tests reads a rule's own tests.
func (r *reader) tests(n *yaml.Node) []matcher.Test {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, "tests must be a list, not %s", kindOf(n))
		return nil
	}
	var out []matcher.Test
	for _, item := range n.Content {
		out = append(out, r.test(item))
	}
	return out
}

func (r *reader) test(n *yaml.Node) matcher.Test {
	t := matcher.Test{Pos: r.pos(n)}
	list, ok := r.entries(n, "a test")
	if !ok {
		return t
	}
	var name, match bool
	var event, suppressed entry
	for _, e := range list {
		switch e.key {
		case "name":
			name = true
			t.Name, _ = r.text(e.val, "name")
		case "match":
			match = true
			t.Match, _ = r.boolean(e.val, "match")
		case "suppressed":
			suppressed = e
			if v, ok := r.boolean(e.val, "suppressed"); ok {
				t.Suppressed = &v
			}
		case "event", "event_json":
			if event.at != nil {
				r.errorf(e.at, "%s beside %s: a test has one event", e.key, event.key)
				continue
			}
			event = e
			t.Event = r.testEvent(e)
		default:
			r.errorf(e.at, "unknown key %q in a test, %s", clip(e.key), hint(e.key, testKeys))
		}
	}
	if !name {
		r.errorf(n, "a test needs a name")
	}
	if !match {
		r.errorf(n, "a test needs match: true or false")
	}
	if event.at == nil {
		r.errorf(n, "a test needs an event")
	}
	if suppressed.at != nil && match && !t.Match {
		r.errorf(suppressed.at, "suppressed is about an event that matches: it cannot stand beside match: false")
	}
	return t
}

func (r *reader) testEvent(e entry) []byte {
	if e.key == "event" {
		if _, ok := r.entries(e.val, "event"); !ok {
			return nil
		}
		return r.appendJSON(nil, e.val, nil)
	}
	s, ok := r.text(e.val, "event_json")
	if !ok {
		return nil
	}
	if s = strings.TrimSpace(s); !json.Valid([]byte(s)) || s[0] != '{' {
		r.errorf(e.val, "event_json is not a JSON object")
		return nil
	}
	return []byte(s)
}

// appendJSON appends the JSON of an event that is written as YAML. path is
// where n stands in the event; numbers keep their digits.
func (r *reader) appendJSON(dst []byte, n *yaml.Node, path cloudtrail.Path) []byte {
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			top, _, dotted := strings.Cut(key.Value, ".")
			if dotted && len(path) == 0 && slices.Contains(topFields, top) {
				r.errorf(key, "event: %q is one key here, not a path: write maps inside maps", clip(key.Value))
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, key.Value), ':')
			dst = r.appendJSON(dst, n.Content[i+1], append(slices.Clip(path), key.Value))
		}
		return append(dst, '}')
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, c := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = r.appendJSON(dst, c, path)
		}
		return append(dst, ']')
	default: // a scalar
	}
	name := strings.Join(path, ".")
	switch k, s := r.scalar(n, name, isTextField(path)); k {
	case textValue:
		return appendString(dst, s)
	case badValue:
		return dst
	default:
		return append(dst, s...)
	}
}

func appendString(dst []byte, s string) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return append(dst, `""`...) // cannot be: a string always encodes
	}
	return append(dst, strings.TrimSuffix(b.String(), "\n")...)
}
