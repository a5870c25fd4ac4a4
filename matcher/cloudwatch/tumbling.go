package cloudwatch

import (
	"fmt"
	"math"

	"github.com/trailtide/trailtide/matcher"
)

var missing = map[string]matcher.Missing{
	"missing": matcher.MissingData, "notBreaching": matcher.NotBreaching, "breaching": matcher.Breaching, "ignore": matcher.Ignore,
}

// Threshold returns the alarm as a threshold that evaluates periods as
// CloudWatch does.
func (c *Compat) Threshold() (*matcher.Threshold, error) {
	limit := c.Limit / c.PerMatch
	count := math.Ceil(limit) // at least n, less than n
	if c.Relation == matcher.GT || c.Relation == matcher.LE {
		count = math.Floor(limit) + 1 // more than n is at least n+1, at most n less than n+1
	}
	if !(limit <= maxCount) || c.PerMatch <= 0 {
		return nil, fmt.Errorf("a threshold of %g at %g a match cannot be counted", c.Limit, c.PerMatch)
	}
	return &matcher.Threshold{
		Count: int(max(count, 0)), Window: c.Period,
		Tumbling: &matcher.Tumbling{
			Under:   c.Relation == matcher.LT || c.Relation == matcher.LE,
			Periods: c.EvaluationPeriods, Points: c.DatapointsToAlarm, Missing: missing[c.Missing],
		},
	}, nil
}
