package matcher

import "github.com/trailtide/trailtide/pipeline/cloudtrail"

// Ruleset is a compiled set of rules: immutable, shared by any number of
// Matchers.
type Ruleset struct {
	rules []*Rule
}

// Options of Compile.
type Options struct {
	// Suppress are the global suppressions: they hold for every rule.
	Suppress []*Suppression
}

// Compile builds the index. Errors are joined, each with file, line, column.
func Compile(rules []*Rule, o Options) (*Ruleset, error) { return &Ruleset{rules: rules}, nil }

// Rules returns the rules in the order of their IDs. Read-only.
func (rs *Ruleset) Rules() []*Rule { return rs.rules }

// Rule returns the rule of that ID, nil if there is none.
func (rs *Ruleset) Rule(id string) *Rule { return nil }

// Hit is one rule whose condition held.
type Hit struct {
	Rule       *Rule
	Suppressed *Suppression // the suppression that covers the match, or nil
}

// Matcher matches events. One goroutine owns it.
type Matcher struct {
	rs *Ruleset
}

// NewMatcher returns a Matcher over rs.
func (rs *Ruleset) NewMatcher() *Matcher { return &Matcher{rs: rs} }

// Match appends to dst a Hit for every enabled rule whose condition holds for
// ev. candidate says whether any rule could have matched: only then was the
// event parsed. A non-nil error means that a candidate does not parse: the
// event is invalid, and dst is returned as it came.
func (m *Matcher) Match(dst []Hit, ev *cloudtrail.Event) (hits []Hit, candidate bool, err error) {
	return dst, false, nil
}

// AppendKey appends the group-by key of a threshold match: for each path its
// presence and its length-prefixed text, so that a missing field, an empty one
// and ("ab","c") ≠ ("a","bc") differ. DecodeKey reverses it.
func (t *Threshold) AppendKey(dst []byte, ev *cloudtrail.Event) []byte { return dst }

// KeyField is one group-by field's value.
type KeyField struct {
	Path    string // dotted
	Value   string
	Missing bool
}

// DecodeKey returns what AppendKey wrote.
func (t *Threshold) DecodeKey(key []byte) ([]KeyField, error) { return nil, nil }

// AppendDistinct appends the text of the distinct field; ok is false when the
// event lacks it (such a match does not count).
func (t *Threshold) AppendDistinct(dst []byte, ev *cloudtrail.Event) (out []byte, ok bool) {
	return dst, false
}
