package native

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

var operatorKeys = []string{
	"equals", "not", "in", "prefix", "suffix", "contains", "wildcard", "regex", "cidr", "lt", "lte", "gt", "gte",
	"exists", "json", "each", "all_of", "ignore_case", "list", "country",
}

// target is what operators test: a path, or a key at any depth.
type target struct {
	name  string // as the author wrote it
	path  matcher.Path
	key   string // anywhere: the key
	text  bool   // always a string in CloudTrail
	inner scope
}

func (t target) test(leaf matcher.Leaf, note matcher.Note) matcher.Node {
	if t.key != "" {
		return &matcher.Anywhere{Key: t.key, Leaf: leaf, Note: note}
	}
	return &matcher.Field{Path: t.path, Leaf: leaf, Note: note}
}

// value reads what a field must be: a scalar, a list (any of) or a map of operators.
func (r *reader) value(t target, name string, at, n *yaml.Node, fold bool) matcher.Node {
	note := matcher.Note{Label: label(name, n), Pos: r.pos(at)}
	switch n.Kind {
	case yaml.MappingNode:
		return r.operators(t, name, n, fold, note)
	case yaml.SequenceNode:
		items, ok := r.list(n, name)
		if !ok {
			return nil
		}
		scalars, rest := split(items)
		var nodes []matcher.Node
		if len(scalars) > 0 {
			nodes = append(nodes, t.test(matcher.Leaf{Op: r.equals(scalars, t, fold)}, note))
		}
		for _, item := range rest {
			if item.Kind == yaml.SequenceNode {
				r.errorf(item, "%s: a list inside a list has no meaning", name)
				continue
			}
			if c := r.value(t, name, item, item, fold); c != nil {
				nodes = append(nodes, c)
			}
		}
		if len(nodes) == 1 {
			return nodes[0]
		}
		return orNil(nodes, func(nodes []matcher.Node) matcher.Node { return &matcher.Or{Nodes: nodes, Note: note} })
	default:
		return t.test(matcher.Leaf{Op: r.equals([]*yaml.Node{n}, t, fold)}, note)
	}
}

// split parts the scalars from the others.
func split(items []*yaml.Node) (scalars, rest []*yaml.Node) {
	for _, item := range items {
		if item.Kind == yaml.ScalarNode {
			scalars = append(scalars, item)
		} else {
			rest = append(rest, item)
		}
	}
	return scalars, rest
}

// operators reads a map of operators: those that look at one value must hold
// for the same value, the others for the field.
func (r *reader) operators(t target, name string, n *yaml.Node, fold bool, note matcher.Note) matcher.Node {
	list, fold := r.ignoreCase(n, name, fold)
	var ops []matcher.Op
	var nodes []matcher.Node
	var absent *yaml.Node
	for _, e := range list {
		sub := matcher.Note{Label: name + ": {" + label(e.key, e.val) + "}", Pos: r.pos(e.at)}
		var c matcher.Node
		switch e.key {
		case "ignore_case":
			continue
		case "not":
			if inner := r.value(t, name, e.at, e.val, fold); inner != nil {
				c = &matcher.Not{Node: inner, Note: sub}
			}
		case "exists":
			want, ok := r.boolean(e.val, "exists")
			c = t.test(matcher.Leaf{Op: matcher.Exists()}, sub)
			if ok && !want {
				absent = e.at
				c = &matcher.Not{Node: c, Note: sub}
			}
		case "json":
			c = r.json(t, e, sub)
		case "each":
			c = r.each(t, e, fold, sub)
		case "all_of":
			c = r.allOf(t, name, e, fold, sub)
		default:
			if op := r.operator(t, e, fold); op != nil {
				ops = append(ops, op)
			}
			continue
		}
		if c != nil {
			nodes = append(nodes, c)
		}
	}
	if len(ops) > 0 {
		if absent != nil {
			r.warnf(absent, "%s: an operator beside exists: false never holds", name)
		}
		nodes = append([]matcher.Node{t.test(matcher.Leaf{Op: every(ops)}, note)}, nodes...)
	}
	return all(nodes, note)
}

// ignoreCase returns the entries of a map of operators and whether they ignore
// case: as the map says, else as the map around it.
func (r *reader) ignoreCase(n *yaml.Node, name string, fold bool) ([]entry, bool) {
	list, ok := r.entries(n, name)
	if ok && len(list) == 0 {
		r.errorf(n, "%s: the map of operators is empty", name)
	}
	var flag *yaml.Node
	useful := false
	for _, e := range list {
		if e.key == "ignore_case" {
			flag = e.at
			fold, _ = r.boolean(e.val, "ignore_case")
		}
		useful = useful || slices.Contains(textOperators, e.key)
	}
	if flag != nil && !useful {
		r.errorf(flag, "ignore_case needs an operator on text beside it: %s", strings.Join(textOperators, ", "))
	}
	return list, fold
}

var textOperators = []string{"equals", "in", "not", "prefix", "suffix", "contains", "wildcard", "regex", "each", "all_of"}

// operator reads an operator that judges one value.
func (r *reader) operator(t target, e entry, fold bool) matcher.Op {
	switch e.key {
	case "equals", "in":
		items := r.operands(e.val, e.key)
		scalars, rest := split(items)
		for _, n := range rest {
			r.errorf(n, "%s compares with scalars, not %s", e.key, kindOf(n))
		}
		return r.equals(scalars, t, fold)
	case "prefix":
		return matcher.HasPrefix(fold, r.strings(e.val, e.key, false)...)
	case "suffix":
		return matcher.HasSuffix(fold, r.strings(e.val, e.key, false)...)
	case "contains":
		return matcher.Contains(fold, r.strings(e.val, e.key, false)...)
	case "wildcard":
		var globs [][]matcher.GlobToken
		for _, s := range r.strings(e.val, e.key, true) {
			globs = append(globs, matcher.ParseGlob(s, matcher.GlobSyntax{Question: true, Escape: true}))
		}
		return matcher.Wildcard(fold, globs...)
	case "regex":
		return r.regex(e, fold)
	case "cidr":
		return r.cidr(e)
	case "lt":
		return r.compare(t, e, matcher.LT)
	case "lte":
		return r.compare(t, e, matcher.LE)
	case "gt":
		return r.compare(t, e, matcher.GT)
	case "gte":
		return r.compare(t, e, matcher.GE)
	case "country":
		return r.country(e)
	case "list":
		var ops []matcher.Op
		for _, name := range r.strings(e.val, e.key, false) {
			ops = append(ops, matcher.ListMember(name))
		}
		return oneOf(ops)
	case "exists", "json", "each", "all_of":
		r.errorf(e.at, "%s cannot stand in each: it is about the whole field", e.key)
	default:
		r.unknownOperator(t, e)
	}
	return nil
}

func (r *reader) unknownOperator(t target, e entry) {
	if nearest(e.key, operatorKeys) == "" && t.key == "" {
		r.errorf(e.at, "unknown operator %q; for a field inside write the path %q; valid are %s", clip(e.key),
			clip(t.name+"."+e.key), strings.Join(operatorKeys, ", "))
		return
	}
	r.errorf(e.at, "unknown operator %q, %s", clip(e.key), hint(e.key, operatorKeys))
}

func (r *reader) compare(t target, e entry, rel matcher.Relation) matcher.Op {
	if t.text {
		r.errorf(e.at, "%s is always a string in CloudTrail: %s compares numbers", t.name, e.key)
		return nil
	}
	var ops []matcher.Op
	for _, n := range r.operands(e.val, e.key) {
		if n.Kind != yaml.ScalarNode || !jsonNumber.MatchString(n.Value) || n.ShortTag() != "!!int" && n.ShortTag() != "!!float" {
			r.errorf(n, "%s compares with a number, not %s", e.key, kindOf(n))
			continue
		}
		op, err := matcher.Compare(rel, n.Value, false)
		if err != nil {
			r.wrap(n, e.key, err)
			continue
		}
		ops = append(ops, op)
	}
	return oneOf(ops)
}

func (r *reader) json(t target, e entry, note matcher.Note) matcher.Node {
	if t.key != "" {
		r.errorf(e.at, "json cannot stand in anywhere: name the path of the text")
		return nil
	}
	c := r.condition(e.val, "json", scope{})
	if c == nil {
		return nil
	}
	return &matcher.JSONText{Path: t.path, Node: c, Note: note}
}

func (r *reader) each(t target, e entry, fold bool, note matcher.Note) matcher.Node {
	if t.key != "" {
		r.errorf(e.at, "each cannot stand in anywhere: name the path of the array")
		return nil
	}
	op := r.judge(t, e.val, fold)
	if op == nil {
		return nil
	}
	return t.test(matcher.Leaf{Op: op, Arrays: matcher.EachElement}, note)
}

// judge reads a value as value does, as a test of one element.
func (r *reader) judge(t target, n *yaml.Node, fold bool) matcher.Op {
	switch n.Kind {
	case yaml.MappingNode:
		list, fold := r.ignoreCase(n, "each", fold)
		var ops []matcher.Op
		for _, e := range list {
			var op matcher.Op
			switch e.key {
			case "ignore_case":
				continue
			case "not":
				if op = r.judge(t, e.val, fold); op != nil {
					op = matcher.Neither(op)
				}
			default:
				op = r.operator(t, e, fold)
			}
			if op != nil {
				ops = append(ops, op)
			}
		}
		return every(ops)
	case yaml.SequenceNode:
		items, _ := r.list(n, "each")
		scalars, rest := split(items)
		for _, item := range rest {
			r.errorf(item, "each: a list holds scalars, not %s", kindOf(item))
		}
		return r.equals(scalars, t, fold)
	default:
		return r.equals([]*yaml.Node{n}, t, fold)
	}
}

func (r *reader) allOf(t target, name string, e entry, fold bool, note matcher.Note) matcher.Node {
	items, _ := r.list(e.val, "all_of")
	var nodes []matcher.Node
	for _, item := range items {
		if item.Kind == yaml.SequenceNode {
			r.errorf(item, "all_of: a list inside a list has no meaning")
			continue
		}
		if c := r.value(t, name, item, item, fold); c != nil {
			nodes = append(nodes, c)
		}
	}
	return all(nodes, note)
}
