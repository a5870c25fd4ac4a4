package cloudwatch

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// Alarm is what a CloudWatch alarm on the metric of a filter is set to, whatever
// it was read from. Semantics: CloudWatch API Reference, PutMetricAlarm.
type Alarm struct {
	Name, Description string
	Statistic         string        // Sum, …
	Period            time.Duration // whole seconds
	EvaluationPeriods int
	DatapointsToAlarm int // 0: as many as EvaluationPeriods
	Limit             float64
	Comparison        string // GreaterThanThreshold, …
	TreatMissingData  string // empty: missing
	ActionsDisabled   bool
	AlarmActions      []string // ARNs
	OKActions         []string // ARNs
	Dimensions        []Dimension

	// What the metric filter says.
	PerMatch float64  // metric value that one match adds; 0: 1
	Default  *float64 // metric value of a minute without matches; nil: it has none
	Emits    []string // names of the dimensions that the filter emits
}

// Dimension is a metric's dimension.
type Dimension struct{ Name, Value string }

// Compat is an alarm as CloudWatch evaluates it, for rules with compat: cloudwatch:
// each period, aligned to multiples of Period since the Unix epoch, gives one datapoint, the sum
// of PerMatch over its matches; the alarm fires when of the last EvaluationPeriods datapoints
// DatapointsToAlarm stand in the relation to Limit.
type Compat struct {
	Period            time.Duration
	EvaluationPeriods int
	DatapointsToAlarm int
	Relation          matcher.Relation // LT, LE, GT or GE
	Limit             float64
	PerMatch          float64
	// Missing says what a period without matches is: missing, notBreaching,
	// breaching or ignore. Of a filter with a default value it is what that value
	// comes to.
	Missing string
}

// ErrNeedsCompat is the reason of alarms that a sliding window cannot stand for:
// they need compat: cloudwatch. Alarm.Compat has their settings.
var ErrNeedsCompat = errors.New("needs compat: cloudwatch")

var comparisons = map[string]matcher.Relation{
	"GreaterThanThreshold":          matcher.GT,
	"GreaterThanOrEqualToThreshold": matcher.GE,
	"LessThanThreshold":             matcher.LT,
	"LessThanOrEqualToThreshold":    matcher.LE,
}

var missingData = []string{"missing", "notBreaching", "breaching", "ignore"}

// Threshold returns the alarm as a count in a sliding window as long as the
// period: more than n is n+1 matches, at least n is n. An error wraps
// ErrNeedsCompat where only tumbling periods will do; other errors say why the
// alarm means nothing that matches could be counted for.
func (a *Alarm) Threshold() (*matcher.Threshold, error) {
	c, err := a.Compat()
	if err != nil {
		return nil, err
	}
	switch {
	case c.Relation == matcher.LT || c.Relation == matcher.LE:
		return nil, fmt.Errorf("%w: %s fires on few matches, which is judged at the end of each period", ErrNeedsCompat, a.Comparison)
	case c.DatapointsToAlarm > 1:
		return nil, fmt.Errorf("%w: %d of %d periods must each breach", ErrNeedsCompat, c.DatapointsToAlarm, c.EvaluationPeriods)
	case c.Missing == "breaching":
		return nil, fmt.Errorf("%w: periods without matches count as breaching", ErrNeedsCompat)
	}
	count := math.Ceil(c.Limit / c.PerMatch)
	if c.Relation == matcher.GT {
		count = math.Floor(c.Limit/c.PerMatch) + 1
	}
	switch {
	case count < 1:
		return nil, fmt.Errorf("the alarm fires without any match: %s %g", a.Comparison, c.Limit)
	case count > maxCount:
		return nil, fmt.Errorf("a threshold of %g matches: at most %d can be counted", count, int(maxCount))
	}
	return &matcher.Threshold{Count: int(count), Window: c.Period}, nil
}

const maxCount = 1_000_000

// Compat returns the alarm's settings for a tumbling evaluation, or why they make
// no sense.
func (a *Alarm) Compat() (*Compat, error) {
	c := &Compat{
		Period: a.Period, EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm,
		Limit: a.Limit, PerMatch: a.PerMatch, Missing: a.TreatMissingData,
	}
	if c.DatapointsToAlarm == 0 {
		c.DatapointsToAlarm = c.EvaluationPeriods
	}
	if c.PerMatch == 0 {
		c.PerMatch = 1
	}
	if c.Missing == "" {
		c.Missing = "missing"
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if a.Statistic != "Sum" {
		fail("statistic %q: only Sum counts matches", a.Statistic)
	}
	relation, ok := comparisons[a.Comparison]
	if !ok {
		fail("comparison operator %q: expected GreaterThanThreshold, GreaterThanOrEqualToThreshold, LessThanThreshold or LessThanOrEqualToThreshold", a.Comparison)
	}
	c.Relation = relation
	if c.Period <= 0 || c.Period > native.MaxDuration {
		fail("period %s: expected more than 0 and at most %s", c.Period, native.MaxDuration)
	}
	if c.EvaluationPeriods < 1 {
		fail("evaluation periods %d: expected at least 1", c.EvaluationPeriods)
	}
	if c.DatapointsToAlarm < 0 || c.DatapointsToAlarm > max(c.EvaluationPeriods, 1) {
		fail("datapoints to alarm %d of %d evaluation periods", c.DatapointsToAlarm, c.EvaluationPeriods)
	}
	if !slices.Contains(missingData, c.Missing) {
		fail("treat missing data %q: expected %s", c.Missing, strings.Join(missingData, ", "))
	}
	if c.PerMatch < 0 || math.IsNaN(c.Limit) || math.IsInf(c.Limit, 0) || math.IsInf(c.PerMatch, 0) || math.IsNaN(c.PerMatch) {
		fail("threshold %g at a metric value of %g", c.Limit, c.PerMatch)
	}
	if v := a.Default; v != nil && len(errs) == 0 {
		if *v != 0 && c.Period > time.Minute || math.IsNaN(*v) || math.IsInf(*v, 0) {
			fail("each minute without matches adds %g to the period: only matches are counted", *v)
		}
		if c.Missing = "notBreaching"; c.breaches(*v) {
			c.Missing = "breaching"
		}
	}
	return c, errors.Join(errs...)
}

func (c *Compat) breaches(v float64) bool {
	switch c.Relation {
	case matcher.GT:
		return v > c.Limit
	case matcher.GE:
		return v >= c.Limit
	case matcher.LT:
		return v < c.Limit
	default:
		return v <= c.Limit
	}
}

// Warnings says what about the alarm does not work as its author may think, and
// what changes when a rule takes its place.
func (a *Alarm) Warnings() []string {
	var out []string
	warn := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if emitted := len(a.Dimensions); emitted > 0 && emitted < len(a.Emits) {
		warn("the metric filter emits the dimensions %s and the alarm names %d of them: in CloudWatch it stays in INSUFFICIENT_DATA", strings.Join(a.Emits, ", "), emitted)
	}
	for _, d := range a.Dimensions {
		if !slices.Contains(a.Emits, d.Name) {
			warn("the alarm has the dimension %s=%s, which the metric filter never emits: in CloudWatch it stays in INSUFFICIENT_DATA; the rule leaves the dimension out", d.Name, d.Value)
		}
	}
	if len(a.Dimensions) == 0 && len(a.Emits) > 0 {
		warn("the metric filter emits the dimensions %s and the alarm names none: in CloudWatch it stays in INSUFFICIENT_DATA; the rule counts all matches", strings.Join(a.Emits, ", "))
	}
	for _, arn := range slices.Concat(a.AlarmActions, a.OKActions) {
		if parts := strings.Split(arn, ":"); len(parts) > 2 && parts[0] == "arn" && parts[2] == "sns" && (len(parts) < 6 || parts[5] == "") {
			warn("the action %s has no topic name: in CloudWatch it reaches nobody", arn)
		}
	}
	if c, err := a.Compat(); err == nil && a.Default != nil && c.Missing != cmp.Or(a.TreatMissingData, c.Missing) {
		warn("a period without matches reports %g, the filter's default value, and so is %s; %s is for periods without any log event, which are taken alike", *a.Default, c.Missing, a.TreatMissingData)
	}
	if _, err := a.Threshold(); err == nil && a.EvaluationPeriods > 1 {
		warn("one of %d periods is enough to fire: the rule fires at the same time and resolves sooner", a.EvaluationPeriods)
	}
	return out
}
