package sigma

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// Filter excludes events from rules: those that its condition selects.
type Filter struct {
	ID, Title string
	Cond      matcher.Node
	Rules     []*matcher.Rule // that it was applied to
	Pos       matcher.Pos

	any   bool
	names []reference
}

// readFilter reads a filter document; nil when it has errors.
func (r *reader) readFilter(doc *yaml.Node, fallback string) *Filter {
	before := len(r.errs)
	h := r.header(doc, fallback)
	f := &Filter{ID: h.id, Title: h.title, Pos: h.pos}
	n := get(doc, "filter")
	if rules := get(n, "rules"); rules == nil {
		r.errorf(n, "the filter has no rules")
	} else if rules.Kind == yaml.ScalarNode && strings.EqualFold(rules.Value, "any") {
		f.any = true
	} else {
		for _, item := range items(rules) {
			if name, ok := r.text(item, "the name or id of a rule"); ok {
				f.names = append(f.names, reference{name, r.pos(item)})
			}
		}
	}
	selections := r.selections(n, "condition", "rules")
	cond := get(n, "condition")
	switch {
	case n.Kind != yaml.MappingNode:
	case cond == nil:
		r.errorf(n, "the filter has no condition")
	default:
		f.Cond = r.condition(cond, selections)
		if f.Cond != nil {
			r.unused(selections)
		}
		if text := strings.TrimSpace(cond.Value); strings.HasPrefix(strings.ToLower(text), "not ") {
			r.warnf(cond, "a filter excludes what its condition selects: %q excludes everything but that", clip(text))
		}
	}
	if len(r.errs) > before {
		return nil
	}
	return f
}

// exclude takes the events that filters select out of a rule.
func exclude(rule *matcher.Rule, filters []*Filter) {
	and := &matcher.And{
		Nodes: []matcher.Node{rule.Cond},
		Note:  matcher.Note{Label: "the rule and its filters", Pos: rule.Pos},
	}
	for _, f := range filters {
		f.Rules = append(f.Rules, rule)
		note := matcher.Note{Label: "not excluded by the filter " + f.Title, Pos: f.Pos}
		and.Nodes = append(and.Nodes, &matcher.Not{Node: f.Cond, Note: note})
	}
	rule.Cond = and
}
