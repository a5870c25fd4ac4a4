package native

import (
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

var (
	suppressKeys       = []string{"when", "reason", "author", "expires"}
	globalSuppressKeys = append([]string{"rules"}, suppressKeys...)
)

// suppressions reads a list of suppressions, of a rule or (global) of a file.
func (r *reader) suppressions(n *yaml.Node, global bool) []*matcher.Suppression {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, "suppress must be a list, not %s", kindOf(n))
		return nil
	}
	var out []*matcher.Suppression
	for _, item := range n.Content {
		before := len(r.errs)
		if s := r.suppression(item, global); s != nil && len(r.errs) == before {
			out = append(out, s)
		}
	}
	return out
}

func (r *reader) suppression(n *yaml.Node, global bool) *matcher.Suppression {
	list, ok := r.entries(n, "a suppression")
	if !ok {
		return nil
	}
	valid := suppressKeys
	if global {
		valid = globalSuppressKeys
	}
	s := &matcher.Suppression{Pos: r.pos(n)}
	var when, reason bool
	for _, e := range list {
		switch {
		case e.key == "when":
			when = true
			s.Cond = r.condition(e.val, "when", scope{event: true, known: true})
		case e.key == "reason":
			reason = true
			s.Reason, _ = r.text(e.val, "reason")
		case e.key == "author":
			s.Author, _ = r.text(e.val, "author")
		case e.key == "expires":
			s.Expires = r.expires(e.val)
		case e.key == "rules" && global:
			s.Rules = r.ruleNames(e.val)
		case e.key == "rules":
			r.errorf(e.at, "rules is for the suppressions at the top of a file: this one is its rule's own")
		default:
			r.errorf(e.at, "unknown key %q in a suppression, %s", clip(e.key), hint(e.key, valid))
		}
	}
	if !when {
		r.errorf(n, "a suppression needs when")
	}
	if !reason {
		r.errorf(n, "a suppression needs a reason")
	}
	return s
}

// expires reads a date; the suppression holds to the end of that day, UTC.
func (r *reader) expires(n *yaml.Node) time.Time {
	s, ok := r.text(n, "expires")
	if !ok {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		r.errorf(n, "expires: %q is no date: write it as 2027-06-30", clip(s))
		return time.Time{}
	}
	return day.AddDate(0, 0, 1).Add(-1)
}

// ruleNames reads the IDs that a global suppression is for; * stands for any run.
func (r *reader) ruleNames(n *yaml.Node) []string {
	items := []*yaml.Node{n}
	if n.Kind != yaml.ScalarNode {
		items, _ = r.list(n, "rules")
	}
	var out []string
	for _, item := range items {
		s, ok := r.text(item, "a rule's id")
		if !ok {
			continue
		}
		if !validIDPattern.MatchString(s) {
			r.errorf(item, "rules: %q may hold only a-z, 0-9, - and the wildcard *", clip(s))
			continue
		}
		out = append(out, s)
	}
	return out
}
