package window

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

func newStore(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := NewStore(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func match(key string, at, id int64, p Policy) *Match {
	m := &Match{Key: []byte(key), Policy: p, Time: at, Sum: uint32(id)}
	binary.BigEndian.PutUint64(m.ID[:], uint64(id))
	return m
}

func observe(t testing.TB, s *Store, key string, at, id int64, p Policy) {
	t.Helper()
	if out := s.Observe(match(key, at, id, p)); out != Counted {
		t.Fatalf("match %d of %s at %d has outcome %d", id, key, at, out)
	}
}

func number(id ID) uint64 { return binary.BigEndian.Uint64(id[:]) }

var changeNames = map[ChangeType]string{
	Fired: "Fired", Updated: "Updated", Resolved: "Resolved", Merged: "Merged", Evicted: "Evicted", Forgotten: "Forgotten",
}

// drained is what Drain tells, a line a change.
func drained(s *Store) []string {
	var lines []string
	s.Drain(func(c *Change) {
		var ids []uint64
		for _, m := range c.Members {
			ids = append(ids, number(m.ID))
		}
		l := fmt.Sprintf("%s %s %d-%d n%d %d", c.Key, changeNames[c.Type], c.First, c.Last, c.Count, ids)
		if c.Notify {
			l += " notify"
		}
		if c.Returned {
			l += " returned"
		}
		if c.Into != (ID{}) {
			l += fmt.Sprintf(" into %d", number(c.Into))
		}
		lines = append(lines, l)
	})
	return lines
}

func TestTheWindowIsClosedAtBothEnds(t *testing.T) {
	p := Policy{N: 3, Within: 10}
	s := newStore(t, Options{})
	observe(t, s, "at", 0, 1, p)
	observe(t, s, "at", 5, 2, p)
	observe(t, s, "at", 10, 3, p)
	observe(t, s, "over", 0, 1, p)
	observe(t, s, "over", 5, 2, p)
	observe(t, s, "over", 11, 3, p)
	s.Advance(20, true) // last + Within: a match at 20 would still belong
	if d := gocmp.Diff([]string{"at Fired 0-10 n3 [1 2 3]"}, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	s.Advance(21, true)
	if d := gocmp.Diff([]string{"at Resolved 0-10 n3 [1 2 3]"}, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	s.Advance(22, true)
	if d := gocmp.Diff([]string{"over Forgotten 0-11 n3 [1 2 3]"}, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

func TestALateEventJoinsTwoOpenEpisodes(t *testing.T) {
	p := Policy{N: 2, Within: 10}
	s := newStore(t, Options{})
	for i, at := range []int64{0, 1, 20, 21} {
		observe(t, s, "k", at, int64(i+1), p)
	}
	drained(s)
	observe(t, s, "k", 10, 9, p)
	want := []string{
		"k Merged 20-21 n2 [3 4] into 1",
		"k Updated 0-21 n5 [1 2 9 3 4]",
	}
	if d := gocmp.Diff(want, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	s.Advance(100, true)
	if d := gocmp.Diff([]string{"k Resolved 0-21 n5 [1 2 9 3 4]"}, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

func TestFiredMergedAndResolvedBetweenTwoDrains(t *testing.T) {
	p := Policy{N: 2, Within: 10}
	s := newStore(t, Options{})
	for i, at := range []int64{20, 21, 0, 1, 10} {
		observe(t, s, "k", at, int64(i+1), p)
	}
	s.Advance(100, true)
	want := []string{
		"k Fired 20-21 n2 [1 2]",
		"k Fired 0-21 n5 [3 4 5 1 2]",
		"k Merged 20-21 n2 [1 2] into 3",
		"k Resolved 0-21 n5 [3 4 5 1 2]",
	}
	if d := gocmp.Diff(want, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

func TestAnUpdateIsNotToldBesideTheEnd(t *testing.T) {
	p := Policy{N: 1, Within: 10}
	s := newStore(t, Options{})
	observe(t, s, "k", 0, 1, p)
	drained(s)
	observe(t, s, "k", 5, 2, p)
	s.Advance(100, true)
	if d := gocmp.Diff([]string{"k Resolved 0-5 n2 [1 2]"}, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

func TestAFullEpisodeMakesTheOneThatTakesItInALowerBound(t *testing.T) {
	p := Policy{N: 1, Within: 10}
	s := newStore(t, Options{MaxMembers: 3})
	observe(t, s, "k", 0, 1, p)
	for i := range int64(4) {
		s.Observe(match("k", 20+i, 2+i, p))
	}
	drained(s)
	observe(t, s, "k", 10, 9, p)
	want := []string{
		"k Merged 20-23 n3 [2 3 4] into 1",
		"k Updated 0-23 n3 [1 9 2]",
		"k Forgotten 21-22 n2 [3 4]",
	}
	if d := gocmp.Diff(want, drained(s)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

func TestRealertGoesByEventTime(t *testing.T) {
	p := Policy{N: 1, Within: 100, Realert: 30}
	s := newStore(t, Options{})
	var got []string
	for i, at := range []int64{0, 10, 29, 30, 40, 59, 60, 200, 200} {
		observe(t, s, "k", at, int64(i), p)
		got = append(got, drained(s)...)
	}
	want := []string{
		"k Fired 0-0 n1 [0]",
		"k Updated 0-10 n2 [0 1]",
		"k Updated 0-29 n3 [0 1 2]",
		"k Updated 0-30 n4 [0 1 2 3] notify",
		"k Updated 0-40 n5 [0 1 2 3 4]",
		"k Updated 0-59 n6 [0 1 2 3 4 5]",
		"k Updated 0-60 n7 [0 1 2 3 4 5 6] notify",
		"k Fired 200-200 n1 [7]",
		"k Updated 200-200 n2 [7 8]",
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

func TestAbsence(t *testing.T) {
	p := Policy{Kind: Absence, Within: 10}
	s := newStore(t, Options{ForgetAfter: 50})
	observe(t, s, "k", 5, 1, p)
	s.Advance(15, true) // not passed
	s.Advance(16, false)
	if got := drained(s); got != nil {
		t.Errorf("not yet silent, or not live, and yet %q", got)
	}
	s.Advance(16, true)
	if d := gocmp.Diff([]string{"k Fired 5-5 n1 [1]"}, drained(s)); d != "" {
		t.Errorf("fires (-want +got):\n%s", d)
	}
	if out := s.Observe(match("k", 4, 2, p)); out != Noted {
		t.Errorf("an older match: outcome %d, want Noted", out)
	}
	observe(t, s, "k", 12, 3, p) // older than the watermark, and yet it is a match
	if d := gocmp.Diff([]string{"k Resolved 5-5 n1 [1] returned"}, drained(s)); d != "" {
		t.Errorf("resolves (-want +got):\n%s", d)
	}
	s.Advance(23, true)
	s.Advance(62, true)
	if d := gocmp.Diff([]string{"k Fired 12-12 n1 [3]"}, drained(s)); d != "" {
		t.Errorf("fires again (-want +got):\n%s", d)
	}
	s.Advance(63, true)
	if d := gocmp.Diff([]string{"k Resolved 12-12 n1 [3]"}, drained(s)); d != "" {
		t.Errorf("is given up (-want +got):\n%s", d)
	}
	if s.Len() != 0 {
		t.Errorf("%d keys are left", s.Len())
	}
}

func TestOutcomes(t *testing.T) {
	p := Policy{N: 3, Within: 10}
	s := newStore(t, Options{})
	s.Advance(100, true)
	observe(t, s, "k", 100, 1, p)
	s.Advance(105, true)
	other := match("k", 100, 1, p)
	other.Sum = 77
	for _, tc := range []struct {
		name string
		m    *Match
		want Outcome
	}{
		{"late, new key", match("new", 104, 2, p), Late},
		{"late", match("k", 104, 2, p), Late},
		{"as old as the watermark", match("k", 105, 2, p), Counted},
		{"duplicate of what is older than the watermark", match("k", 100, 1, p), Duplicate},
		{"other bytes", other, Conflict},
		{"no policy", match("bad", 105, 2, Policy{}), Refused},
		{"absurd count", match("bad", 105, 2, Policy{N: MaxN + 1, Within: 1}), Refused},
	} {
		if got := s.Observe(tc.m); got != tc.want {
			t.Errorf("%s: outcome %d, want %d", tc.name, got, tc.want)
		}
	}
	st := s.Stats()
	if st.Conflicts != 1 || st.Refused != 2 || s.Len() != 1 {
		t.Errorf("stats are %+v", st)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{Shards: -1}, {Shards: 2000}, {MaxMembers: MaxN + 1}, {MaxKeys: 1 << 31}, {ForgetAfter: -1}, {MaxBytes: -1}} {
		if _, err := NewStore(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestBadPolicies(t *testing.T) {
	for _, p := range []Policy{
		{},
		{N: 1},
		{N: 1, Within: -1},
		{N: -1, Within: 1},
		{N: 1, Within: 1, Realert: -1},
		{Kind: Tumbling + 1, N: 1, Within: 1},
		{N: MaxN + 1, Within: 1},
		{Kind: Absence},
		{Kind: Together, N: MaxTags + 1, Within: 1},
		{Kind: InOrder, Within: 1},
		{Kind: Sum, Within: 1},
		{Kind: Sum, Within: 1, Bounds: Bounds{Set: HasMin | HasMax, Min: 1, Max: 2}},
		{Kind: PeakCount, Within: 1},
		{Kind: PeakCount, Within: 1, Bounds: Bounds{Set: HasMax, Max: MaxN + 1}},
		{Kind: PeakSum, Within: 1, Bounds: Bounds{Set: HasMin, Min: math.MaxInt64}},
		{Kind: Average, Within: 1, Bounds: Bounds{Set: HasMin, Max: 3}},
		{Kind: Average, Within: 1, Bounds: Bounds{Set: HasMin | MaxOpen}},
		{Kind: Percentile, Within: 1, Bounds: Bounds{Set: HasMin}},
		{Kind: Percentile, Within: 1, Bounds: Bounds{Set: HasMin}, Percent: 10_001},
		{Kind: Tumbling, Within: 1},
		{Kind: Tumbling, Within: 1, Periods: 2, Points: 3},
		{Kind: Tumbling, Within: 1, Periods: 2, Points: 1, Missing: Ignore + 1},
		{Kind: Tumbling, Within: math.MaxInt64 / 4, Periods: 2, Points: 1},
		{Kind: Count, N: 1, Within: 1, Depth: MaxDepth + 1},
	} {
		if p.Validate() == nil {
			t.Errorf("%+v is accepted", p)
		}
	}
	if err := (Policy{N: MaxN, Within: time.Minute}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestANewerStateIsRefused(t *testing.T) {
	s := newStore(t, Options{})
	observe(t, s, "k", 1, 1, Policy{N: 2, Within: 5})
	var state []byte
	s.Dirty(func(_, st []byte) { state = append(state, st...) })
	state[0] = policyVersion + 1
	err := s.Load([]byte("k"), state)
	if err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("a newer state is loaded: %v", err)
	}
}

func TestTheLastStateLoadedHolds(t *testing.T) {
	state := func(n int64) (out []byte) {
		s := newStore(t, Options{})
		for i := range n {
			observe(t, s, "k", i, i, Policy{N: 9, Within: 5})
		}
		s.Dirty(func(_, st []byte) { out = append(out, st...) })
		return out
	}
	s := newStore(t, Options{})
	for _, st := range [][]byte{state(1), state(5), state(3)} {
		if err := s.Load([]byte("k"), st); err != nil {
			t.Fatal(err)
		}
		check(t, s)
	}
	if got := s.Stats(); got.Keys != 1 || got.Members != 3 {
		t.Errorf("stats are %+v", got)
	}
	if err := s.Load([]byte("k"), nil); err != nil {
		t.Fatal(err)
	}
	check(t, s)
	if got := s.Stats(); got != (Stats{}) {
		t.Errorf("after loading its end there is %+v", got)
	}
	s.Rollback()
	if s.Len() != 0 {
		t.Error("a rollback brought a loaded key back")
	}
}

func TestKeysWithOneHash(t *testing.T) {
	sh := newShard(10, newJournal())
	const hash = 7<<32 | 1
	p := Policy{N: 2, Within: 5}
	var numbers []uint32
	for i := range 300 {
		n, _ := sh.create(fmt.Sprint(i), hash, p)
		numbers = append(numbers, n)
	}
	for i := 0; i < 300; i += 2 {
		n, e := lookup(sh, hash, fmt.Sprint(i))
		if e == nil || n != numbers[i] {
			t.Fatalf("key %d is not found", i)
		}
		sh.displace(n, e)
	}
	for i := range 300 {
		if _, e := lookup(sh, hash, fmt.Sprint(i)); (e != nil) != (i%2 == 1) {
			t.Errorf("key %d: found %v", i, e != nil)
		}
	}
}
