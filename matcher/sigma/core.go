package sigma

import (
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

var (
	coreKinds = map[Type]matcher.CorrelationKind{
		EventCount: matcher.CountEvents, ValueCount: matcher.CountValues, Temporal: matcher.Together,
		TemporalOrdered: matcher.InOrder, ValueSum: matcher.SumOf, ValueAvg: matcher.AverageOf, ValuePercentile: matcher.PercentileOf,
	}
	coreOps = map[string]matcher.BoundOp{
		"gte": matcher.AtLeast, "gt": matcher.MoreThan, "lte": matcher.AtMost, "lt": matcher.LessThan,
		"eq": matcher.EqualTo, "neq": matcher.NotEqualTo,
	}
)

// Compilable returns the whole set for matcher.Compile: the rules, and what goes
// into Options.Correlations. Correlations that are thresholds are among the
// rules; silent rules that serve none of the others are left out. It makes new
// correlations each time, as Compile completes them.
func (s *Set) Compilable() (rules []*matcher.Rule, correlations []*matcher.Correlation) {
	needed := map[*matcher.Rule]bool{}
	for _, c := range s.Correlations {
		if c.Rule != nil {
			continue
		}
		correlations = append(correlations, c.core())
		for _, ref := range c.Refs {
			needed[ref.Rule] = true
			if ref.Correlation != nil {
				needed[ref.Correlation.Rule] = true
			}
		}
	}
	for _, r := range s.Rules {
		if !r.Silent || needed[r] {
			rules = append(rules, r)
		}
	}
	for _, c := range s.Correlations {
		if c.Rule != nil && (!c.Silent || needed[c.Rule]) {
			rules = append(rules, c.Rule)
		}
	}
	return rules, correlations
}

// id is the ID under which the matcher knows what is referred to.
func (r *Ref) id() string {
	if r.Rule != nil {
		return r.Rule.ID
	}
	return r.Correlation.ID
}

func (c *Correlation) core() *matcher.Correlation {
	m := &matcher.Correlation{
		Rule: c.rule(), Kind: coreKinds[c.Type], GroupBy: c.GroupBy, Window: c.Timespan, Percent: c.Percentile,
	}
	for _, b := range c.Condition {
		m.Bounds = append(m.Bounds, matcher.Bound{Op: coreOps[b.Op], Value: b.Value})
	}
	for _, ref := range c.Refs {
		member := matcher.Member{RuleID: ref.id(), GroupBy: ref.GroupBy, Fields: c.Fields}
		if inner := ref.Correlation; inner != nil {
			member.GroupBy, member.Fields = inner.keys(ref.GroupBy), inner.keys(c.Fields)
		}
		m.Members = append(m.Members, member)
	}
	return m
}

// rule is what the correlation says about itself.
func (c *Correlation) rule() *matcher.Rule {
	return &matcher.Rule{
		ID: c.ID, Title: c.Title, Severity: c.Severity, Enabled: true, Save: true, Silent: c.Silent, Description: c.Description,
		References: c.References, Tags: c.Tags, Pos: c.Pos, Source: c.Source, Language: "sigma",
	}
}

// keys translates fields to those that the correlation's firings have: the
// names of its group-by, or, where it is a threshold, the fields themselves.
// What it is not grouped by stays, and is refused when it is compiled.
func (c *Correlation) keys(fields []cloudtrail.Path) []cloudtrail.Path {
	out := slices.Clone(fields)
	for i, field := range fields {
		for at, name := range c.GroupBy {
			all := !slices.ContainsFunc(c.Refs, func(r Ref) bool { return !slices.Equal(r.GroupBy[at], field) })
			if name != strings.Join(field, ".") && !all {
				continue
			}
			if out[i] = strings.Split(name, "."); c.Rule != nil {
				out[i] = c.Rule.Threshold.GroupBy[at]
			}
			break
		}
	}
	return out
}
