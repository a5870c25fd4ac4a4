package native

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
)

// What a rule file may be at most.
const (
	MaxFileSize = 16 << 20 // bytes
	MaxDepth    = 64       // nesting of YAML maps and lists
	MaxKeys     = 10_000   // keys of one map
	maxProblems = 100      // errors reported of one file
)

// Error is a problem at a place in a rule file.
type Error struct {
	Pos matcher.Pos
	Msg string
	Err error // the cause, or nil
}

// Error returns "file:line:col: message".
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Pos.File, e.Pos.Line, e.Pos.Col, e.Msg)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Warning is a remark on a rule that loads all the same.
type Warning struct {
	Pos  matcher.Pos
	Rule string // ID of the rule, "" outside rules
	Msg  string
}

// String returns "file:line:col: message".
func (w Warning) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", w.Pos.File, w.Pos.Line, w.Pos.Col, w.Msg)
}

// reader reads one file and collects its problems.
type reader struct {
	file      string
	lines     []string
	languages map[string]Language
	rule      string // ID of the rule being read
	errs      []error
	warnings  []Warning
}

func (r *reader) pos(n *yaml.Node) matcher.Pos {
	return matcher.Pos{File: r.file, Line: max(n.Line, 1), Col: max(n.Column, 1)}
}

func (r *reader) errorf(n *yaml.Node, format string, args ...any) {
	r.fail(&Error{Pos: r.pos(n), Msg: fmt.Sprintf(format, args...)})
}

func (r *reader) fail(e *Error) {
	switch {
	case len(r.errs) < maxProblems:
		r.errs = append(r.errs, e)
	case len(r.errs) == maxProblems:
		r.errs = append(r.errs, &Error{Pos: e.Pos, Msg: "too many problems: the rest of the file is not reported"})
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

// documents parses the YAML documents of src.
func (r *reader) documents(src []byte) []*yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var docs []*yaml.Node
	for {
		n, err := decode(dec)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			m := yamlLine.FindStringSubmatch(err.Error())
			at := &yaml.Node{Line: 1, Column: 1}
			msg := err.Error()
			if m != nil {
				msg = msg[len(m[0]):]
				if l, err := strconv.Atoi(m[1]); err == nil {
					at.Line = l
				}
			}
			r.errorf(at, "not YAML: %s", msg)
			return docs
		}
		if root := n.Content[0]; r.sound(root, 1) {
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

// sound refuses what no rule needs: aliases (they can make a small file a
// huge one), merge keys, tags, keys that are not scalars, and deep nesting.
func (r *reader) sound(n *yaml.Node, depth int) bool {
	if depth > MaxDepth {
		r.errorf(n, "nested deeper than %d levels", MaxDepth)
		return false
	}
	ok := true
	switch {
	case n.Kind == yaml.AliasNode:
		r.errorf(n, "aliases (*%s) are not supported: write the value out", clip(n.Value))
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.errorf(n, "tags (%s) are not supported: quote the value to make it text", clip(n.Tag))
		return false
	case n.Kind == yaml.MappingNode && len(n.Content)/2 > MaxKeys:
		r.errorf(n, "a map of more than %d keys", MaxKeys)
		return false
	case n.Kind == yaml.MappingNode:
		seen := make(map[string]*yaml.Node, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				r.errorf(key, "a key must be plain text")
				ok = false
				continue
			}
			if key.Tag == "!!merge" {
				r.errorf(key, "merge keys (<<) are not supported: write the keys out")
				ok = false
				continue
			}
			if first := seen[key.Value]; first != nil {
				r.errorf(key, "key %q is here twice, first on line %d", clip(key.Value), first.Line)
				ok = false
			}
			seen[key.Value] = key
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

// entries returns the entries of a map; ok is false, and said so, when n is not one.
func (r *reader) entries(n *yaml.Node, what string) (list []entry, ok bool) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "%s must be a map, not %s", what, kindOf(n))
		return nil, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		list = append(list, entry{n.Content[i].Value, n.Content[i], n.Content[i+1]})
	}
	return list, true
}

// list returns the items of a list that must not be empty.
func (r *reader) list(n *yaml.Node, what string) (items []*yaml.Node, ok bool) {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, "%s must be a list, not %s", what, kindOf(n))
		return nil, false
	}
	if len(n.Content) == 0 {
		r.errorf(n, "%s is empty", what)
		return nil, false
	}
	return n.Content, true
}

// text returns a scalar that must be text. A plain date is text.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind == yaml.ScalarNode {
		switch n.ShortTag() {
		case "!!str":
			if strings.TrimSpace(n.Value) == "" {
				r.errorf(n, "%s is empty", what)
				return "", false
			}
			return n.Value, true
		case "!!timestamp":
			return n.Value, true
		}
	}
	r.errorf(n, "%s must be text, not %s%s", what, kindOf(n), quoteHint(n))
	return "", false
}

// texts returns a list of texts.
func (r *reader) texts(n *yaml.Node, what string) []string {
	items, _ := r.list(n, what)
	var out []string
	for _, item := range items {
		if s, ok := r.text(item, "an item of "+what); ok {
			out = append(out, s)
		}
	}
	return out
}

func (r *reader) boolean(n *yaml.Node, what string) (value, ok bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return strings.EqualFold(n.Value, "true"), true
	}
	r.errorf(n, "%s must be true or false, not %s", what, kindOf(n))
	return false, false
}

// count returns a whole number of at least 1; 0, and said so, when n is none.
func (r *reader) count(n *yaml.Node, what string) int {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if v, err := strconv.Atoi(n.Value); err == nil && jsonNumber.MatchString(n.Value) && v >= 1 && v <= maxCount {
			return v
		}
	}
	r.errorf(n, "%s must be a whole number from 1 to %d, not %s", what, maxCount, kindOf(n))
	return 0
}

const maxCount = 65_536 // what windows count at most

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

// quoteHint proposes the quotes where they would make n text.
func quoteHint(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		return ": write " + strconv.Quote(clip(n.Value))
	}
	return ""
}

// clip shortens what a message quotes.
func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	return strings.ToValidUTF8(s[:80], "") + "…"
}
