package fleet

import (
	"sync"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/repartition"
)

// spreads are the rule sets whose matches may still be on their way: the newest
// one and those before it.
type spreads struct {
	mu   sync.Mutex
	list []*repartition.Spread // newest first
}

// keptSpreads is how many rule sets may be in the lanes at once.
const keptSpreads = 4

// describe makes the spread of a rule set that is about to be in force.
func (s *spreads) describe(rs *matcher.Ruleset) alerting.Rules {
	next := repartition.NewSpread(rs)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append([]*repartition.Spread{next}, s.list[:min(len(s.list), keptSpreads-1)]...)
	return next.Rules
}

// partition answers where a match belongs.
func (s *spreads) partition(ev *alerting.Event, m *alerting.Match, n int) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.list[0]
	for _, sp := range s.list {
		if sp.Knows(m.Rule) {
			at = sp
			break
		}
	}
	return int32(at.Partition(ev, m, n)) //nolint:gosec // less than n
}
