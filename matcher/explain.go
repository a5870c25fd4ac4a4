package matcher

import (
	"fmt"

	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Explanation says of one predicate whether it held, and what it saw.
type Explanation struct {
	Text  string // the predicate's label, or words made up for it
	Pos   Pos    // zero when the front end gave none
	Held  bool
	Seen  []string // compact JSON of the values that it looked at; nil: there was none
	Parts []Explanation
}

// Bounds of what an Explanation shows.
const (
	maxSeen      = 5
	maxSeenBytes = 200
)

// Explain evaluates every predicate of the rule's condition on the event, also
// those that Match would skip. It is for people and allocates freely. An error
// means that the event does not parse. Suppressions are not looked at.
// No Enricher is asked: see Ruleset.Explain.
func Explain(r *Rule, ev *cloudtrail.Event) (Explanation, error) {
	return explain(r, ev, nil)
}

// Explain is Explain with the Enricher that the rules were compiled with.
func (rs *Ruleset) Explain(r *Rule, ev *cloudtrail.Event) (Explanation, error) {
	return explain(r, ev, rs.enrich)
}

func explain(r *Rule, ev *cloudtrail.Event, enrich Enricher) (Explanation, error) {
	v, err := ev.Parse()
	if err != nil {
		return Explanation{}, fmt.Errorf("parsing the event: %w", err)
	}
	var x explainer
	x.enrich = enrich
	x.begin()
	x.document.raw = ev.Raw()
	return r.Cond.explain(&x, v), nil
}

type explainer struct{ evaluator }

// lead starts the explanation of a node.
func (x *explainer) lead(n Node, v *fastjson.Value, note Note, words string) Explanation {
	if note.Label != "" {
		words = note.Label
	}
	return Explanation{Text: words, Pos: note.Pos, Held: n.eval(&x.evaluator, v)}
}

func (x *explainer) parts(nodes []Node, v *fastjson.Value) []Explanation {
	parts := make([]Explanation, len(nodes))
	for i, n := range nodes {
		parts[i] = n.explain(x, v)
	}
	return parts
}

func (n *And) explain(x *explainer, v *fastjson.Value) Explanation {
	ex := x.lead(n, v, n.Note, "all of")
	ex.Parts = x.parts(n.Nodes, v)
	return ex
}

func (n *Or) explain(x *explainer, v *fastjson.Value) Explanation {
	ex := x.lead(n, v, n.Note, "any of")
	ex.Parts = x.parts(n.Nodes, v)
	return ex
}

func (n *Not) explain(x *explainer, v *fastjson.Value) Explanation {
	ex := x.lead(n, v, n.Note, "not")
	ex.Parts = []Explanation{n.Node.explain(x, v)}
	return ex
}

func (n *Field) explain(x *explainer, v *fastjson.Value) Explanation {
	words := n.Path.String() + " " + n.Op.words()
	if n.Arrays == EachElement {
		words = "each " + words
	}
	if n.Absent {
		words += ", or is absent"
	}
	ex := x.lead(n, v, n.Note, words)
	x.visit(v, n.Path, n.Arrays != WholeArray, func(at *fastjson.Value) { ex.see(at) })
	return ex
}

func (n *Anywhere) explain(x *explainer, v *fastjson.Value) Explanation {
	ex := x.lead(n, v, n.Note, fmt.Sprintf("anywhere %s %s", n.Key, n.Op.words()))
	x.under(v, n.Key, func(at *fastjson.Value) { ex.see(at) })
	return ex
}

func (n *Keyword) explain(x *explainer, v *fastjson.Value) Explanation {
	return x.lead(n, v, n.Note, "a value anywhere "+n.Op.words())
}

func (n *SameElement) explain(x *explainer, v *fastjson.Value) Explanation {
	ex := x.lead(n, v, n.Note, "an element of "+n.Path.String())
	x.some(v, n.Path, func(_ *evaluator, at *fastjson.Value) bool {
		ex.see(at)
		if len(ex.Parts) < maxSeen {
			ex.Parts = append(ex.Parts, n.Node.explain(x, at))
		}
		return false
	})
	return ex
}

func (n *JSONText) explain(x *explainer, v *fastjson.Value) Explanation {
	ex := x.lead(n, v, n.Note, "JSON in "+n.Path.String())
	x.some(v, n.Path, func(_ *evaluator, at *fastjson.Value) bool {
		ex.see(at)
		if len(ex.Parts) == maxSeen {
			return false
		}
		switch at.Type() {
		case fastjson.TypeObject:
			ex.Parts = append(ex.Parts, n.Node.explain(x, at))
		case fastjson.TypeString:
			if inner := x.parseInside(at); inner != nil {
				outer := x.enter()
				ex.Parts = append(ex.Parts, n.Node.explain(x, inner))
				x.leave(outer)
			}
		default: // nothing to look into
		}
		return false
	})
	return ex
}

// see adds a value to what the predicate saw.
func (ex *Explanation) see(v *fastjson.Value) {
	if len(ex.Seen) == maxSeen {
		return
	}
	text := appendCompact(nil, v)
	if len(text) > maxSeenBytes {
		text = append(text[:maxSeenBytes], "…"...)
	}
	ex.Seen = append(ex.Seen, string(text))
}

// visit calls yield for every value at path.
func (x *explainer) visit(v *fastjson.Value, path Path, flatten bool, yield func(*fastjson.Value)) {
	if len(path) == 0 {
		yield(v)
		return
	}
	step, rest := path[0], path[1:]
	array := v.GetArray()
	switch {
	case step.Kind == StepKey && v.Type() == fastjson.TypeArray && flatten:
		for _, el := range array {
			x.visit(el, path, flatten, yield)
		}
	case step.Kind == StepKey:
		if at := x.member(v, step.Key); at != nil {
			x.visit(at, rest, flatten, yield)
		}
	case step.Kind == StepIndex:
		if step.Index >= 0 && step.Index < len(array) {
			x.visit(array[step.Index], rest, flatten, yield)
		}
	case step.Kind == StepElements:
		for _, el := range array {
			x.visit(el, rest, flatten, yield)
		}
	default:
		v.GetObject().Visit(func(_ []byte, at *fastjson.Value) { x.visit(at, rest, flatten, yield) })
	}
}

// under calls yield for every value under key, at any depth.
func (x *explainer) under(v *fastjson.Value, key string, yield func(*fastjson.Value)) {
	for _, el := range v.GetArray() {
		x.under(el, key, yield)
	}
	v.GetObject().Visit(func(k []byte, at *fastjson.Value) {
		if string(k) == key {
			yield(at)
		}
		x.under(at, key, yield)
	})
}
