package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// Error is a problem at a place in a rule file; the errors of this package are
// joined from it.
type Error = native.Error

// Warning is a remark on a rule that loads all the same.
type Warning = native.Warning

// What a file may be at most, beside native.MaxFileSize, native.MaxDepth and
// native.MaxKeys.
const maxProblems = 100 // errors, and warnings, told of one file

// reader reads one file and collects its problems.
type reader struct {
	file     string
	lines    []string
	options  *Options
	rule     string // ID of the rule being read
	errs     []error
	warnings []Warning
}

func (r *reader) pos(n *yaml.Node) matcher.Pos {
	return matcher.Pos{File: r.file, Line: max(n.Line, 1), Col: max(n.Column, 1)}
}

func (r *reader) errorf(n *yaml.Node, format string, args ...any) {
	r.fail(r.pos(n), format, args...)
}

func (r *reader) fail(pos matcher.Pos, format string, args ...any) {
	switch {
	case len(r.errs) < maxProblems:
		r.errs = append(r.errs, &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)})
	case len(r.errs) == maxProblems:
		r.errs = append(r.errs, &Error{Pos: pos, Msg: "too many problems: the rest of the file is not reported"})
	}
}

func (r *reader) warnf(n *yaml.Node, format string, args ...any) {
	if len(r.warnings) < maxProblems {
		r.warnings = append(r.warnings, Warning{Pos: r.pos(n), Rule: r.rule, Msg: fmt.Sprintf(format, args...)})
	}
}

// yamlLine finds the line in a message of the YAML parser, which offers it in
// no other form.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// documents parses the YAML documents of src; empty ones are left out.
func (r *reader) documents(src []byte) []*yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var docs []*yaml.Node
	for {
		n, err := decode(dec)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			msg := err.Error()
			at := &yaml.Node{Line: 1, Column: 1}
			if m := yamlLine.FindStringSubmatch(msg); m != nil {
				msg = msg[len(m[0]):]
				if l, err := strconv.Atoi(m[1]); err == nil {
					at.Line = l
				}
			}
			r.errorf(at, "not YAML: %s", msg)
			return docs
		}
		if root := n.Content[0]; root.ShortTag() != "!!null" {
			docs = append(docs, root)
		}
	}
}

// decode reads one document. The YAML parser panics on some broken inputs;
// that is an error of the file like any other.
func decode(dec *yaml.Decoder) (n *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	n = new(yaml.Node)
	if err := dec.Decode(n); err != nil {
		return nil, err
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) != 1 {
		return nil, errors.New("yaml: document without content")
	}
	return n, nil
}

// sound refuses what no rule needs: aliases (they can make a small file a huge
// one), merge keys, tags, keys that are not plain text, keys that stand twice,
// and deep nesting.
func (r *reader) sound(n *yaml.Node, depth int) bool {
	ok := true
	switch {
	case depth > native.MaxDepth:
		r.errorf(n, "nested deeper than %d levels", native.MaxDepth)
		return false
	case n.Kind == yaml.AliasNode:
		r.errorf(n, "aliases (*%s) are not supported: write the value out", clip(n.Value))
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.errorf(n, "tags (%s) are not supported", clip(n.Tag))
		return false
	case n.Kind == yaml.MappingNode && len(n.Content)/2 > native.MaxKeys:
		r.errorf(n, "a map of more than %d keys", native.MaxKeys)
		return false
	case n.Kind == yaml.MappingNode:
		seen := make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			switch {
			case key.Kind != yaml.ScalarNode:
				r.errorf(key, "a key must be plain text")
				ok = false
				continue
			case key.Tag == "!!merge":
				r.errorf(key, "merge keys (<<) are not supported: write the keys out")
				ok = false
				continue
			}
			if first := seen[key.Value]; first != 0 {
				r.errorf(key, "key %q is here twice, first on line %d", clip(key.Value), first)
				ok = false
			}
			seen[key.Value] = key.Line
		}
	}
	for _, c := range n.Content {
		if len(r.errs) > maxProblems {
			return false
		}
		ok = r.sound(c, depth+1) && ok
	}
	return ok
}

// entry is one key of a map.
type entry struct {
	key string
	at  *yaml.Node // the key
	val *yaml.Node
}

// entries returns the entries of a map; nil, and said so, when n is not one.
func (r *reader) entries(n *yaml.Node, what string) []entry {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "%s must be a map, not %s", what, kindOf(n))
		return nil
	}
	var list []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		list = append(list, entry{n.Content[i].Value, n.Content[i], n.Content[i+1]})
	}
	return list
}

// get returns the value under key in a map, nil if there is none.
func get(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// text returns a scalar's text, as it is written.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || strings.TrimSpace(n.Value) == "" {
		r.errorf(n, "%s must be text, not %s", what, kindOf(n))
		return "", false
	}
	return n.Value, true
}

// texts returns the texts of a list; a single text stands for a list of one,
// null for none.
func (r *reader) texts(n *yaml.Node, what string) (out []string) {
	if n.ShortTag() == "!!null" {
		return nil
	}
	for _, item := range items(n) {
		if s, ok := r.text(item, what); ok {
			out = append(out, s)
		}
	}
	return out
}

// items returns the items of a list, and anything else as its only item.
func items(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// source returns the lines of the document that begins at n and ends before
// line end.
func (r *reader) source(n *yaml.Node, end int) string {
	from := min(max(n.Line-1, 0), len(r.lines))
	lines := r.lines[from:max(from, min(end-1, len(r.lines)))]
	text := strings.TrimRight(strings.Join(lines, "\n"), " \t\r\n")
	text = strings.TrimRight(strings.TrimSuffix(text, "\n---"), " \t\r\n")
	return text + "\n"
}

// kindOf names what a node is, for messages.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	default: // a scalar: its tag tells
	}
	switch n.ShortTag() {
	case "!!null":
		if n.Value == "" {
			return "nothing"
		}
		return "null"
	case "!!str", "!!timestamp":
		return strconv.Quote(clip(n.Value))
	}
	return clip(n.Value)
}

// clip shortens what a message quotes.
func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	return strings.ToValidUTF8(s[:80], "") + "…"
}
