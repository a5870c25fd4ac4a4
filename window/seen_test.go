package window

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type seenModel struct {
	wm       int64
	ids      map[ID]seenEntry
	overflow int64
}

func (mo *seenModel) clone() *seenModel {
	return &seenModel{wm: mo.wm, ids: maps.Clone(mo.ids), overflow: mo.overflow}
}

func (mo *seenModel) observe(id ID, sum uint32, at int64, limit int) Outcome {
	if e, ok := mo.ids[id]; ok {
		if e.sum != sum {
			return Conflict
		}
		return Duplicate
	}
	if at < mo.wm {
		return Counted
	}
	mo.ids[id] = seenEntry{id: id, forgetAt: at, sum: sum, used: true}
	for len(mo.ids) > limit {
		oldest := slices.MinFunc(slices.Collect(maps.Values(mo.ids)), func(a, b seenEntry) int {
			if a.forgetAt != b.forgetAt {
				return int(a.forgetAt - b.forgetAt)
			}
			return slices.Compare(a.id[:], b.id[:])
		})
		delete(mo.ids, oldest.id)
		mo.overflow++
	}
	return Counted
}

func seenDump(s *Seen) map[ID]seenEntry {
	all := map[ID]seenEntry{}
	for n := range s.entries.used {
		if e := s.entries.at(n); e.used {
			all[e.id] = *e
		}
	}
	return all
}

func TestSeenIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		s := NewSeen(limit)
		mo := &seenModel{wm: math.MinInt64, ids: map[ID]seenEntry{}}
		kept, disk := mo.clone(), map[string]string{}
		compare := func() {
			t.Helper()
			if d := gocmp.Diff(mo.ids, seenDump(s), gocmp.AllowUnexported(seenEntry{})); d != "" {
				t.Fatalf("identities (-want +got):\n%s", d)
			}
			if s.Len() != len(mo.ids) || s.Overflowed() != mo.overflow {
				t.Fatalf("%d identities, %d overflowed, want %d and %d", s.Len(), s.Overflowed(), len(mo.ids), mo.overflow)
			}
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 11).Draw(t, "op") {
			case 0, 1:
				wm := int64(rapid.IntRange(0, 30).Draw(t, "watermark"))
				s.Advance(wm)
				mo.wm = max(mo.wm, wm)
				maps.DeleteFunc(mo.ids, func(_ ID, e seenEntry) bool { return mo.wm > e.forgetAt })
			case 2:
				s.Rollback()
				mo = kept.clone()
			case 3:
				s.Dirty(func(k, st []byte) {
					if st == nil {
						if _, ok := disk[string(k)]; !ok {
							t.Fatalf("deleting %x that was never put", k)
						}
						delete(disk, string(k))
					} else {
						disk[string(k)] = string(st)
					}
				})
				s.Commit()
				kept = mo.clone()
				fresh := NewSeen(limit)
				for k, st := range disk {
					if err := fresh.Load([]byte(k), []byte(st)); err != nil {
						t.Fatal(err)
					}
				}
				if d := gocmp.Diff(seenDump(s), seenDump(fresh), gocmp.AllowUnexported(seenEntry{})); d != "" {
					t.Fatalf("restored (-memory +durable):\n%s", d)
				}
				if rapid.Bool().Draw(t, "restart") {
					fresh.overflow = s.overflow // counters start anew, as they should
					s = fresh
					s.Advance(mo.wm)
					s.Commit()
				}
			default:
				id := ID{byte(rapid.IntRange(0, 9).Draw(t, "id"))}
				sum := uint32(rapid.IntRange(0, 5).Draw(t, "sum") / 5)
				at := int64(rapid.IntRange(0, 40).Draw(t, "forget at"))
				if got, want := s.Observe(id, sum, at), mo.observe(id, sum, at, limit); got != want {
					t.Fatalf("outcome %d, want %d", got, want)
				}
			}
			compare()
		}
	})
}

func TestSeenRefusesWhatItCannotRead(t *testing.T) {
	id := make([]byte, 16)
	for _, tc := range []struct{ key, state []byte }{
		{id[:15], []byte{1, 2, 0, 0, 0, 0}},
		{id, []byte{2, 2, 0, 0, 0, 0}},
		{id, []byte{1, 2, 0, 0, 0}},
		{id, []byte{1, 2, 0, 0, 0, 0, 0}},
		{id, []byte{1, 0x80}},
	} {
		s := NewSeen(0)
		if err := s.Load(tc.key, tc.state); err == nil || s.Len() != 0 {
			t.Errorf("loading %x, %x: %v, %d identities", tc.key, tc.state, err, s.Len())
		}
	}
	s := NewSeen(0)
	for range 2 { // a log that is not compacted holds a key twice
		if err := s.Load(id, []byte{1, 20, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	s.Advance(11)
	if s.Len() != 0 {
		t.Error("a loaded identity is not forgotten")
	}
}

func TestSeenIsLarge(t *testing.T) {
	s := NewSeen(1000)
	for i := range 5000 {
		id := ID{}
		copy(id[:], fmt.Sprint(i))
		if out := s.Observe(id, 0, int64(i)); out != Counted {
			t.Fatalf("identity %d: outcome %d", i, out)
		}
	}
	if s.Len() != 1000 || s.Overflowed() != 4000 {
		t.Errorf("%d identities, %d overflowed", s.Len(), s.Overflowed())
	}
	for i := range 5000 {
		id := ID{}
		copy(id[:], fmt.Sprint(i))
		if _, e := s.lookup(&id); (e != nil) != (i >= 4000) {
			t.Fatalf("identity %d: remembered %v", i, e != nil)
		}
	}
}
