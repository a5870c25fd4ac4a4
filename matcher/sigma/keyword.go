package sigma

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// keywordItem reads an item without a field's name, as '|all': [ … ].
func (r *reader) keywordItem(s *selection, c *chain, e entry) matcher.Node {
	switch {
	case c.kind == equals && !c.fieldref:
		c.kind = contains
	case c.kind == contains && !c.fieldref, c.kind == re:
	default:
		r.errorf(e.at, "%q needs the name of a field: keywords take all, contains, cased, re, expand, windash and encodings", clip(e.key))
		return nil
	}
	if c.neq {
		r.errorf(e.at, "neq needs the name of a field: negate the selection in the condition")
		return nil
	}
	nodes := items(e.val)
	if len(nodes) == 0 {
		r.errorf(e.val, "%s has an empty list of keywords", e.key)
		return nil
	}
	return r.keywords(s, c, e.key, nodes)
}

// keywords builds the search of texts anywhere in the event: in every string,
// and in the event's compact JSON.
func (r *reader) keywords(s *selection, c *chain, key string, nodes []*yaml.Node) matcher.Node {
	values, ok := r.scalars(nodes)
	if !ok {
		return nil
	}
	s.leaves += len(values)
	name := "keyword"
	if key != "" {
		name = key
	}
	note := func(values ...scalar) matcher.Note {
		at := values[0].node
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = kindOf(v.node)
		}
		return matcher.Note{Label: name + ": " + clip(strings.Join(texts, ", ")), Pos: r.pos(at)}
	}
	for _, v := range values {
		if isNull(v.node) || v.text == "" {
			r.errorf(v.node, "a keyword must be text, not %s", kindOf(v.node))
			return nil
		}
	}
	if !c.all {
		return r.keyword(c, values, note(values...))
	}
	if len(values) == 1 {
		r.warnf(nodes[0], "all over a single keyword changes nothing")
	}
	and := &matcher.And{Note: note(values...)}
	for _, v := range values {
		sub := r.keyword(c, []scalar{v}, note(v))
		if sub == nil {
			return nil
		}
		and.Nodes = append(and.Nodes, sub)
	}
	return and
}

// keyword builds the search for any of values.
func (r *reader) keyword(c *chain, values []scalar, note matcher.Note) matcher.Node {
	everywhere := func(op matcher.Op) matcher.Node {
		return &matcher.Keyword{
			Leaf:     matcher.Leaf{Op: op, AsText: matcher.TextNumbers | matcher.TextBools},
			Document: true,
			Note:     note,
		}
	}
	if c.kind == re {
		op, ok := r.op(c, values)
		if !ok {
			return nil
		}
		return matcher.NewHinted(everywhere(op), matcher.RegexpPieces(op)...)
	}
	// What holds for a string of the event as it is holds for the document too,
	// unless it needs a character that JSON escapes, or counts characters.
	var plain, awkward []pattern
	for _, v := range values {
		patterns, ok := r.patterns(c, v)
		if !ok {
			return nil
		}
		for _, p := range patterns {
			if p.showsInJSON() {
				plain = append(plain, p)
			} else {
				awkward = append(awkward, p)
			}
		}
	}
	var nodes []matcher.Node
	if len(plain) > 0 {
		nodes = append(nodes, hinted(c, &matcher.Document{Op: textOp(contains, !c.cased, plain), Note: note}, plain))
	}
	if len(awkward) > 0 {
		nodes = append(nodes, hinted(c, everywhere(textOp(contains, !c.cased, awkward)), awkward))
	}
	if len(nodes) == 1 {
		return nodes[0]
	}
	return &matcher.Or{Nodes: nodes, Note: note}
}

// showsInJSON says that a string which contains the pattern contains it also
// when it is written as JSON.
func (p pattern) showsInJSON() bool {
	for _, t := range p {
		if t.Kind == matcher.GlobOne || strings.ContainsFunc(t.Text, func(c rune) bool {
			return c < ' ' || c == '"' || c == '\\'
		}) {
			return false
		}
	}
	return true
}

// hinted tells a search for one of patterns by which pieces of text an event
// without any of them is known.
func hinted(c *chain, node matcher.Node, patterns []pattern) matcher.Node {
	texts := make([]string, len(patterns))
	exact := !c.cased
	for i, p := range patterns {
		text, literal := p.literal()
		if exact = exact && literal; literal {
			texts[i] = text
			continue
		}
		for _, t := range p {
			if len(t.Text) > len(texts[i]) {
				texts[i] = t.Text
			}
		}
	}
	if exact {
		return matcher.NewAnyText(node, texts...)
	}
	if len(patterns) == 1 { // each of its pieces must be there
		for _, t := range patterns[0] {
			node = matcher.NewHinted(node, matcher.PlainPiece(t.Text))
		}
		return node
	}
	for i, text := range texts {
		texts[i] = matcher.PlainPiece(text)
	}
	return matcher.NewHinted(node, texts...)
}
