package matcher

import (
	"time"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Correlation counts matches of several rules together. Compile makes a rule of
// it, which has no place in the index: a hit on a member is a hit on it too.
type Correlation struct {
	// Rule is what the correlation says about itself. Its Cond (any of the
	// members') and Threshold belong to Compile.
	Rule    *Rule
	Kind    CorrelationKind
	Members []Member
	GroupBy []string // names of the key's fields, as the alert shows them; dotted
	Window  time.Duration
	Realert time.Duration // 0: never told again
	Bounds  []Bound       // all must hold
	Percent float64       // of PercentileOf: above 0, at most 100

	depth int // how many firings stand behind one of its matches
}

// CorrelationKind is what a correlation compares with its bounds.
type CorrelationKind uint8

// The kinds.
const (
	CountEvents  CorrelationKind = iota // events
	CountValues                         // distinct values of Member.Fields, several being one
	Together                            // members that matched
	InOrder                             // the same, and each no earlier than the one before; all of them
	SumOf                               // the sum of a number, Member.Fields
	AverageOf                           // its mean
	PercentileOf                        // its value at Percent, nearest rank
)

// Numeric says that the kind is about a number in the events.
func (k CorrelationKind) Numeric() bool { return k >= SumOf }

// Tagged says that the kind tells members apart.
func (k CorrelationKind) Tagged() bool { return k == Together || k == InOrder }

// Member is one rule that a correlation counts.
type Member struct {
	// RuleID names a rule, or another correlation, of which then each firing
	// counts, and GroupBy and Fields are among its group-by fields.
	RuleID  string
	GroupBy []cloudtrail.Path // in this rule's events, one for each of Correlation.GroupBy
	Fields  []cloudtrail.Path // of CountValues one or several, of numeric kinds one
}

// Bound is one part of a correlation's condition.
type Bound struct {
	Op    BoundOp
	Value float64
}

// BoundOp compares with a Bound's value.
type BoundOp uint8

// The operators.
const (
	AtLeast BoundOp = iota
	MoreThan
	AtMost
	LessThan
	EqualTo
	NotEqualTo
)

// Depth is how many firings stand behind one match of the correlation: 0 where
// all members are rules without a threshold.
func (c *Correlation) Depth() int { return c.depth }

// Lower says that the condition only bounds from below: what satisfies it
// cannot cease to.
func (c *Correlation) Lower() bool {
	for _, b := range c.Bounds {
		if b.Op != AtLeast && b.Op != MoreThan {
			return false
		}
	}
	return true
}

// Tumbling makes a threshold one of CloudWatch's: matches are counted in
// periods of Threshold.Window that are aligned to the epoch, and the alarm is on
// when Points of the last Periods counts are Threshold.Count or more (Under:
// less).
type Tumbling struct {
	Under   bool
	Periods int
	Points  int
	Missing Missing
}

// Missing says what a period without matches is.
type Missing uint8

// What missing datapoints are, as CloudWatch names them.
const (
	MissingData Missing = iota
	NotBreaching
	Breaching
	Ignore
)

// String is the name that CloudWatch gives m.
func (m Missing) String() string {
	return [...]string{"missing", "notBreaching", "breaching", "ignore"}[m]
}

// Feed says that the firings of a rule are matches of a correlation.
type Feed struct {
	To   *Rule
	Tag  int
	Keys []int // for each group-by field of To the place among the rule's own
	// Fields are the places of the counted values, of CountValues.
	Fields []int
}

// Feeds are the correlations that count the rule's firings, nil for most.
// Compile sets them.
func (r *Rule) Feeds() []Feed { return r.feeds }

// correlates says that the rule stands for a correlation.
func (r *Rule) correlates() bool { return r.Threshold != nil && r.Threshold.Correlation != nil }
