// Package matcher compiles rules once and matches events against thousands of
// them. It is pure: no I/O, no clock, no goroutines, no logging.
package matcher

import (
	"time"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Severity of a rule, in ascending order.
type Severity uint8

// The severities.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

// Rule is one detection: what a person wrote, and the condition it compiled
// to. Immutable after Compile.
type Rule struct {
	ID          string
	Title       string
	Severity    Severity
	Enabled     bool
	Description string
	Runbook     string
	References  []string
	Tags        []string
	Sinks       []string
	Save        bool // keep the alert in the store; default true
	Cond        Node
	Threshold   *Threshold // nil: every match is an alert
	Suppress    []*Suppression
	Tests       []Test
	Pos         Pos
	Source      string // the rule as it was written, for show
	Language    string // "native", "sigma", …
	Builtin     bool
	// Silent: the rule only serves correlations and makes no alert by itself.
	Silent bool
	// Hash covers what decides detection (id, condition, threshold): windows of
	// a rule whose Hash is unchanged outlive a reload.
	Hash uint64

	feeds []Feed
}

// Pos is a place in a rule file.
type Pos struct {
	File      string
	Line, Col int
}

// Threshold is "count matches, or count distinct values of a field, within
// Window, per group-by key", or the absence of matches for AbsentFor.
type Threshold struct {
	Count     int             // matches, or distinct values when Distinct is set
	Distinct  cloudtrail.Path // nil: count matches
	Window    time.Duration
	AbsentFor time.Duration // > 0: an absence rule; Count and Window are 0
	GroupBy   []cloudtrail.Path
	Realert   time.Duration // 0: never told again
	// Tumbling, if set, evaluates Count as a CloudWatch alarm does, in periods of
	// Window.
	Tumbling *Tumbling
	// Correlation, if set, says what is counted, and how; Count, Distinct,
	// AbsentFor and Tumbling are not set then.
	Correlation *Correlation
}

// Suppression is a user's "ignore".
type Suppression struct {
	Cond    Node
	Reason  string
	Author  string
	Expires time.Time // end of that day, UTC; zero: never
	// OnKey: every field it reads is a group-by field, so that it mutes a
	// threshold's alert instead of keeping its matches from counting.
	OnKey bool
	// Rules are the IDs that a global suppression is for, * standing for any
	// run; empty: every rule. See Covers.
	Rules []string
	Pos   Pos
}

// Test is a rule's own test: Event must match, or must not.
type Test struct {
	Name  string
	Event []byte
	Match bool
	// Suppressed, if set, says whether one of the rule's suppressions must
	// cover the match.
	Suppressed *bool
	Pos        Pos
}
