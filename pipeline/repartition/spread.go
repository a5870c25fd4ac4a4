package repartition

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/alerting"
)

// Spread is a rule set as a fleet matches it: its rules as the alert stage knows
// them, and which partition counts what.
//
// A rule's matches go by (rule, group-by key), each key anywhere. Where the
// firings of rules count towards a correlation, a firing and what it counts for
// must be in one partition: matches of such rules go by the key that they have
// in the last correlation of the chain, or all to one partition where the
// chains part or meet in several ends. Because keys then lie elsewhere, such a
// rule's hash says so: a rule that comes under a correlation, or leaves one, is
// a new version of the rule, whose windows begin empty.
type Spread struct {
	Rules alerting.Rules
	ways  map[*alerting.Rule]*way
}

// way is how a chained rule's matches find their partition.
type way struct {
	root  uint64 // of the chain's end, or of the whole web of rules
	whole bool   // all keys together
	steps []step
}

// step takes a rule's key to that of the correlation which counts its firings.
type step struct {
	from *matcher.Threshold
	feed matcher.Feed
}

// NewSpread makes the spread of a rule set.
func NewSpread(rs *matcher.Ruleset) *Spread {
	s := &Spread{Rules: alerting.RulesOf(rs), ways: make(map[*alerting.Rule]*way)}
	for _, web := range webs(rs) {
		s.connect(web)
	}
	return s
}

// webs are the sets of rules that are connected by feeds, sorted as the rules are.
func webs(rs *matcher.Ruleset) [][]*matcher.Rule {
	leader := make(map[*matcher.Rule]*matcher.Rule)
	find := func(r *matcher.Rule) *matcher.Rule {
		for leader[r] != nil {
			r = leader[r]
		}
		return r
	}
	chained := make(map[*matcher.Rule]bool)
	for _, r := range rs.Rules() {
		for _, f := range r.Feeds() {
			chained[r], chained[f.To] = true, true
			if a, b := find(r), find(f.To); a != b {
				leader[a] = b
			}
		}
	}
	byLeader := make(map[*matcher.Rule]int)
	var out [][]*matcher.Rule
	for _, r := range rs.Rules() {
		if !chained[r] {
			continue
		}
		l := find(r)
		i, ok := byLeader[l]
		if !ok {
			i = len(out)
			byLeader[l] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], r)
	}
	return out
}

// connect gives the rules of a web their ways and their hashes.
func (s *Spread) connect(web []*matcher.Rule) {
	var ends []string
	whole := false
	for _, r := range web {
		switch len(r.Feeds()) {
		case 0:
			ends = append(ends, r.ID)
		case 1:
		default:
			whole = true
		}
	}
	whole = whole || len(ends) != 1
	var id []byte
	for _, end := range ends {
		id = append(append(id, end...), 0)
	}
	root := xxhash.Sum64(id)
	for _, r := range web {
		w := &way{root: root, whole: whole}
		for at := r; !whole && len(at.Feeds()) == 1; at = at.Feeds()[0].To {
			w.steps = append(w.steps, step{from: at.Threshold, feed: at.Feeds()[0]})
		}
		known := s.Rules[r]
		known.Rehash(chainedHash(r.Hash, w))
		s.ways[known] = w
	}
	for _, r := range web {
		s.Rules[r].Relink()
	}
}

func chainedHash(hash uint64, w *way) uint64 {
	b := binary.BigEndian.AppendUint64(nil, hash)
	b = appendFlags(binary.BigEndian.AppendUint64(b, w.root), w.whole)
	for i := range w.steps {
		for _, k := range w.steps[i].feed.Keys {
			b = binary.AppendUvarint(b, uint64(k))
		}
		b = append(b, 0xff)
	}
	return xxhash.Sum64(b)
}

// Knows says that the spread has a way of its own for a rule.
func (s *Spread) Knows(r *alerting.Rule) bool { return s.ways[r] != nil }

// Partition answers which of n repartition partitions a match belongs to.
func (s *Spread) Partition(ev *alerting.Event, m *alerting.Match, n int) int {
	return int(s.sum(ev, m) % uint64(n)) //nolint:gosec // less than n
}

func (s *Spread) sum(ev *alerting.Event, m *alerting.Match) uint64 {
	if m.Rule.Policy == nil {
		return xxhash.Sum64(ev.Identity[:])
	}
	var scratch [128]byte
	w := s.ways[m.Rule]
	if w == nil {
		return xxhash.Sum64(append(binary.BigEndian.AppendUint64(scratch[:0], m.Rule.Hash), m.Key...))
	}
	b := binary.BigEndian.AppendUint64(scratch[:0], w.root)
	if w.whole {
		return xxhash.Sum64(b)
	}
	key := m.Key
	for i := range w.steps {
		st := &w.steps[i]
		group, err := st.from.DecodeKey(key)
		if err != nil {
			break // a key that cannot be read counts alone
		}
		next, _, ok := st.feed.AppendKeyOf(nil, group)
		if !ok {
			break // its firings count for nothing further on
		}
		key = next
	}
	return xxhash.Sum64(append(b, key...))
}
