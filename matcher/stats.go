package matcher

// RuleStats count what a Matcher did for one rule.
type RuleStats struct {
	Evaluated uint64 // events that the index left to the rule's condition
	Matched   uint64
	// Sampled and Nanos are how many of the evaluations were timed, and how long
	// those took together. Both 0 without MatcherOptions.Now.
	Sampled uint64
	Nanos   uint64
}

// matchStats belong to the Matcher's goroutine.
type matchStats struct {
	rules   []RuleStats // as Ruleset.Rules
	touched []int32     // rules with counts
	now     func() int64
	every   int
	left    int // parsed events until the next sample
}

func newMatchStats(rules int, o MatcherOptions) matchStats {
	every := o.SampleEvery
	if every <= 0 {
		every = 64
	}
	return matchStats{rules: make([]RuleStats, rules), now: o.Now, every: every}
}

// start begins an event; it returns the time if this one is sampled, else 0.
func (s *matchStats) start() int64 {
	if s.now == nil {
		return 0
	}
	if s.left > 0 {
		s.left--
		return 0
	}
	s.left = s.every - 1
	return s.now()
}

// count adds an evaluation that began at since (0: not timed) and returns when
// the next begins.
func (s *matchStats) count(rule int32, matched bool, since int64) int64 {
	r := &s.rules[rule]
	if r.Evaluated == 0 {
		s.touched = append(s.touched, rule)
	}
	r.Evaluated++
	if matched {
		r.Matched++
	}
	if since == 0 {
		return 0
	}
	now := s.now()
	r.Sampled++
	r.Nanos += uint64(max(now-since, 0))
	return now
}

// TakeStats calls each for every rule that was evaluated since the last call,
// and starts anew. It must be called by the goroutine that owns m.
func (m *Matcher) TakeStats(each func(*Rule, RuleStats)) {
	s := &m.stats
	for _, i := range s.touched {
		each(m.rs.rules[i], s.rules[i])
		s.rules[i] = RuleStats{}
	}
	s.touched = s.touched[:0]
}
