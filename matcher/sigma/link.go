package sigma

import (
	"errors"
	"fmt"
	"slices"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Link resolves the references of correlations and filters over all files that
// were added, and returns what they hold. It is to be called once. The errors
// are joined, those with a place are an *Error. The Set is never nil.
func (l *Loader) Link() (*Set, error) {
	names := l.index()
	l.filter(names)
	l.correlate(names)
	return l.set, errors.Join(l.errs...)
}

func (l *Loader) fail(pos matcher.Pos, format string, args ...any) {
	l.errs = append(l.errs, &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)})
}

func (l *Loader) warn(pos matcher.Pos, rule, format string, args ...any) {
	l.set.Warnings = append(l.set.Warnings, Warning{Pos: pos, Rule: rule, Msg: fmt.Sprintf(format, args...)})
}

// index maps IDs and names to documents; what is taken already is refused.
func (l *Loader) index() map[string]*named {
	names := make(map[string]*named, 2*len(l.named))
	drop := map[any]bool{}
	for i := range l.named {
		n := &l.named[i]
		for _, key := range []string{n.id, n.name} {
			if key == "" || names[key] == n {
				continue
			}
			first, taken := names[key]
			if !taken {
				names[key] = n
				continue
			}
			if first.skipped && n.skipped {
				continue
			}
			what := "id"
			if key == n.name && key != n.id {
				what = "name"
			}
			l.fail(n.pos, "the %s %q is taken: first at %s", what, clip(key), first.pos)
			if what == "id" {
				drop[n.rule], drop[n.correlation] = true, true
			}
		}
	}
	l.set.Rules = slices.DeleteFunc(l.set.Rules, func(r *matcher.Rule) bool { return drop[r] })
	l.set.Correlations = slices.DeleteFunc(l.set.Correlations, func(c *Correlation) bool { return drop[c] })
	return names
}

// known lists what can be referred to, for hints.
func known(names map[string]*named) []string {
	var out []string
	for name, n := range names {
		if !n.skipped && len(name) < 64 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (l *Loader) filter(names map[string]*named) {
	of := map[*matcher.Rule][]*Filter{}
	for _, f := range l.set.Filters {
		for _, r := range l.filtered(f, names) {
			if !slices.Contains(of[r], f) {
				of[r] = append(of[r], f)
			}
		}
	}
	for _, r := range l.set.Rules {
		if filters := of[r]; len(filters) > 0 {
			exclude(r, filters)
		}
	}
}

// filtered returns the rules that a filter names, some perhaps twice.
func (l *Loader) filtered(f *Filter, names map[string]*named) []*matcher.Rule {
	if f.any {
		return l.set.Rules
	}
	var rules []*matcher.Rule
	for _, ref := range f.names {
		n := names[ref.name]
		switch {
		case n == nil:
			l.warn(ref.pos, f.ID, "the filter names the rule %q, which is not loaded; %s", clip(ref.name), hint(ref.name, known(names)))
		case n.correlation != nil:
			l.warn(ref.pos, f.ID, "the filter names the correlation %q: filters apply to rules only", clip(ref.name))
		case n.rule != nil:
			rules = append(rules, n.rule)
		}
	}
	return rules
}

func (l *Loader) correlate(names map[string]*named) {
	for _, c := range l.set.Correlations {
		l.resolve(c, names)
	}
	l.cycles()
	l.leftOut()
	l.severities()
	generated := map[any]bool{}
	referred := map[any]bool{}
	for _, c := range l.set.Correlations {
		for _, ref := range c.Refs {
			for _, target := range []any{ref.Rule, ref.Correlation} {
				referred[target] = true
				generated[target] = generated[target] || c.Generate
			}
		}
	}
	for _, r := range l.set.Rules {
		if referred[r] && !generated[r] {
			l.set.Silent[r.ID], r.Silent = true, true
		}
	}
	for _, c := range l.set.Correlations {
		c.Silent = referred[c] && !generated[c]
		c.Rule = c.threshold()
	}
}

// resolve finds the referred rules, and their group-by fields.
func (l *Loader) resolve(c *Correlation, names map[string]*named) {
	for a, fields := range c.aliases {
		if !slices.Contains(c.GroupBy, a) {
			l.warn(c.Pos, c.ID, "the alias %q is not in group-by", clip(a))
		}
		for name, field := range fields {
			if !slices.ContainsFunc(c.names, func(r reference) bool { return same(names, r.name, name) }) {
				l.fail(field.pos, "the alias %q is for the rule %q, which the correlation does not name", clip(a), clip(name))
			}
		}
	}
	for _, ref := range c.names {
		n := names[ref.name]
		switch {
		case n == nil:
			l.fail(ref.pos, "there is no rule %q, %s", clip(ref.name), hint(ref.name, known(names)))
			continue
		case n.skipped:
			c.Refs = append(c.Refs, Ref{Name: ref.name})
			continue
		case n.rule != nil && n.rule.Threshold != nil:
			l.fail(ref.pos, "the rule %q has an aggregation of its own: write that as a correlation, and name it here", clip(ref.name))
			continue
		}
		r := Ref{Name: ref.name, Rule: n.rule, Correlation: n.correlation}
		for _, field := range c.GroupBy {
			path, _ := matcher.Dotted(field).Plain()
			if byRule, is := c.aliases[field]; is {
				path = nil
				for name, a := range byRule {
					if same(names, ref.name, name) {
						path = a.path
					}
				}
				if path == nil {
					l.fail(ref.pos, "the alias %q of group-by says no field for the rule %q", clip(field), clip(ref.name))
				}
			}
			r.GroupBy = append(r.GroupBy, path)
		}
		c.Refs = append(c.Refs, r)
	}
}

// same says whether two names stand for one document.
func same(names map[string]*named, a, b string) bool {
	return a == b || names[a] != nil && names[a] == names[b]
}

// cycles refuses correlations that count themselves.
func (l *Loader) cycles() {
	const (
		open = 1
		done = 2
	)
	state := map[*Correlation]int{}
	var visit func(c *Correlation) bool
	visit = func(c *Correlation) bool {
		switch state[c] {
		case open:
			return true
		case done:
			return false
		}
		state[c] = open
		found := false
		for _, ref := range c.Refs {
			if ref.Correlation != nil && visit(ref.Correlation) {
				found = true
			}
		}
		state[c] = done
		return found
	}
	for _, c := range l.set.Correlations {
		if state[c] == 0 && visit(c) {
			l.fail(c.Pos, "the correlation %s refers to itself, directly or through others", clip(c.ID))
			for _, other := range l.set.Correlations {
				other.Refs = nil // nothing more can be said of them
			}
			return
		}
	}
}

// leftOut takes out the correlations that refer to rules which are not there.
func (l *Loader) leftOut() {
	gone := map[*Correlation]bool{}
	for again := true; again; {
		again = false
		for _, c := range l.set.Correlations {
			for _, ref := range c.Refs {
				if !gone[c] && (ref.Rule == nil && ref.Correlation == nil || ref.Correlation != nil && gone[ref.Correlation]) {
					gone[c], again = true, true
					l.set.Skipped = append(l.set.Skipped, Skipped{
						Pos: c.Pos, ID: c.ID, Title: c.Title, Reason: fmt.Sprintf("it refers to %s, which is left out", clip(ref.Name)),
					})
				}
			}
		}
	}
	l.set.Correlations = slices.DeleteFunc(l.set.Correlations, func(c *Correlation) bool { return gone[c] })
}

// severities gives a correlation without a level the highest of its rules.
func (l *Loader) severities() {
	var of func(c *Correlation) matcher.Severity
	of = func(c *Correlation) matcher.Severity {
		if c.leveled || len(c.Refs) == 0 {
			return c.Severity
		}
		c.Severity, c.leveled = matcher.Info, true
		for _, ref := range c.Refs {
			if ref.Rule != nil {
				c.Severity = max(c.Severity, ref.Rule.Severity)
			} else {
				c.Severity = max(c.Severity, of(ref.Correlation))
			}
		}
		return c.Severity
	}
	for _, c := range l.set.Correlations {
		of(c)
	}
}

// threshold returns the correlation as a rule with a threshold; nil if that
// cannot say it.
func (c *Correlation) threshold() *matcher.Rule {
	if len(c.Condition) != 1 || len(c.Refs) == 0 || c.Type != EventCount && (c.Type != ValueCount || len(c.Fields) != 1) {
		return nil
	}
	count := int(c.Condition[0].Value)
	switch c.Condition[0].Op {
	case "gte":
	case "gt":
		count++
	default:
		return nil
	}
	or := &matcher.Or{Note: matcher.Note{Label: "one of the correlated rules", Pos: c.Pos}}
	for _, ref := range c.Refs {
		if ref.Rule == nil || !slices.EqualFunc(ref.GroupBy, c.Refs[0].GroupBy, slices.Equal[cloudtrail.Path]) {
			return nil
		}
		or.Nodes = append(or.Nodes, ref.Rule.Cond)
	}
	t := &matcher.Threshold{Count: count, Window: c.Timespan, GroupBy: c.Refs[0].GroupBy}
	if c.Type == ValueCount {
		t.Distinct = c.Fields[0]
	}
	var cond matcher.Node = or
	if len(or.Nodes) == 1 {
		cond = or.Nodes[0]
	}
	rule := c.rule()
	rule.Cond, rule.Threshold = counted(cond, t.GroupBy, c.Pos), t
	return rule
}
