package native

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// conditionKeys are the keys of a match map that are no paths.
var conditionKeys = []string{"any", "all", "not", "anywhere", "same_element", "response"}

var responses = []string{"success", "failure", "unauthorized"} // in the order of matcher.Response

// scope is what the paths of a match map are relative to.
type scope struct {
	event  bool            // the event itself: response makes sense
	known  bool            // a place in the event: CloudTrail's own fields are known
	prefix cloudtrail.Path // of that place
}

// condition reads a match map. It returns nil when it cannot be used; why is in r.errs.
func (r *reader) condition(n *yaml.Node, what string, sc scope) matcher.Node {
	list, ok := r.entries(n, what)
	if !ok {
		return nil
	}
	if len(list) == 0 {
		r.errorf(n, "%s is empty", what)
		return nil
	}
	var nodes []matcher.Node
	for _, e := range list {
		if c := r.conditionEntry(e, sc); c != nil {
			nodes = append(nodes, c)
		}
	}
	return all(nodes, matcher.Note{Pos: r.pos(n)})
}

func (r *reader) conditionEntry(e entry, sc scope) matcher.Node {
	note := matcher.Note{Pos: r.pos(e.at)}
	switch e.key {
	case "any":
		return orNil(r.conditions(e.val, "any", sc), func(nodes []matcher.Node) matcher.Node {
			return &matcher.Or{Nodes: nodes, Note: note}
		})
	case "all":
		return all(r.conditions(e.val, "all", sc), note)
	case "not":
		var nodes []matcher.Node
		if e.val.Kind == yaml.SequenceNode {
			nodes = r.conditions(e.val, "not", sc)
		} else if c := r.condition(e.val, "not", sc); c != nil {
			nodes = []matcher.Node{c}
		}
		switch len(nodes) {
		case 0:
			return nil
		case 1:
			return &matcher.Not{Node: nodes[0], Note: note}
		}
		return &matcher.Not{Node: &matcher.Or{Nodes: nodes, Note: note}, Note: note}
	case "anywhere":
		return r.anywhere(e)
	case "same_element":
		return r.sameElements(e, sc)
	case "response":
		return r.response(e, sc)
	default:
		return r.field(e, sc)
	}
}

// all is the AND of nodes: nil of none, a single one itself.
func all(nodes []matcher.Node, note matcher.Note) matcher.Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return orNil(nodes, func(nodes []matcher.Node) matcher.Node {
		return &matcher.And{Nodes: nodes, Note: note}
	})
}

func orNil(nodes []matcher.Node, join func([]matcher.Node) matcher.Node) matcher.Node {
	if len(nodes) == 0 {
		return nil
	}
	return join(nodes)
}

// conditions reads a list of match maps.
func (r *reader) conditions(n *yaml.Node, what string, sc scope) []matcher.Node {
	items, _ := r.list(n, what)
	var nodes []matcher.Node
	for _, item := range items {
		if c := r.condition(item, "an item of "+what, sc); c != nil {
			nodes = append(nodes, c)
		}
	}
	return nodes
}

func (r *reader) field(e entry, sc scope) matcher.Node {
	p := r.path(e.at, e.key)
	if p == nil {
		return nil
	}
	t := target{name: e.key, path: matcher.Keys(p...)}
	if sc.known {
		full := append(slices.Clone(sc.prefix), p...)
		t.text = isTextField(full)
		r.checkTop(e.at, full)
		if len(sc.prefix) == 0 && slices.Contains(absentWhenUnset, e.key) &&
			e.val.Kind == yaml.ScalarNode && e.val.ShortTag() == "!!null" && e.val.Value != "" {
			r.warnf(e.val, "%s is left out by CloudTrail and never null, so that this never holds: write {exists: false}", e.key)
		}
		t.inner = scope{known: true, prefix: full}
	}
	return r.value(t, e.key, e.at, e.val, false)
}

func (r *reader) anywhere(e entry) matcher.Node {
	list, ok := r.entries(e.val, "anywhere")
	if !ok {
		return nil
	}
	if len(list) == 0 {
		r.errorf(e.val, "anywhere is empty")
	}
	var nodes []matcher.Node
	for _, k := range list {
		p := r.path(k.at, k.key)
		if p == nil {
			continue
		}
		if len(p) > 1 {
			r.errorf(k.at, "anywhere looks for one key, not a path: write %q", clip(p[len(p)-1]))
			continue
		}
		t := target{name: k.key, key: p[0]}
		if c := r.value(t, "anywhere "+k.key, k.at, k.val, false); c != nil {
			nodes = append(nodes, c)
		}
	}
	return all(nodes, matcher.Note{Pos: r.pos(e.at)})
}

// sameElements reads one {path, match} or a list of them (all must hold).
func (r *reader) sameElements(e entry, sc scope) matcher.Node {
	items := []*yaml.Node{e.val}
	if e.val.Kind == yaml.SequenceNode {
		items, _ = r.list(e.val, "same_element")
	}
	var nodes []matcher.Node
	for _, item := range items {
		if c := r.sameElement(item, sc); c != nil {
			nodes = append(nodes, c)
		}
	}
	return all(nodes, matcher.Note{Pos: r.pos(e.at)})
}

var sameElementKeys = []string{"path", "match"}

func (r *reader) sameElement(n *yaml.Node, sc scope) matcher.Node {
	list, ok := r.entries(n, "same_element")
	if !ok {
		return nil
	}
	var p cloudtrail.Path
	var match entry
	var text string
	for _, e := range list {
		switch e.key {
		case "path":
			if s, ok := r.text(e.val, "path"); ok {
				text = s
				if p = r.path(e.val, s); p != nil && sc.known && len(sc.prefix) == 0 {
					r.checkTop(e.val, p)
				}
			}
		case "match":
			match = e
		default:
			r.errorf(e.at, "unknown key %q in same_element, %s", clip(e.key), hint(e.key, sameElementKeys))
		}
	}
	if !slices.ContainsFunc(list, func(e entry) bool { return e.key == "path" }) {
		r.errorf(n, "same_element needs a path")
	}
	if match.at == nil {
		r.errorf(n, "same_element needs a match")
		return nil
	}
	inner := scope{known: sc.known, prefix: append(slices.Clone(sc.prefix), p...)}
	c := r.condition(match.val, "match", inner)
	if c == nil || p == nil {
		return nil
	}
	return &matcher.SameElement{
		Path: matcher.Keys(p...), Node: c,
		Note: matcher.Note{Label: label("same_element "+text, match.val), Pos: r.pos(n)},
	}
}

func (r *reader) response(e entry, sc scope) matcher.Node {
	if !sc.event {
		r.errorf(e.at, "response is about the whole event: it cannot stand in same_element or json")
		return nil
	}
	var nodes []matcher.Node
	for _, item := range r.operands(e.val, "response") {
		s, ok := r.text(item, "response")
		if !ok {
			continue
		}
		i := slices.Index(responses, s)
		if i < 0 {
			r.errorf(item, "unknown response %q, %s", clip(s), hint(s, responses))
			continue
		}
		note := matcher.Note{Label: "response: " + s, Pos: r.pos(item)}
		nodes = append(nodes, matcher.NewResponse(matcher.Response(i), note))
	}
	if len(nodes) == 1 {
		return nodes[0]
	}
	return orNil(nodes, func(nodes []matcher.Node) matcher.Node {
		return &matcher.Or{Nodes: nodes, Note: matcher.Note{Pos: r.pos(e.at)}}
	})
}
