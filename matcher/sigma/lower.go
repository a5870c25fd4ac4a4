package sigma

import (
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

var (
	lowerKinds = map[Type]matcher.CorrelationKind{
		EventCount: matcher.CountEvents, ValueCount: matcher.CountValues, Temporal: matcher.Together,
		TemporalOrdered: matcher.InOrder, ValueSum: matcher.SumOf, ValueAvg: matcher.AverageOf, ValuePercentile: matcher.PercentileOf,
	}
	lowerOps = map[string]matcher.BoundOp{
		"gte": matcher.AtLeast, "gt": matcher.MoreThan, "lte": matcher.AtMost, "lt": matcher.LessThan,
		"eq": matcher.EqualTo, "neq": matcher.NotEqualTo,
	}
)

// Lower returns the whole set for a matcher and windows that count
// correlations: matcher.Compile's rules and Options.Correlations. Rules and
// correlations that do not alert by themselves are marked Silent. The
// correlations are new each time, as Compile completes them.
func (s *Set) Lower() ([]*matcher.Rule, []*matcher.Correlation) {
	correlations := make([]*matcher.Correlation, len(s.Correlations))
	for i, c := range s.Correlations {
		correlations[i] = c.lower()
	}
	return s.Rules, correlations
}

// id is the ID under which the matcher knows what is referred to.
func (r *Ref) id() string {
	if r.Rule != nil {
		return r.Rule.ID
	}
	return r.Correlation.ID
}

func (c *Correlation) lower() *matcher.Correlation {
	m := &matcher.Correlation{
		Rule: c.rule(), Kind: lowerKinds[c.Type], GroupBy: c.GroupBy, Window: c.Timespan, Percent: c.Percentile,
	}
	for _, b := range c.Condition {
		m.Bounds = append(m.Bounds, matcher.Bound{Op: lowerOps[b.Op], Value: b.Value})
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

// keys translates fields to the names in the correlation's group-by, by which
// its firings have them. What it is not grouped by stays, and is refused when it
// is compiled.
func (c *Correlation) keys(fields []cloudtrail.Path) []cloudtrail.Path {
	out := slices.Clone(fields)
	for i, field := range fields {
		if slices.Contains(c.GroupBy, strings.Join(field, ".")) {
			continue
		}
		for at, name := range c.GroupBy {
			if !slices.ContainsFunc(c.Refs, func(r Ref) bool { return !slices.Equal(r.GroupBy[at], field) }) {
				out[i] = strings.Split(name, ".")
				break
			}
		}
	}
	return out
}
