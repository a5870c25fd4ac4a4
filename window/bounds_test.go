package window

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// idleOrder is the keys in the order in which they ought to go.
func idleOrder(s *Store, but string) []string {
	type idle struct {
		timer
		key string
	}
	var all []idle
	for _, sh := range s.shards {
		sh.each(func(_ uint32, e *entry) {
			if !sh.policies[e.policy].live() && e.key != but {
				all = append(all, idle{timer{at: e.newest(), tie: tagOf(e.hash)}, e.key})
			}
		})
	}
	slices.SortFunc(all, func(a, b idle) int {
		if a.before(b.timer) {
			return -1
		}
		return 1
	})
	var keys []string
	for _, x := range all {
		keys = append(keys, x.key)
	}
	return keys
}

func keysOf(s *Store) map[string]bool {
	keys := map[string]bool{}
	for _, sh := range s.shards {
		sh.each(func(_ uint32, e *entry) { keys[e.key] = true })
	}
	return keys
}

func TestBoundsEvictTheIdlestAndRollBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Shards: 1 << rapid.IntRange(0, 2).Draw(t, "shards")}
		if rapid.Bool().Draw(t, "by keys") {
			o.MaxKeys = rapid.IntRange(1, 6).Draw(t, "keys")
		} else {
			o.MaxBytes = int64(rapid.IntRange(100, 3000).Draw(t, "bytes"))
		}
		s, err := NewStore(o)
		if err != nil {
			t.Fatal(err)
		}
		var (
			steps  []step
			start  = dump(s)
			base   int64
			policy = []Policy{
				{N: 2, Within: 4},
				{N: 3, Within: 9},
				{Kind: Distinct, N: 2, Within: 3},
				{Kind: Absence, Within: 5},
				{Kind: Average, Within: 4, Bounds: Bounds{Set: HasMin, Min: 3}},
				{Kind: PeakCount, Within: 4, Bounds: Bounds{Set: HasMin | HasMax, Min: 2, Max: 2}},
				{Kind: Tumbling, N: 1, Within: 3, Periods: 2, Points: 1},
				{Kind: Tumbling, N: 1, Within: 3, Periods: 2, Points: 1, Missing: Breaching},
			}
		)
		do := func(st step) {
			steps = append(steps, st)
			if st.match == nil {
				s.Advance(st.wm, st.live)
			} else {
				observeAtBound(t, s, st.match)
			}
			check(t, s)
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 19).Draw(t, "op"); op {
			case 0:
				do(step{wm: base - 3, live: true})
			case 1:
				s.Commit()
				start, steps = dump(s), nil
			case 2:
				end := dump(s)
				s.Rollback()
				if d := gocmp.Diff(start, dump(s)); d != "" {
					t.Fatalf("memory after a rollback (-before +after):\n%s", d)
				}
				check(t, s)
				again := steps
				steps = nil
				for _, st := range again {
					do(st)
				}
				if d := gocmp.Diff(end, dump(s)); d != "" {
					t.Fatalf("memory after a replay (-first +second):\n%s", d)
				}
			case 3:
				s.Drain(func(*Change) {})
				s.Commit()
				start, steps = dump(s), nil
			default:
				base += int64(rapid.IntRange(0, 2).Draw(t, "forward"))
				k := rapid.IntRange(0, 11).Draw(t, "key")
				at := base - int64(rapid.IntRange(0, 5).Draw(t, "back"))
				do(step{match: &Match{
					Key: fmt.Append(nil, "key ", k), Policy: policy[k%len(policy)], Time: at, ID: ID{byte(at), byte(at >> 8)}, Value: uint64(at),
				}})
			}
		}
	})
}

// observeAtBound observes and checks who had to go for it.
func observeAtBound(t *rapid.T, s *Store, m *Match) {
	before, order, stats := keysOf(s), idleOrder(s, string(m.Key)), s.Stats()
	out := s.Observe(m)
	now, evicted := keysOf(s), int(s.Stats().Evictions-stats.Evictions)
	if evicted > len(order) {
		t.Fatalf("%d evictions of %d keys", evicted, len(order))
	}
	for i, k := range order {
		if now[k] == (i < evicted) {
			t.Fatalf("%d evictions, in the order %q, left %v", evicted, order, now)
		}
	}
	left := s.Stats()
	if left.Keys > s.opts.MaxKeys {
		t.Fatalf("%d keys", left.Keys)
	}
	if out == Counted && left.Bytes > s.opts.MaxBytes && len(idleOrder(s, string(m.Key))) > 0 {
		t.Fatalf("%d bytes, and something to evict", left.Bytes)
	}
	full := stats.Keys >= s.opts.MaxKeys || stats.Bytes >= s.opts.MaxBytes
	fresh := !before[string(m.Key)]
	switch {
	case fresh && m.Policy.live() && out != Late && full != (out == Refused):
		t.Fatalf("a new absence key has outcome %d at %+v", out, stats)
	case fresh && !m.Policy.live() && out == Refused && len(order) > evicted:
		t.Fatalf("refused with %d keys to evict", len(order)-evicted)
	case out == Refused && left.Refused != stats.Refused+1:
		t.Fatalf("refusal is not counted")
	}
}

func TestEvictionTellsWhatWasOpen(t *testing.T) {
	s := newStore(t, Options{MaxKeys: 2})
	observe(t, s, "fired", 10, 1, Policy{N: 2, Within: 5})
	observe(t, s, "fired", 12, 2, Policy{N: 2, Within: 5})
	observe(t, s, "counting", 13, 3, Policy{N: 2, Within: 5})
	observe(t, s, "third", 14, 4, Policy{N: 2, Within: 5})
	observe(t, s, "fourth", 15, 5, Policy{N: 2, Within: 5})
	want := []string{
		"fired Fired 10-12 n2 [1 2]",
		"fired Evicted 10-12 n2 [1 2]",
		"counting Forgotten 13-13 n1 [3]",
	}
	if d := gocmp.Diff(want, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	if got := s.Stats().Evictions; got != 2 {
		t.Errorf("%d evictions are counted, want 2", got)
	}
}

func TestAbsenceIsRefusedAtTheBound(t *testing.T) {
	s := newStore(t, Options{MaxKeys: 1})
	absence := Policy{Kind: Absence, Within: 5}
	observe(t, s, "first", 10, 1, absence)
	if out := s.Observe(match("second", 11, 2, absence)); out != Refused {
		t.Errorf("a second absence key: outcome %d, want Refused", out)
	}
	if out := s.Observe(match("third", 12, 3, Policy{N: 1, Within: 5})); out != Refused {
		t.Errorf("a threshold key where only absence keys are: outcome %d, want Refused", out)
	}
	if out := s.Observe(match("first", 13, 4, absence)); out != Counted {
		t.Errorf("a known absence key: outcome %d, want Counted", out)
	}
	if got := s.Stats().Refused; got != 2 {
		t.Errorf("%d refusals are counted, want 2", got)
	}
}

func TestMembersStayBounded(t *testing.T) {
	const limit = 64
	for _, tc := range []struct {
		name   string
		policy Policy
		fires  bool
	}{
		{"unfired count", Policy{N: 50, Within: 10}, false},
		{"unfired distinct, one value", Policy{Kind: Distinct, N: 2, Within: 10 * time.Second}, false},
		{"fired", Policy{N: 3, Within: 10}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore(t, Options{MaxMembers: limit})
			most := 0
			for i := range int64(20_000) {
				m := match("k", i, i, tc.policy)
				m.Value = 1
				s.Observe(m)
				s.Advance(i-100, true)
				most = max(most, s.Stats().Members)
			}
			if most > 200 {
				t.Errorf("%d members are remembered", most)
			}
			var last Change
			s.Drain(func(c *Change) {
				if c.Type == Fired {
					last = *c
					last.Members = slices.Clone(c.Members)
				}
			})
			if !tc.fires {
				return
			}
			if last.First != 0 || last.Last != 19_999 || last.Count != limit || !last.Capped || len(last.Members) != limit {
				t.Errorf("the episode is %+v", last)
			}
			if out := s.Observe(match("k", 20_000, 20_000, tc.policy)); out != Noted {
				t.Errorf("a match beyond the bound: outcome %d, want Noted", out)
			}
		})
	}
}
