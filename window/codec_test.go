package window

import (
	"bytes"
	"math"
	"testing"
)

func FuzzLoadSeen(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte{1, 20, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, key, state []byte) {
		s := NewSeen(0)
		if err := s.Load(key, state); err != nil || len(state) == 0 {
			if s.Len() != 0 {
				t.Fatal("a refused identity is there")
			}
			return
		}
		_, e := s.lookup((*ID)(key))
		forgetAt := e.forgetAt
		if out := s.Observe(ID(key), e.sum, 0); out != Duplicate {
			t.Fatalf("outcome %d", out)
		}
		s.Advance(math.MaxInt64)
		if s.Len() != 0 && forgetAt != math.MaxInt64 {
			t.Fatal("it is not forgotten")
		}
	})
}

func FuzzLoadWatermark(f *testing.F) {
	w := NewWatermark(5)
	f.Add(w.AppendState(nil))
	w.Observe("topic/1", 100)
	w.Open("topic/2", math.MinInt64)
	f.Add(w.AppendState(nil))
	f.Fuzz(func(t *testing.T, state []byte) {
		w := NewWatermark(5)
		if w.Load(state) != nil {
			return
		}
		once := w.AppendState(nil)
		again := NewWatermark(5)
		if err := again.Load(once); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if !bytes.Equal(once, again.AppendState(nil)) {
			t.Fatal("written twice it differs")
		}
		value := w.Value()
		w.Open("topic/1", 0)
		if w.Value() < value {
			t.Fatal("the watermark went back")
		}
	})
}

// FuzzLoad: what is accepted is sound, is written back the same, and can be
// worked with.
func FuzzLoad(f *testing.F) {
	s, err := NewStore(Options{MaxMembers: 4})
	if err != nil {
		f.Fatal(err)
	}
	for i, p := range []Policy{
		{N: 3, Within: 10},
		{N: 2, Within: 10, Realert: 3},
		{N: 9, Within: 5},
		{Kind: Distinct, N: 2, Within: 9},
		{Kind: Distinct, N: 5, Within: 9},
		{Kind: Absence, Within: 2},
		{Kind: Together, N: 3, Within: 9},
		{Kind: InOrder, N: 2, Within: 50, Depth: 1},
		{Kind: Sum, Within: 30, Bounds: Bounds{Set: HasMin, Min: 4}},
		{Kind: PeakCount, Within: 9, Bounds: Bounds{Set: HasMin | HasMax, Min: 1, Max: 9}},
		{Kind: PeakSum, Within: 99, Bounds: Bounds{Set: HasNot, Not: -3}},
		{Kind: Average, Within: 9, Bounds: Bounds{Set: HasMin | MinOpen, Min: 1}},
		{Kind: Percentile, Within: 99, Percent: 95_00, Bounds: Bounds{Set: HasMax, Max: 1}},
		{Kind: Tumbling, N: 1, Within: 10, Periods: 3, Points: 2, Under: true, Missing: Breaching},
		{Kind: Tumbling, N: 2, Within: 10, Periods: 5, Points: 1},
	} {
		for n := range int64(8) {
			m := match(string(rune('a'+i)), 100+n*n, n, p)
			m.Value = uint64(n % 3)
			s.Observe(m)
			s.Advance(90+n*n, true)
		}
	}
	s.Advance(120, true)
	s.Dirty(func(_, state []byte) { f.Add(bytes.Clone(state)) })
	f.Add([]byte{stateVersion, 0, 1, 1, 0, 1, 0})
	f.Fuzz(func(t *testing.T, state []byte) {
		s := newStore(t, Options{Shards: 1, MaxMembers: 4})
		if err := s.Load([]byte("k"), state); err != nil || len(state) == 0 {
			if s.Len() != 0 {
				t.Fatal("a refused state is there")
			}
			return
		}
		check(t, s)
		_, e := lookup(s.shards[0], hashOf([]byte("k")), "k")
		p := s.shards[0].policies[e.policy]
		once := appendState(nil, &p, e)
		again := newStore(t, Options{Shards: 1, MaxMembers: 4})
		if err := again.Load([]byte("k"), once); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		_, e2 := lookup(again.shards[0], hashOf([]byte("k")), "k")
		if twice := appendState(nil, &p, e2); !bytes.Equal(once, twice) {
			t.Fatalf("written\n%x, then\n%x", once, twice)
		}
		at := e.newest()
		for i, d := range []int64{0, 1, int64(p.Within), -int64(p.Within), -1, math.MaxInt64, math.MinInt64} {
			m := match("k", at+d, int64(i), p)
			m.Value = uint64(i)
			s.Observe(m)
			check(t, s)
		}
		s.Advance(at, true)
		s.Drain(func(*Change) {})
		s.Advance(math.MaxInt64, true)
		s.Drain(func(*Change) {})
		check(t, s)
		s.Rollback()
		if _, e := lookup(s.shards[0], hashOf([]byte("k")), "k"); !bytes.Equal(appendState(nil, &p, e), once) {
			t.Fatal("a rollback did not bring the state back")
		}
	})
}
