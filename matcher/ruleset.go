package matcher

// Ruleset is a compiled set of rules: immutable, shared by any number of
// Matchers. (It remembers event names that it has met, which shows nowhere.)
type Ruleset struct {
	rules    []*Rule // by ID
	byID     map[string]*Rule
	suppress [][]*Suppression // of each rule, global ones too
	index    index
	enrich   Enricher
	fed      [][]fed // of each rule: the correlations that its hits count for
}

// Options of Compile.
type Options struct {
	// Suppress are the global suppressions: they hold for every rule. Hits carry
	// copies of them, for OnKey depends on the rule.
	Suppress []*Suppression
	// Correlations count matches of several of the rules. Their own rules are
	// among Rules.
	Correlations []*Correlation
	// Enrich answers what conditions ask beyond the event. Nil: rules that need
	// it are refused.
	Enrich Enricher
}

// Rules returns the rules in the order of their IDs, disabled ones too.
// Read-only.
func (rs *Ruleset) Rules() []*Rule { return rs.rules }

// Rule returns the rule of that ID, nil if there is none.
func (rs *Ruleset) Rule(id string) *Rule { return rs.byID[id] }

// Unindexed returns the rules that no index can serve, in the order of their
// IDs: each event is parsed and evaluated for them.
func (rs *Ruleset) Unindexed() []*Rule {
	var out []*Rule
	if rs.index.rest != nil {
		for _, i := range rs.index.rest.always {
			out = append(out, rs.rules[i])
		}
	}
	return out
}

// IndexStats describe the index of a Ruleset.
type IndexStats struct {
	Rules         int            // enabled
	Names         int            // distinct event names (in any case) that rules list
	ByName        int            // rules found by a listed event name
	ByNamePattern int            // rules found by a pattern tried on each new event name
	ByField       int            // rules found by another field
	Unindexed     int            // rules found by none
	Groups        int            // groups of rules that share what they were found by
	LargestGroup  int            // most rules that one set of field values leaves to evaluate
	Fields        map[string]int // rules split off by each further field, by dotted path
}

// Stats walks the index. A rule that is found in several ways counts in each.
func (rs *Ruleset) Stats() IndexStats {
	x := &rs.index
	s := IndexStats{Names: len(x.names.entries), Unindexed: len(rs.Unindexed()), Fields: map[string]int{}}
	for _, r := range rs.rules {
		if r.Enabled {
			s.Rules++
		}
	}
	tested, byName, byField := map[int32]bool{}, map[int32]bool{}, map[int32]bool{}
	for _, t := range x.tested {
		tested[x.ways[t.way].rule] = true
	}
	for _, w := range x.ways {
		if at := w.way.find(eventName); at >= 0 && w.way[at].finite() {
			byName[w.rule] = true
		}
	}
	seen := map[*group]bool{}
	for _, e := range x.names.entries {
		s.walk(rs, e.group, seen)
	}
	if x.rest != nil {
		s.walk(rs, x.rest, seen)
		for _, a := range x.rest.accesses {
			for _, r := range a.all {
				byField[r] = true
			}
		}
	}
	s.ByName, s.ByNamePattern, s.ByField = len(byName), len(tested), len(byField)
	return s
}

func (s *IndexStats) walk(rs *Ruleset, g *group, seen map[*group]bool) {
	if g == nil || seen[g] {
		return
	}
	seen[g] = true
	s.Groups++
	s.LargestGroup = max(s.LargestGroup, len(g.always))
	for i := range g.accesses {
		a := &g.accesses[i]
		s.Fields[pathName(rs.index.paths[a.path])] += len(a.all)
		s.walk(rs, a.present, seen)
		s.walk(rs, a.notNull, seen)
		for _, e := range a.values.entries {
			s.walk(rs, e.group, seen)
		}
		for _, t := range a.tested {
			s.walk(rs, t.group, seen)
		}
	}
}
