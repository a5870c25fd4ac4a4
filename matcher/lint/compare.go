package lint

import (
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// conjuncts returns the parts of a condition that must all hold.
func conjuncts(n matcher.Node) []matcher.Node {
	and, ok := n.(*matcher.And)
	if !ok {
		return []matcher.Node{n}
	}
	var out []matcher.Node
	for _, sub := range and.Nodes {
		out = append(out, conjuncts(sub)...)
	}
	return out
}

// implied says that a condition holds whenever all of parts do, as far as their
// form shows it.
func implied(condition matcher.Node, parts []matcher.Node) bool {
	for _, want := range conjuncts(condition) {
		if !slices.ContainsFunc(parts, func(have matcher.Node) bool { return impliedBy(want, have) }) {
			return false
		}
	}
	return true
}

func impliedBy(want, have matcher.Node) bool {
	if or, ok := want.(*matcher.Or); ok {
		for _, alternative := range or.Nodes {
			if implied(alternative, []matcher.Node{have}) {
				return true
			}
		}
	}
	a, ok := want.(*matcher.Field)
	b, ok2 := have.(*matcher.Field)
	if ok && ok2 {
		return slices.Equal(a.Path, b.Path) && b.SubsetOf(&a.Leaf)
	}
	return matcher.Canonical(want) == matcher.Canonical(have)
}

// suppressed reports a suppression that holds whenever the rule does.
func (c *checker) suppressed(global []*matcher.Suppression) {
	parts := conjuncts(c.rule.Cond)
	say := func(s *matcher.Suppression, which string) {
		if s.Cond == nil || !implied(s.Cond, parts) {
			return
		}
		until := ""
		if !s.Expires.IsZero() {
			until = " until " + s.Expires.UTC().AddDate(0, 0, -1).Format("2006-01-02")
			if s.Expires.UTC().Format("15:04:05") != "00:00:00" {
				until = " until " + s.Expires.UTC().Format("2006-01-02")
			}
		}
		at := s.Pos
		c.add(at, SuppressedWhole, "%s covers every match of the rule%s, so that nobody is told of any; switch the rule off (enabled: false) if that is meant", which, until)
	}
	for _, s := range c.rule.Suppress {
		say(s, "its suppression")
	}
	for _, s := range global {
		if s.Covers(c.rule.ID) {
			say(s, "a suppression of all rules")
		}
	}
}

// compare reports rules that say the same as another, and rules whose alerts
// another raises as well.
func (c *checker) compare(rules []*matcher.Rule) {
	type named struct {
		rule *matcher.Rule
		leaf *matcher.Field // the test of the event's name
	}
	first := map[uint64]*matcher.Rule{}
	groups := map[string][]named{} // rules that are alike but for the names of events
	var order []string
	for _, r := range rules {
		if !r.Enabled || r.Cond == nil {
			continue
		}
		key := matcher.DetectionHash(r)
		if other, ok := first[key]; ok {
			c.rule = r
			c.add(r.Pos, Duplicate, "has the same condition as the rule %s (%s)%s", other.ID, other.Pos, sameAlerts(r))
			continue
		}
		first[key] = r
		leaf, rest := nameTest(r.Cond)
		if leaf == nil || r.Threshold != nil {
			continue
		}
		if groups[rest] == nil {
			order = append(order, rest)
		}
		groups[rest] = append(groups[rest], named{r, leaf})
	}
	for _, rest := range order {
		group := groups[rest]
		byName := map[string][]named{} // the rules that list a name
		for _, n := range group {
			for _, text := range listed(n.leaf) {
				byName[strings.ToLower(text)] = append(byName[strings.ToLower(text)], n)
			}
		}
		for _, n := range group {
			texts := listed(n.leaf)
			if len(texts) == 0 {
				continue
			}
			for _, other := range byName[strings.ToLower(texts[0])] {
				if other.rule != n.rule && n.leaf.SubsetOf(&other.leaf.Leaf) && sameAudience(n.rule, other.rule) {
					c.rule = n.rule
					c.add(n.rule.Pos, Shadowed, "whenever it matches, the rule %s (%s) does too, with the same severity and sinks: its names of events are among that rule's", other.rule.ID, other.rule.Pos)
					break
				}
			}
		}
	}
}

// sameAudience says that the two rules tell the same people with the same
// urgency.
func sameAudience(a, b *matcher.Rule) bool {
	return a.Severity == b.Severity && a.Save == b.Save && slices.Equal(a.Sinks, b.Sinks)
}

func sameAlerts(r *matcher.Rule) string {
	if r.Threshold != nil {
		return " and the same threshold"
	}
	return ""
}

func listed(f *matcher.Field) []string {
	texts, ok := matcher.TextsOf(f.Op, false)
	if !ok || !texts.Listed {
		return nil
	}
	return texts.Texts
}

// nameTest returns the one test of eventName among the parts of a condition, and
// a text that stands for the others; nil if there is not one.
func nameTest(n matcher.Node) (leaf *matcher.Field, rest string) {
	var others []string
	for _, part := range conjuncts(n) {
		f, ok := part.(*matcher.Field)
		if !ok || f.Path.String() != eventName {
			others = append(others, matcher.Canonical(part))
			continue
		}
		if leaf != nil {
			return nil, ""
		}
		leaf = f
	}
	slices.Sort(others)
	return leaf, strings.Join(slices.Compact(others), "\n")
}
