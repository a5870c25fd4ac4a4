package lint

import (
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// maxWork bounds how many tests are looked at for one rule; beyond it the rule
// is taken as possible.
const maxWork = 1 << 15

// literal is a test that must hold, or must not.
type literal struct {
	node    *matcher.Field
	path    string // dotted
	negated bool
}

// scope are tests that must all come true.
type scope []literal

// reason says why something is impossible.
type reason struct {
	pos  matcher.Pos
	kind Kind
	msg  string
}

// impossible returns why no event can satisfy n (or, negated, fail to) together
// with what is outside, nil when one may.
func (c *checker) impossible(n matcher.Node, negated bool, outside scope) *reason {
	var choices []choice
	inside := outside[:len(outside):len(outside)]
	c.flatten(n, negated, &inside, &choices)
	if c.work += len(inside) + 1; c.work > maxWork {
		return nil
	}
	if why := c.clash(inside, len(outside)); why != nil {
		return why
	}
	for _, ch := range choices {
		if why := c.noChoice(ch, inside); why != nil {
			return why
		}
	}
	return nil
}

// noChoice says why none of the alternatives is possible.
func (c *checker) noChoice(ch choice, inside scope) *reason {
	var why *reason
	if len(ch.nodes) == 0 {
		return &reason{pos: ch.note.Pos, kind: ExcludedByItself, msg: "can never match: it is a choice among nothing"}
	}
	if test := c.oneChoice(ch); test != nil {
		merged := append(inside[:len(inside):len(inside)], *test)
		return c.clash(merged, len(inside))
	}
	for _, alternative := range ch.nodes {
		this := c.impossible(alternative, ch.negated, inside)
		if this == nil {
			return nil
		}
		if why == nil {
			why = this
		}
	}
	return why
}

// oneChoice returns a choice among tests of one field as one test, so that all
// names in it are told of together; nil for others.
func (c *checker) oneChoice(ch choice) *literal {
	if ch.negated || len(ch.nodes) < 2 {
		return nil
	}
	var first *matcher.Field
	var ops []matcher.Op
	var gather func(nodes []matcher.Node) bool
	gather = func(nodes []matcher.Node) bool {
		for _, n := range nodes {
			if or, ok := n.(*matcher.Or); ok {
				if !gather(or.Nodes) {
					return false
				}
				continue
			}
			f, ok := n.(*matcher.Field)
			if !ok || first != nil && !sameBut(f, first) {
				return false
			}
			if first == nil {
				first = f
			}
			ops = append(ops, f.Op)
		}
		return true
	}
	if !gather(ch.nodes) || first == nil {
		return nil
	}
	merged := *first
	merged.Op = matcher.OneOf(ops...)
	if ch.note.Pos.Line > 0 {
		merged.Note.Pos = ch.note.Pos
	}
	return &literal{node: &merged, path: first.Path.String()}
}

// sameBut says that two tests differ in their operators at most.
func sameBut(a, b *matcher.Field) bool {
	x, y := a.Leaf, b.Leaf
	x.Op, y.Op = nil, nil
	return x == y && slices.Equal(a.Path, b.Path)
}

// choice are conditions of which one must come true.
type choice struct {
	nodes   []matcher.Node
	negated bool
	note    matcher.Note
}

// flatten gathers what n comes to: tests that must all come true, and choices.
// What it cannot see through adds nothing.
func (c *checker) flatten(n matcher.Node, negated bool, tests *scope, choices *[]choice) {
	all := func(nodes []matcher.Node) {
		for _, sub := range nodes {
			c.flatten(sub, negated, tests, choices)
		}
	}
	present := func(p matcher.Path, note matcher.Note) {
		if !negated {
			*tests = append(*tests, literal{path: p.String(), node: &matcher.Field{Path: p, Leaf: matcher.Leaf{Op: matcher.Exists()}, Note: note}})
		}
	}
	switch n := n.(type) {
	case *matcher.And:
		if negated {
			*choices = append(*choices, choice{n.Nodes, true, n.Note})
			return
		}
		all(n.Nodes)
	case *matcher.Or:
		switch {
		case negated:
			all(n.Nodes)
		case len(n.Nodes) == 1:
			all(n.Nodes)
		default:
			*choices = append(*choices, choice{n.Nodes, false, n.Note})
		}
	case *matcher.Not:
		c.flatten(n.Node, !negated, tests, choices)
	case *matcher.Field:
		*tests = append(*tests, literal{node: n, path: n.Path.String(), negated: negated})
	case *matcher.Tree:
		if !negated {
			all(n.Fields())
		}
	case *matcher.SameElement:
		present(n.Path, n.Note)
	case *matcher.JSONText:
		present(n.Path, n.Note)
	case *matcher.FieldPair:
		present(n.Path, n.Note)
		present(n.Other, n.Note)
	}
}

// clash says why the tests exclude one another, or what they ask for does not
// exist. Those before from were looked at among themselves.
func (c *checker) clash(tests scope, from int) *reason {
	byPath := map[string]scope{}
	for _, t := range tests {
		byPath[t.path] = append(byPath[t.path], t)
	}
	looked := map[string]bool{}
	for _, t := range tests[from:] {
		if looked[t.path] {
			continue
		}
		looked[t.path] = true
		if c.work += len(byPath[t.path]); c.work > maxWork {
			return nil
		}
		if why := c.unknownField(byPath[t.path]); why != nil {
			return why
		}
		if why := c.contradiction(byPath[t.path]); why != nil {
			return why
		}
	}
	if looked[eventName] || looked[eventSource] {
		return c.unknownEvent(byPath[eventName], byPath[eventSource])
	}
	return nil
}

// holds says whether all tests come true on an event.
func (c *checker) holds(tests scope, event string) bool {
	for _, t := range tests {
		if c.probe.Holds(t.node, event) == t.negated {
			return false
		}
	}
	return true
}

// plain says that the path is of plain keys.
func plain(t literal) bool {
	_, ok := t.node.Path.Plain()
	return ok
}

// unknownField says of tests of one field that no record has it.
func (c *checker) unknownField(tests scope) *reason {
	t := tests[0]
	if len(t.node.Path) == 0 || t.node.Path[0].Kind != matcher.StepKey {
		return nil
	}
	path := t.path
	if !plain(t) { // at least its first key must be known
		path = t.node.Path[0].Key
	}
	if c.words.PossiblePath(path) || c.holds(tests, "{}") {
		return nil
	}
	for _, test := range tests { // the one that fails is the one to show
		if c.probe.Holds(test.node, "{}") == test.negated {
			t = test
			break
		}
	}
	where := "no CloudTrail record has a field"
	if !strings.Contains(path, ".") {
		where = "CloudTrail records have at their top no field"
	}
	return &reason{
		pos: t.node.Note.Pos, kind: UnknownField,
		msg: "can never match: " + where + " " + clip(path) + meant(c.words.NearestPath(path)),
	}
}

// meant proposes a word, if there is one.
func meant(word string) string {
	if word == "" {
		return ""
	}
	return ": did you mean " + word + "?"
}

// clip bounds what a message shows of a text.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
