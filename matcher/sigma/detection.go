package sigma

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// maxLeaves bounds how many tests the condition of one rule comes to, with
// selections counted as often as the condition names them.
const maxLeaves = 50_000

// selection is a search identifier of a detection.
type selection struct {
	name   string
	at     *yaml.Node
	node   matcher.Node // nil: its errors are told
	leaves int
	used   bool
}

// textMask: numbers and booleans are compared by their text, objects and arrays
// of objects by their compact JSON.
const textMask = matcher.TextNumbers | matcher.TextBools | matcher.TextObjects | matcher.TextObjectArrays

// detection reads the keys of a detection, or of a filter, other than those in
// reserved as selections, in the order of the file.
func (r *reader) selections(n *yaml.Node, reserved ...string) (list []*selection) {
	entries := r.entries(n, "detection")
	for _, e := range entries {
		if slices.Contains(reserved, e.key) {
			continue
		}
		s := &selection{name: e.key, at: e.at}
		list = append(list, s)
		if !isIdentifier(e.key) {
			r.errorf(e.at, "the name of a selection may hold letters, digits, _, - and ., not as %q", clip(e.key))
			continue
		}
		s.node = r.selection(s, e.val)
	}
	return list
}

func isIdentifier(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool { return !isNameRune(c) })
}

// selection reads what stands under a search identifier: a map (all of its
// items), a list of maps (any), a list of texts (keywords, any).
func (r *reader) selection(s *selection, n *yaml.Node) matcher.Node {
	note := matcher.Note{Label: s.name, Pos: r.pos(s.at)}
	switch {
	case n.Kind == yaml.MappingNode:
		return r.fields(s, n, note)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		r.errorf(s.at, "the selection %s is empty", s.name)
		return nil
	case n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		r.errorf(n, "the selection %s is empty", s.name)
		return nil
	}
	var words []*yaml.Node
	or := &matcher.Or{Note: note}
	for _, item := range items(n) {
		if item.Kind == yaml.MappingNode {
			sub := r.fields(s, item, matcher.Note{Label: "an item of " + s.name, Pos: r.pos(item)})
			if sub == nil {
				return nil
			}
			or.Nodes = append(or.Nodes, sub)
			continue
		}
		words = append(words, item)
	}
	if len(words) > 0 {
		sub := r.keywords(s, &chain{kind: contains}, "", words)
		if sub == nil {
			return nil
		}
		or.Nodes = append(or.Nodes, sub)
	}
	return or
}

// fields reads a map: all of its items must hold.
func (r *reader) fields(s *selection, n *yaml.Node, note matcher.Note) matcher.Node {
	entries := r.entries(n, "a selection")
	if len(entries) == 0 {
		r.errorf(n, "the selection %s is empty", s.name)
		return nil
	}
	and := &matcher.And{Note: note}
	good := true
	for _, e := range entries {
		name, modifiers, modified := strings.Cut(e.key, "|")
		var names []string
		if modified {
			names = strings.Split(modifiers, "|")
		}
		c, ok := r.chain(e.at, names)
		if !ok {
			good = false
			continue
		}
		var sub matcher.Node
		if name == "" {
			sub = r.keywordItem(s, &c, e)
		} else if path, ok := r.path(e.at, name); ok {
			sub = r.field(s, &c, path, e)
		}
		if sub == nil {
			good = false
			continue
		}
		and.Nodes = append(and.Nodes, sub)
	}
	if !good {
		return nil
	}
	return and
}

// path reads a field's name.
func (r *reader) path(at *yaml.Node, name string) (matcher.Path, bool) {
	p := matcher.Dotted(name)
	for _, step := range p {
		if step.Key == "" || strings.TrimSpace(step.Key) != step.Key {
			r.errorf(at, "%q is not the name of a field", clip(name))
			return nil, false
		}
	}
	return p, true
}

// field builds the test of one field: any of the values, or all under |all.
func (r *reader) field(s *selection, c *chain, path matcher.Path, e entry) matcher.Node {
	note := matcher.Note{Label: label(e), Pos: r.pos(e.at)}
	values := items(e.val)
	if len(values) == 0 {
		r.errorf(e.val, "%s has an empty list of values", e.key)
		return nil
	}
	s.leaves += len(values)
	if c.all && len(values) == 1 {
		r.warnf(e.at, "all over a single value changes nothing")
	}
	var node matcher.Node
	switch {
	case c.kind == exists:
		return r.exists(path, e, note)
	case c.fieldref:
		node = r.fieldref(c, path, values, note)
	case slices.ContainsFunc(values, isNull):
		if len(values) > 1 {
			r.errorf(values[slices.IndexFunc(values, isNull)],
				"null cannot stand in a list of values: give it a selection of its own")
			return nil
		}
		if len(c.names) > 0 && !slices.Equal(c.names, []string{"neq"}) {
			r.errorf(values[0], "null goes with no modifier but neq")
			return nil
		}
		// Semantics: null matches an absent field and JSON null.
		node = &matcher.Field{Path: path, Leaf: matcher.Leaf{Op: matcher.HoldsNull(), Absent: true}, Note: note}
	default:
		node = r.values(c, path, values, note)
	}
	if node == nil || !c.neq {
		return node
	}
	if !isNull(values[0]) {
		r.warnf(e.at, "neq does not hold for an event without the field %s: to include such events, negate a selection in the condition", path)
	}
	return differs(node, []matcher.Path{path}, c, values, note)
}

// differs is neq: the fields have a value, and the test does not hold.
func differs(node matcher.Node, paths []matcher.Path, c *chain, values []*yaml.Node, note matcher.Note) matcher.Node {
	if c.fieldref {
		for _, v := range values {
			paths = append(paths, matcher.Dotted(v.Value))
		}
	}
	and := &matcher.And{Note: note}
	for _, p := range paths {
		and.Nodes = append(and.Nodes, present(p, note.Pos))
	}
	and.Nodes = append(and.Nodes, &matcher.Not{Node: node, Note: matcher.Note{Pos: note.Pos}})
	return and
}

// present holds for a field that is there and not null.
func present(p matcher.Path, pos matcher.Pos) matcher.Node {
	return &matcher.Field{
		Path: p,
		Leaf: matcher.Leaf{Op: matcher.Exists(), Null: matcher.NullAbsent},
		Note: matcher.Note{Label: p.String() + " is there", Pos: pos},
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func (r *reader) values(c *chain, path matcher.Path, nodes []*yaml.Node, note matcher.Note) matcher.Node {
	values, ok := r.scalars(nodes)
	if !ok {
		return nil
	}
	mask := textMask
	test := func(values []scalar, note matcher.Note) matcher.Node {
		op, ok := r.op(c, values)
		if !ok {
			return nil
		}
		leaf := matcher.Leaf{Op: op, AsText: mask, Null: matcher.NullAbsent}
		return &matcher.Field{Path: path, Leaf: leaf, Note: note}
	}
	if !c.all {
		return test(values, note)
	}
	and := &matcher.And{Note: note}
	for _, v := range values {
		sub := test([]scalar{v}, matcher.Note{Label: "value " + clip(v.text), Pos: r.pos(v.node)})
		if sub == nil {
			return nil
		}
		and.Nodes = append(and.Nodes, sub)
	}
	return and
}

func (r *reader) scalars(nodes []*yaml.Node) (values []scalar, ok bool) {
	ok = true
	for _, n := range nodes {
		s, good := r.scalar(n)
		ok = ok && good
		values = append(values, s)
	}
	return values, ok
}

func (r *reader) exists(path matcher.Path, e entry, note matcher.Note) matcher.Node {
	want := strings.ToLower(e.val.Value)
	if e.val.Kind != yaml.ScalarNode || want != "true" && want != "false" {
		r.errorf(e.val, "exists must be true or false, not %s", kindOf(e.val))
		return nil
	}
	there := &matcher.Field{Path: path, Leaf: matcher.Leaf{Op: matcher.Exists()}, Note: note}
	if want == "true" {
		return there
	}
	there.Note.Label = path.String() + " is there"
	return &matcher.Not{Node: there, Note: note}
}

func (r *reader) fieldref(c *chain, path matcher.Path, nodes []*yaml.Node, note matcher.Note) matcher.Node {
	rel := map[kind]matcher.PairRelation{
		equals: matcher.PairEqual, startswith: matcher.PairPrefix, endswith: matcher.PairSuffix, contains: matcher.PairContains,
	}[c.kind]
	var pairs []matcher.Node
	for _, n := range nodes {
		name, ok := r.text(n, "fieldref: the name of a field")
		if !ok {
			return nil
		}
		other, ok := r.path(n, name)
		if !ok {
			return nil
		}
		if slices.Equal(path, other) {
			r.warnf(n, "%s is compared with itself", name)
		}
		pairs = append(pairs, &matcher.FieldPair{
			Path: path, Other: other, Rel: rel, Fold: !c.cased,
			Note: matcher.Note{Label: fmt.Sprintf("%s: %s", strings.Join(append([]string{path.String()}, c.names...), "|"), name), Pos: r.pos(n)},
		})
	}
	switch {
	case len(pairs) == 1:
		return pairs[0]
	case c.all:
		return &matcher.And{Nodes: pairs, Note: note}
	}
	return &matcher.Or{Nodes: pairs, Note: note}
}

// label says an item in the rule's own words.
func label(e entry) string {
	const most = 5
	var words []string
	for i, n := range items(e.val) {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(e.val.Content)-most))
			break
		}
		words = append(words, kindOf(n))
	}
	return e.key + ": " + strings.Join(words, ", ")
}
