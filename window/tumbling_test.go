package window

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// naiveAlarms walks all periods from the first match to wm, and answers when
// the alarm went on (at the end of a period) and off, and which matches it had.
func naiveAlarms(p *Policy, ms []Match, wm int64) []string {
	if len(ms) == 0 {
		return nil
	}
	w := int64(p.Within)
	period := func(t int64) int64 { return int64(math.Floor(float64(t) / float64(w))) }
	count := map[int64]int{}
	for _, m := range ms {
		count[period(m.Time)]++
	}
	var out []string
	on, since := false, int64(0)
	for i := period(ms[0].Time); (i+1)*w <= wm; i++ {
		there, bad, oldest, clean := 0, 0, 0, false
		for k := i - int64(p.Periods) + 1; k <= i; k++ {
			n, ok := count[k]
			if !ok {
				continue
			}
			there++
			if (n >= p.N) != p.Under {
				if bad++; bad == 1 {
					oldest = int(i - k + 1)
				}
			} else if bad > 0 {
				clean = true
			}
		}
		missing := int(p.Periods) - there
		was := on
		switch p.Missing {
		case NoData:
			on = bad >= int(p.Points) || bad > 0 && !clean && oldest >= int(p.Points)
		case NotBreaching:
			on = bad >= int(p.Points)
		case Breaching:
			on = bad+missing >= int(p.Points)
		case Ignore:
			if bad >= int(p.Points) {
				on = true
			} else if bad+missing < int(p.Points) {
				on = false
			}
		}
		end := (i + 1) * w
		if on && !was {
			since = end
			out = append(out, fmt.Sprintf("on %d", end))
		} else if was && !on {
			first := since - int64(p.Periods)*w
			var have []Match
			for _, m := range ms {
				if m.Time < end && m.Time >= first {
					have = append(have, m)
				}
			}
			line := fmt.Sprintf("off %d", since)
			if !slices.ContainsFunc(have, func(m Match) bool { return m.Time < since }) { // all was missing: the newest before
				before := slices.IndexFunc(ms, func(m Match) bool { return m.Time >= first })
				if before < 0 {
					before = len(ms)
				}
				have = append([]Match{ms[before-1]}, have...)
			}
			for _, m := range have {
				line += fmt.Sprintf(" %x", m.ID[:3])
			}
			out = append(out, line)
		}
	}
	return out
}

func drawTumbling(t *rapid.T) Policy {
	p := Policy{
		Kind: Tumbling, N: rapid.IntRange(0, 3).Draw(t, "n"), Within: time.Duration(rapid.IntRange(1, 5).Draw(t, "period")),
		Periods: uint16(rapid.IntRange(1, 4).Draw(t, "periods")), Under: rapid.Bool().Draw(t, "under"),
		Missing: Missing(rapid.IntRange(0, 3).Draw(t, "missing")),
	}
	p.Points = uint16(rapid.IntRange(1, int(p.Periods)).Draw(t, "points"))
	return p
}

// TestTumblingIsTheNaiveAlarm takes matches in any order, twice, with
// rollbacks, replays and restarts in between, and compares with a walk over
// all periods.
func TestTumblingIsTheNaiveAlarm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawTumbling(t)
		open := func() *Store {
			s, err := NewStore(Options{Shards: 1, ForgetAfter: 1 << 40})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		var (
			taken      []Match
			got, kept0 []string
			told       = map[ID]string{}
			disk       = map[string]string{}
			wm         = int64(-100)
			gone       = map[ID]bool{}
		)
		drain := func() {
			s.Drain(func(c *Change) {
				ids := ""
				for i, m := range c.Members {
					ids += fmt.Sprintf(" %x", m.ID[:3])
					if gone[m.ID] {
						t.Fatalf("%x was forgotten before", m.ID[:3])
					}
					if c.Type == Forgotten || c.Type == Resolved && i < len(c.Members)-c.Kept {
						gone[m.ID] = true
					}
				}
				switch c.Type {
				case Fired:
					got = append(got, fmt.Sprintf("on %d", c.FiredAt))
				case Resolved:
					got = append(got, fmt.Sprintf("off %d%s", c.FiredAt, ids))
				default: // what is told between these is not of interest here
				}
				told[c.Serial] = ids
			})
		}
		commit := func() {
			drain()
			s.Dirty(func(key, state []byte) { disk[string(key)] = string(state) })
			s.Commit()
			kept0 = slices.Clone(got)
		}
		base := int64(0)
		s.Advance(wm, true)
		commit()
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 19).Draw(t, "op"); op {
			case 0, 1, 2:
				wm = max(wm, base+int64(rapid.IntRange(-4, 8).Draw(t, "ahead")))
				s.Advance(wm, true)
			case 3:
				base += int64(rapid.IntRange(1, 30).Draw(t, "forward"))
			case 4:
				commit()
			case 5:
				commit()
				before := dump(s)
				s.Observe(&Match{Key: []byte("k"), Policy: p, Time: base + 3, ID: ID{9, 9, 9}})
				s.Advance(wm+100, true)
				s.Drain(func(*Change) {})
				s.Rollback()
				if d := gocmp.Diff(before, dump(s)); d != "" {
					t.Fatalf("memory after a rollback (-before +after):\n%s", d)
				}
			case 6:
				commit()
				s = open()
				for k, v := range disk {
					if err := s.Load([]byte(k), []byte(v)); err != nil {
						t.Fatal(err)
					}
				}
				s.Advance(wm, false)
				s.Commit()
			default:
				at := base + int64(rapid.IntRange(-4, 10).Draw(t, "time"))
				twin := rapid.IntRange(0, 2).Draw(t, "twin")
				m := Match{Key: []byte("k"), Policy: p, Time: at, ID: ID{byte(at), byte(at >> 8), byte(twin)}}
				out := s.Observe(&m)
				known := slices.ContainsFunc(taken, func(x Match) bool { return x.ID == m.ID })
				if want := at < wm; out == Late != (want && (!known || out != Duplicate)) || out == Duplicate && !known {
					t.Fatalf("match at %d, watermark %d, known %v: outcome %d", at, wm, known, out)
				}
				if out == Counted {
					taken = append(taken, m)
				}
			}
			check(t, s)
		}
		wm = base + 200
		s.Advance(wm, true)
		commit()
		slices.SortFunc(taken, byTime)
		if d := gocmp.Diff(naiveAlarms(&p, taken, wm), got); d != "" {
			t.Fatalf("%+v (-naive +store):\n%s\n%v", p, d, kept0)
		}
	})
}

func TestTumblingOnlyFallsSilentWhileLive(t *testing.T) {
	p := Policy{Kind: Tumbling, N: 1, Within: 10, Periods: 2, Points: 2, Under: true, Missing: Breaching}
	s := newStore(t, Options{ForgetAfter: 100})
	observe(t, s, "k", 5, 1, p)
	s.Advance(60, false)
	if got := drained(s); got != nil {
		t.Errorf("not live, and yet %q", got)
	}
	s.Advance(60, true)
	if d := gocmp.Diff([]string{"k Fired 5-5 n1 [1]"}, drained(s)); d != "" {
		t.Errorf("fires (-want +got):\n%s", d)
	}
	s.Advance(106, true)
	if d := gocmp.Diff([]string{"k Resolved 5-5 n1 [1]"}, drained(s)); d != "" || s.Len() != 0 {
		t.Errorf("is given up (-want +got):\n%s", d)
	}
}

func TestTumblingStaysBounded(t *testing.T) {
	p := Policy{Kind: Tumbling, N: 3, Within: 10, Periods: 3, Points: 1}
	s := newStore(t, Options{MaxMembers: 8})
	most := 0
	for i := range int64(5000) {
		s.Observe(match("k", i, i, p))
		s.Advance(i-20, true)
		s.Drain(func(*Change) {})
		most = max(most, s.Stats().Members)
	}
	if most > 60 {
		t.Errorf("%d members are remembered", most)
	}
	s.Advance(1<<50, true)
	got := drained(s)
	if !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "k Resolved 0-4997 ") }) || s.Len() != 0 {
		t.Errorf("at the end %q", got)
	}
}
