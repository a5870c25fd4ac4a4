package sigma

import (
	"github.com/trailtide/trailtide/matcher"
)

var kinds = map[Type]matcher.CorrelationKind{
	EventCount: matcher.CountEvents, ValueCount: matcher.CountValues, Temporal: matcher.Together,
	TemporalOrdered: matcher.InOrder, ValueSum: matcher.SumOf, ValueAvg: matcher.AverageOf, ValuePercentile: matcher.PercentileOf,
}

var boundKinds = map[string]matcher.BoundOp{
	"gte": matcher.AtLeast, "gt": matcher.MoreThan, "lte": matcher.AtMost, "lt": matcher.LessThan,
	"eq": matcher.EqualTo, "neq": matcher.NotEqualTo,
}

// Lower returns all rules and all correlations for a matcher and windows that
// count correlations: matcher.Compile's rules and Options.Correlations. Rules and
// correlations that do not alert by themselves are marked Silent.
func (s *Set) Lower() ([]*matcher.Rule, []*matcher.Correlation) {
	for _, r := range s.Rules {
		r.Silent = s.Silent[r.ID]
	}
	var out []*matcher.Correlation
	for _, c := range s.Correlations {
		out = append(out, c.lower())
	}
	return s.Rules, out
}

func (c *Correlation) lower() *matcher.Correlation {
	x := &matcher.Correlation{
		Rule: &matcher.Rule{
			ID: c.ID, Title: c.Title, Severity: c.Severity, Enabled: true, Save: true, Description: c.Description,
			References: c.References, Tags: c.Tags, Pos: c.Pos, Source: c.Source, Language: "sigma", Silent: c.Silent,
		},
		Kind: kinds[c.Type], GroupBy: c.GroupBy, Window: c.Timespan, Percent: c.Percentile,
	}
	for _, b := range c.Condition {
		x.Bounds = append(x.Bounds, matcher.Bound{Op: boundKinds[b.Op], Value: b.Value})
	}
	for _, ref := range c.Refs {
		m := matcher.Member{GroupBy: ref.GroupBy, Fields: c.Fields}
		if ref.Rule != nil {
			m.RuleID = ref.Rule.ID
		} else {
			m.RuleID = ref.Correlation.ID
		}
		x.Members = append(x.Members, m)
	}
	return x
}
