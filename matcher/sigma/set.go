package sigma

import (
	"fmt"

	"github.com/trailtide/trailtide/matcher"
)

// Set is what Sigma files hold, linked.
type Set struct {
	// Rules are the detection rules in the order of files and documents, filters
	// applied. A rule in Silent (its Rule.Silent is set as well) does not alert by
	// itself: its matches only count for correlations.
	Rules        []*matcher.Rule
	Correlations []*Correlation
	Silent       map[string]bool // by Rule.ID
	Filters      []*Filter
	Skipped      []Skipped // documents for other log sources
	Warnings     []Warning
	Files        []string // read, in order; with Dirs what a watcher must watch
	Dirs         []string // directories searched
	Other        []string // files of Files in which no document is Sigma
}

// Skipped is a document that was left out.
type Skipped struct {
	Pos    matcher.Pos
	ID     string
	Title  string
	Reason string
}

// String returns "file:line:col: ID is left out: reason".
func (s Skipped) String() string {
	return fmt.Sprintf("%s: %s is left out: %s", s.Pos, s.ID, s.Reason)
}

// Alerting returns the rules that are complete by themselves, for a matcher
// and windows that know thresholds: the rules that are not silent, and the
// correlations that are thresholds (Correlation.Rule) and not silent.
func (s *Set) Alerting() []*matcher.Rule {
	var rules []*matcher.Rule
	for _, r := range s.Rules {
		if !s.Silent[r.ID] {
			rules = append(rules, r)
		}
	}
	for _, c := range s.Correlations {
		if c.Rule != nil && !c.Silent {
			rules = append(rules, c.Rule)
		}
	}
	return rules
}

// Uncounted returns the correlations that Alerting leaves out although they
// should alert: no threshold says what they say.
func (s *Set) Uncounted() []*Correlation {
	var out []*Correlation
	for _, c := range s.Correlations {
		if c.Rule == nil && !c.Silent {
			out = append(out, c)
		}
	}
	return out
}
