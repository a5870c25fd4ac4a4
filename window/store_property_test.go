package window

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// told is what a caller knows who follows Drain and keeps what was committed.
type told struct {
	exact     bool                    // within bounds a forgotten match may be taken for a new one when it comes again
	eps       map[string]modelEpisode // by key and serial
	over      []modelEpisode          // resolved absences, whose serial may come again
	forgotten map[string]bool         // key and ID
}

func newTold(exact bool) *told {
	return &told{exact: exact, eps: map[string]modelEpisode{}, forgotten: map[string]bool{}}
}

func (to *told) clone() *told {
	return &told{exact: to.exact, eps: maps.Clone(to.eps), over: slices.Clone(to.over), forgotten: maps.Clone(to.forgotten)}
}

func (to *told) take(c *Change) error {
	name := fmt.Sprintf("%s/%x", c.Key, c.Serial)
	old, known := to.eps[name]
	ep := modelEpisode{
		Key: string(c.Key), Serial: c.Serial, FiredAt: c.FiredAt, First: c.First, Last: c.Last,
		Count: c.Count, Values: c.Values, Capped: c.Capped,
	}
	for _, m := range c.Members {
		ep.IDs = append(ep.IDs, m.ID)
	}
	open := known && !old.Resolved
	switch c.Type {
	case Fired:
		if open || known && c.Policy.Kind != Absence {
			return fmt.Errorf("%s fired twice", name)
		}
		to.eps[name] = ep
	case Updated:
		if !open {
			return fmt.Errorf("%s updated but not open", name)
		}
		to.eps[name] = ep
	case Resolved:
		if !open {
			return fmt.Errorf("%s resolved but not open", name)
		}
		ep.Resolved = true
		if c.Policy.Kind == Absence {
			delete(to.eps, name)
			to.over = append(to.over, ep)
		} else {
			to.eps[name] = ep
		}
	case Merged:
		into, ok := to.eps[fmt.Sprintf("%s/%x", c.Key, c.Into)]
		if !open || !ok || into.Resolved || into.First > ep.First {
			return fmt.Errorf("%s merged into %x", name, c.Into)
		}
		delete(to.eps, name)
	case Forgotten:
		if c.Policy.Kind == Absence {
			return nil
		}
		for _, m := range c.Members {
			id := fmt.Sprintf("%s/%x", c.Key, m.ID)
			if to.forgotten[id] && to.exact {
				return fmt.Errorf("%s forgotten twice", id)
			}
			to.forgotten[id] = true
		}
		return nil
	default:
		return fmt.Errorf("unexpected change %d", c.Type)
	}
	if len(c.Members) == 0 || c.Members[0].Time < c.First || c.Members[len(c.Members)-1].Time > c.Last {
		return fmt.Errorf("%s: members out of its time", name)
	}
	for _, m := range c.Members {
		if to.exact && to.forgotten[fmt.Sprintf("%s/%x", c.Key, m.ID)] {
			return fmt.Errorf("%s names a forgotten member", name)
		}
	}
	return nil
}

func (to *told) episodes() []modelEpisode {
	out := slices.Clone(to.over)
	for _, ep := range to.eps {
		out = append(out, ep)
	}
	sortEpisodes(out)
	return out
}

// dump is all of a store's memory that matters, in words.
func dump(s *Store) string {
	var b bytes.Buffer
	var lines []string
	for _, sh := range s.shards {
		sh.each(func(_ uint32, e *entry) {
			p := sh.policies[e.policy]
			pends := ""
			for _, ep := range e.episodes() {
				pends += fmt.Sprintf(" %d", ep.pend)
			}
			lines = append(lines, fmt.Sprintf("%q %x cap %d pend%s", e.key, appendState(nil, &p, e), cap(e.recs), pends))
		})
	}
	slices.Sort(lines)
	fmt.Fprintf(&b, "watermark %d stats %+v total %d %d\n", s.watermark, s.Stats(), s.keys, s.bytes)
	for _, l := range lines {
		fmt.Fprintln(&b, l)
	}
	fmt.Fprintf(&b, "journal %d %d\n", s.journal.base, s.journal.next)
	for _, h := range s.journal.items {
		fmt.Fprintf(&b, "%d %v %v %v %v %q %x %x", h.typ, h.void, h.notify, h.returned, h.policy, h.key, h.serial, h.into)
		if h.last != nil {
			fmt.Fprintf(&b, " %+v", *h.last)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

// check recounts what the store counts along the way.
func check(t fataler, s *Store) {
	t.Helper()
	var want Stats
	got := s.Stats()
	want.Evictions, want.Refused, want.Conflicts = got.Evictions, got.Refused, got.Conflicts
	for _, sh := range s.shards {
		sh.each(func(n uint32, e *entry) {
			want.Keys++
			want.Members += len(e.recs)
			want.Bytes += e.size()
			p := &sh.policies[e.policy]
			if m, _ := lookup(sh, e.hash, e.key); m != n {
				t.Fatalf("key %q is not found where it is", e.key)
			}
			if !sound(p, e) {
				t.Fatalf("key %q is not sound", e.key)
			}
			if due := sh.nextDue(e, s.opts.ForgetAfter); e.due > due {
				t.Fatalf("key %q is due at %d, but looked at again at %d", e.key, due, e.due)
			}
			h := sh.closing
			if p.live() {
				h = sh.silence
			}
			if !slices.ContainsFunc(h, func(x timer) bool { return x.n == n && sh.holds(x) }) {
				t.Fatalf("key %q has no timer", e.key)
			}
		})
	}
	if got != want || s.keys != want.Keys || s.bytes != want.Bytes {
		t.Fatalf("stats are %+v (%d keys, %d bytes), counted %+v", got, s.keys, s.bytes, want)
	}
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// step is one thing done to a store.
type step struct {
	match *Match // nil: advance or drain
	wm    int64
	live  bool
	drain bool
}

// run drives a store and the model through the same steps.
type run struct {
	t     *rapid.T
	opts  Options
	s     *Store
	mo    *model
	told  *told
	disk  map[string]string
	exact bool // no bound is in reach

	// As the interval began.
	mo0   *model
	told0 *told
	dump0 string
	steps []step
}

func newRun(t *rapid.T, o Options, exact bool) *run {
	s, err := NewStore(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{t: t, opts: o, s: s, mo: newModel(), told: newTold(exact), disk: map[string]string{}, exact: exact}
	r.begin()
	return r
}

func (r *run) begin() {
	r.mo0, r.told0, r.dump0, r.steps = r.mo.clone(), r.told.clone(), dump(r.s), nil
}

func (r *run) do(st step) {
	switch {
	case st.match != nil:
		got, want := r.s.Observe(st.match), r.mo.observe(*st.match, r.opts.ForgetAfter)
		if got != want && (r.exact || want == Late || got == Late && want != Duplicate && want != Conflict) {
			r.t.Fatalf("observing %+v: outcome %d, want %d", *st.match, got, want)
		}
	case st.drain:
		r.drain()
	default:
		r.s.Advance(st.wm, st.live)
		r.mo.advance(st.wm, st.live)
	}
	r.steps = append(r.steps, st)
	check(r.t, r.s)
}

func (r *run) drain() {
	r.s.Drain(func(c *Change) {
		if err := r.told.take(c); err != nil {
			r.t.Fatalf("%v: %+v", err, *c)
		}
	})
	got, want := r.told.episodes(), r.mo.episodes()
	if !r.exact {
		got, want = bounded(r.t, got, want)
	}
	if d := gocmp.Diff(want, got); d != "" {
		r.t.Fatalf("episodes at watermark %d (-want +got):\n%s", r.mo.wm, d)
	}
}

// bounded takes away what a store with bounds may show otherwise, after it has
// looked whether that is right.
func bounded(t *rapid.T, got, want []modelEpisode) (g, w []modelEpisode) {
	for i := range got {
		if i >= len(want) || !got[i].Capped {
			continue
		}
		for _, id := range got[i].IDs {
			if !slices.Contains(want[i].IDs, id) {
				t.Fatalf("episode %+v names a match that is not in it", got[i])
			}
		}
		if got[i].Count < len(got[i].IDs) || got[i].Values > want[i].Values {
			t.Fatalf("episode %+v counts what is not there, want %+v", got[i], want[i])
		}
		got[i].IDs, got[i].Count, got[i].Values, got[i].Capped = nil, 0, 0, false
		want[i].IDs, want[i].Count, want[i].Values = nil, 0, 0
	}
	return got, want
}

func (r *run) commit() {
	r.drain()
	r.s.Dirty(func(key, state []byte) {
		if state == nil {
			if _, ok := r.disk[string(key)]; !ok {
				r.t.Fatalf("deleting key %q that was never put", key)
			}
			delete(r.disk, string(key))
		} else {
			r.disk[string(key)] = string(state)
		}
	})
	r.s.Commit()
	full := map[string]string{}
	for _, sh := range r.s.shards {
		sh.each(func(_ uint32, e *entry) {
			full[e.key] = string(appendState(nil, &sh.policies[e.policy], e))
		})
	}
	if d := gocmp.Diff(full, r.disk); d != "" {
		r.t.Fatalf("what was made durable is not what is in memory (-memory +durable):\n%s", d)
	}
	r.begin()
}

func (r *run) rollback(replay bool) {
	before := dump(r.s)
	r.s.Rollback()
	if d := gocmp.Diff(r.dump0, dump(r.s)); d != "" {
		r.t.Fatalf("memory after a rollback (-before +after):\n%s", d)
	}
	check(r.t, r.s)
	steps := r.steps
	r.mo, r.told = r.mo0.clone(), r.told0.clone()
	r.steps = nil
	if !replay {
		return
	}
	for _, st := range steps {
		r.do(st)
	}
	if d := gocmp.Diff(before, dump(r.s)); d != "" {
		r.t.Fatalf("memory after a rollback and a replay (-first +second):\n%s", d)
	}
}

func (r *run) restart(shards int) {
	r.commit()
	o := r.opts
	o.Shards = shards
	s, err := NewStore(o)
	if err != nil {
		r.t.Fatal(err)
	}
	for k, v := range r.disk {
		if err := s.Load([]byte(k), []byte(v)); err != nil {
			r.t.Fatal(err)
		}
	}
	s.Advance(r.mo.wm, false)
	s.Drain(func(c *Change) { r.t.Fatalf("loading made a change: %+v", *c) })
	s.Commit()
	r.s = s
	check(r.t, s)
	r.begin()
}

func drive(t *rapid.T, o Options, policies []Policy, exact bool) {
	r := newRun(t, o, exact)
	base := int64(rapid.IntRange(-100, 100).Draw(t, "base"))
	for range rapid.IntRange(1, 150).Draw(t, "steps") {
		switch op := rapid.IntRange(0, 29).Draw(t, "op"); op {
		case 0, 1:
			r.do(step{wm: base + int64(rapid.IntRange(-6, 3).Draw(t, "ahead")), live: rapid.Bool().Draw(t, "live")})
		case 2:
			base += int64(rapid.IntRange(1, 15).Draw(t, "forward"))
		case 3, 4, 5:
			r.do(step{drain: true})
		case 6:
			r.commit()
		case 7:
			r.rollback(rapid.Bool().Draw(t, "replay"))
		case 8:
			if rapid.Bool().Draw(t, "restart") {
				r.restart(1 << rapid.IntRange(0, 2).Draw(t, "shards"))
			}
		default:
			k := rapid.IntRange(0, len(policies)-1).Draw(t, "key")
			at := base + int64(rapid.IntRange(-6, 12).Draw(t, "time"))
			twin := rapid.IntRange(0, 2).Draw(t, "twin")
			m := &Match{
				Key: fmt.Append(nil, "key ", k), Policy: policies[k], Time: at,
				ID: ID{byte(at * 31), byte(twin * 101), byte(at >> 8)}, Sum: 1, Value: valueOf(&policies[k], at, int64(twin)),
			}
			if rapid.IntRange(0, 19).Draw(t, "bytes") == 0 {
				m.Sum = 2
			}
			r.do(step{match: m})
		}
	}
	r.do(step{drain: true})
	r.do(step{wm: base + 1000, live: true})
	r.commit()
	if keys := r.s.Len(); keys != 0 {
		t.Fatalf("%d keys are left at the end of time", keys)
	}
}

// valueOf is the value of a match, the same whenever it comes.
func valueOf(p *Policy, at, twin int64) uint64 {
	x := at*7 + twin*3
	switch {
	case p.tagged():
		return []uint64{1, 2, 4, 8, 3, 0, 6}[uint64(x)%7]
	case p.Kind == Sum:
		return uint64(x) % 4
	case p.valued() && p.Kind != Distinct && p.Kind != PeakDistinct:
		return uint64(int64(uint64(x)%7) - 2)
	}
	return uint64(x) % 4
}

func drawBounds(t *rapid.T) Bounds {
	number := func(name string) int64 { return int64(rapid.IntRange(-1, 5).Draw(t, name)) }
	b := Bounds{Set: BoundSet(rapid.IntRange(1, 31).Draw(t, "bounds"))}
	if b.Set&(HasMin|HasMax|HasNot) == 0 {
		b.Set |= HasNot
	}
	if b.Set&HasMin == 0 {
		b.Set &^= MinOpen
	} else {
		b.Min = number("min")
	}
	if b.Set&HasMax == 0 {
		b.Set &^= MaxOpen
	} else {
		b.Max = number("max")
	}
	if b.Set&HasNot != 0 {
		b.Not = number("not")
	}
	return b
}

func drawPolicies(t *rapid.T, kinds ...Kind) []Policy {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Policy {
		p := Policy{
			Kind:    rapid.SampledFrom(kinds).Draw(t, "kind"),
			N:       rapid.IntRange(1, 4).Draw(t, "n"),
			Within:  time.Duration(rapid.IntRange(1, 5).Draw(t, "within")),
			Realert: time.Duration(rapid.IntRange(0, 3).Draw(t, "realert")),
		}
		if p.Kind != Absence {
			p.Depth = uint8(max(0, rapid.IntRange(-4, 2).Draw(t, "depth")))
		}
		switch {
		case p.Kind == Sum:
			p.Bounds = Bounds{Set: HasMin, Min: int64(rapid.IntRange(1, 8).Draw(t, "sum"))}
		case p.peaks() || p.trailing():
			p.Bounds = drawBounds(t)
		}
		if p.Kind == Percentile {
			p.Percent = uint32(rapid.IntRange(1, 100_00).Draw(t, "percent"))
		}
		return p
	}), 1, 3).Draw(t, "policies")
}

func TestStoreIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Shards: 1 << rapid.IntRange(0, 2).Draw(t, "shards"), ForgetAfter: 20}
		drive(t, o, drawPolicies(t, Count, Distinct, Absence, Together, InOrder, Sum, PeakCount, PeakDistinct, PeakTags, PeakSum, Average, Percentile), true)
	})
}

func TestStoreWithFewMembersFiresAllTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Shards: 1, ForgetAfter: 20, MaxMembers: rapid.IntRange(1, 9).Draw(t, "members")}
		drive(t, o, drawPolicies(t, Count, Distinct, Together, InOrder, PeakCount, PeakDistinct, PeakTags), false)
	})
}
