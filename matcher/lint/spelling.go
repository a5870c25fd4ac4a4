package lint

import (
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// minWord is the length of the shortest word that is taken for a misspelt one.
const minWord = 6

// spelling reports, of a rule that can match, names and parameters that are
// unknown and near known ones.
func (c *checker) spelling() {
	if c.dead {
		return
	}
	told := map[string]bool{}
	c.eachField(c.rule.Cond, func(f *matcher.Field) {
		path := f.Path.String()
		if path == eventName {
			c.misspeltNames(f, told)
			return
		}
		if !strings.HasPrefix(path, "requestParameters.") || told[path] || c.words.KnownPath(path) {
			return
		}
		told[path] = true
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "requestParameters."), ".")
		if near := c.words.NearestPath(path); near != "" && len(first) >= minWord && oneEdit(path, near) {
			c.add(f.Note.Pos, MisspeltField, "no service is known to have the parameter %s%s", path, meant(near))
		}
	})
}

func (c *checker) misspeltNames(f *matcher.Field, told map[string]bool) {
	texts, ok := matcher.TextsOf(f.Op, false)
	if !ok || !texts.Listed {
		return
	}
	for _, text := range texts.Texts {
		if told[text] || len(text) < minWord || c.words.KnownEvent(text) || texts.Fold && len(c.words.EventsLike(text)) > 0 {
			continue
		}
		told[text] = true
		if near := c.words.NearestEvent(text); near != "" && oneEdit(text, near) {
			c.add(f.Note.Pos, MisspeltEvent, "no known event has the name %s%s", clip(text), meant(near))
		}
	}
}

// oneEdit says that a letter, the case of letters or the order of two is all
// that differs.
func oneEdit(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

// eachField calls yield for the tests of fields of the record, whether they
// must hold or must not.
func (c *checker) eachField(n matcher.Node, yield func(*matcher.Field)) {
	switch n := n.(type) {
	case *matcher.And:
		for _, sub := range n.Nodes {
			c.eachField(sub, yield)
		}
	case *matcher.Or:
		for _, sub := range n.Nodes {
			c.eachField(sub, yield)
		}
	case *matcher.Not:
		c.eachField(n.Node, yield)
	case *matcher.Field:
		yield(n)
	case *matcher.Tree:
		for _, sub := range n.Fields() {
			c.eachField(sub, yield)
		}
	}
}
