package kafka

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Members come, go, crash and are cut off for a while: every record is committed
// exactly once, in order.
func TestSharedStorm(t *testing.T) {
	const partitions, each = 6, 150
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	c := sharedCluster(t, partitions)
	f := follow(t, c)
	o := sharedOptions(c, "a")
	o.SessionTimeout, o.DrainWithin, o.MaxPollRecords = 1200*time.Millisecond, 200*time.Millisecond, 20
	type running struct {
		*member
		stop func()
	}
	var members []running
	n := 0
	start := func() {
		n++
		m := join(t, fmt.Sprint("m", n), o)
		members = append(members, running{m, m.run()})
	}
	var heals []func()
	// The fake broker forgets members that wait for one that is away for longer
	// than their own session lasts: so nobody waits when somebody goes.
	away := func(m *member) (heal func()) {
		t.Helper()
		_, err := c.WaitGroupInfo(t.Context(), "trailtide", func(g *kfake.GroupInfo) bool {
			return g.State == "Stable" && g.NumAssigned() == partitions
		})
		if err != nil {
			t.Fatal(err)
		}
		id := m.id()
		heal = cut(c, groupKeys, id)
		_, err = c.WaitGroupInfo(t.Context(), "trailtide", func(g *kfake.GroupInfo) bool {
			return !slices.ContainsFunc(g.Members, func(o kfake.GroupMember) bool { return o.MemberID == id })
		})
		if err != nil {
			t.Fatal(err)
		}
		return heal
	}
	f.why = func() {
		info := c.GroupInfo("trailtide")
		t.Logf("group: %s, generation %d, %+v", info.State, info.Epoch, info.Members)
		for p, o := range info.Commits["a"] {
			t.Logf("a/%d stands at %d", p, o.Offset)
		}
		for _, m := range members {
			m.mu.Lock()
			t.Logf("%s (%s): read %d, kept %d, assigned %v, draining %v, health %v, logs %v",
				m.name, m.id(), len(m.read), len(m.kept), m.s.Assigned(), m.quiet(), m.s.Health(), m.logs.All())
			m.s.mu.Lock()
			for tp, p := range m.s.assigned {
				t.Logf("%s: %+v next %+v", tp, *p, m.s.next[tp])
			}
			m.s.mu.Unlock()
			m.mu.Unlock()
		}
	}
	start()
	start()
	var writer sync.WaitGroup
	defer writer.Wait()
	cl := kclient(t, c)
	const rounds = 9
	for round := range rounds {
		writer.Go(func() {
			for p := range int32(partitions) {
				produce(t, cl, "a", p, round*each/rounds, (round+1)*each/rounds-1)
			}
		})
		before := len(f.all)
		switch pick := members[rnd.IntN(len(members))]; {
		case round%3 == 0 || len(members) < 2:
			start()
		case round%3 == 1: // leaves
			pick.stop()
			pick.close()
			members = slices.DeleteFunc(members, func(m running) bool { return m.member == pick.member })
		case round%2 == 0: // crashes
			pick.stop()
			t.Cleanup(away(pick.member))
			members = slices.DeleteFunc(members, func(m running) bool { return m.member == pick.member })
		default: // is cut off for longer than its session, and goes on meanwhile
			heals = append(heals, away(pick.member))
		}
		writer.Wait()
		f.until(min(before+partitions, (round+1)*each/rounds*partitions))
	}
	for _, heal := range heals {
		heal()
	}
	f.until(partitions * each)
	for _, m := range members {
		m.stop()
	}
	for p := range int32(partitions) {
		f.want("a", p, 0, each-1)
	}
}

// holding has a read everything without committing it, and b join.
func holding(t *testing.T, o Options, a *member, read int) (b *member, stopB func()) {
	t.Helper()
	a.hold = func(string) bool { return true }
	a.untilRead(read)
	b = join(t, "b", o)
	return b, b.run()
}

// What was handed out of a partition is committed before another member gets
// it; what stays is read and committed meanwhile.
func TestSharedDrain(t *testing.T) {
	c := sharedCluster(t, 4)
	cl := kclient(t, c)
	for p := range int32(4) {
		produce(t, cl, "a", p, 0, 9)
	}
	f := follow(t, c)
	o := sharedOptions(c, "a")
	o.SessionTimeout, o.DrainWithin = 25*time.Second, 20*time.Second
	a := join(t, "a", o)
	b, stopB := holding(t, o, a, 40)
	defer stopB()
	a.until("partitions to go", func() bool { return len(a.quiet()) == 2 })
	going := a.quiet()
	a.hold = func(p string) bool { return slices.Contains(going, p) }
	a.until("what stays to be committed", func() bool { return len(a.kept) == 20 })

	// Reading and committing of what stays goes on.
	for p := range int32(4) {
		produce(t, cl, "a", p, 10, 19)
	}
	began := time.Now()
	a.until("what stays to be read and committed", func() bool { return len(a.read) == 60 && len(a.kept) == 20 })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("reading what stays took %v while others were drained", took)
	}
	if got := a.quiet(); !slices.Equal(got, going) {
		t.Fatalf("draining %v, want %v still", got, going)
	}
	if got := a.s.Assigned(); len(got) != 4 {
		t.Errorf("assigned %v while draining", got)
	}
	if b.reads.Load() == 0 || len(b.s.Assigned()) != 0 {
		t.Errorf("the other has %v before they are given up, and has read %d batches", b.s.Assigned(), b.reads.Load())
	}
	if err := b.s.Health(); err != nil {
		t.Errorf("health of a member without partitions: %v", err)
	}

	a.hold = nil
	a.until("partitions to be given up", func() bool { return len(a.lost) == 2 })
	if a.refused != 0 {
		t.Errorf("%d records were refused", a.refused)
	}
	f.until(80)
	stopB()
	for p := range int32(4) {
		f.want("a", p, 0, 19)
	}
	if len(b.read) != 20 {
		t.Errorf("the other has read %d records, want 20", len(b.read))
	}
}

// What is not committed within DrainWithin is refused, and read by the other.
func TestSharedDrainDeadline(t *testing.T) {
	c := sharedCluster(t, 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 9)
	produce(t, cl, "a", 1, 0, 9)
	f := follow(t, c)
	o := sharedOptions(c, "a")
	o.DrainWithin = 300 * time.Millisecond
	a := join(t, "a", o)
	b, stopB := holding(t, o, a, 20)
	defer stopB()
	a.until("a partition to be lost", func() bool { return len(a.lost) == 1 })
	if a.refused != 10 {
		t.Errorf("%d records were taken back, want 10", a.refused)
	}
	if held, gone := a.s.Holding(a.kept[0].partition, a.kept[0].position), a.s.Holding(a.lost[0], a.kept[0].position); !held || gone {
		t.Errorf("holding %v, lost %v", held, gone)
	}
	a.hold = nil
	a.until("the rest to be committed", func() bool { return len(a.kept) == 0 })
	f.until(20)
	stopB()
	f.want("a", 0, 0, 9)
	f.want("a", 1, 0, 9)
	if len(b.read) != 10 {
		t.Errorf("the other has read %d", len(b.read))
	}
}

// zombie has a read 20 records without committing them, lose its partitions
// while it is away, and others commit what it has read.
func zombie(t *testing.T, away func(c *kfake.Cluster, memberID string) (back func())) (a *member, f *copied, write func(first, last int), back func()) {
	c := sharedCluster(t, 2)
	cl := kclient(t, c)
	write = func(first, last int) {
		produce(t, cl, "a", 0, first, last)
		produce(t, cl, "a", 1, first, last)
	}
	write(0, 9)
	f = follow(t, c)
	o := sharedOptions(c, "a")
	o.SessionTimeout, o.DrainWithin = 500*time.Millisecond, 200*time.Millisecond
	a = join(t, "a", o)
	a.hold = func(string) bool { return true }
	a.untilRead(20)
	old := a.id()
	heal := away(c, old)
	b := join(t, "b", o)
	stopB := b.run()
	write(10, 19)
	f.until(40)
	stopB()
	b.close()
	return a, f, write, heal
}

// A member that was put out while it was stopped comes back with results of
// before: they are refused, and it goes on where the others have stopped.
func TestSharedZombie(t *testing.T) {
	for _, tt := range []struct {
		name string
		away func(c *kfake.Cluster, memberID string) (back func())
		told string
	}{
		// It hears of it by its heartbeat.
		{"lost", func(c *kfake.Cluster, id string) func() { return cut(c, groupKeys, id) }, "partitions lost"},
		// It hears of a rebalance, and is put out before it has joined: it gets
		// the same partitions under another member ID, without having lost any.
		{"in silence", stall, "put this worker out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, f, write, back := zombie(t, tt.away)
			stale := a.pending0()
			before := a.id()
			back()
			a.until("membership", func() bool {
				id := a.id()
				return id != "" && id != before && len(a.s.Assigned()) == 2
			})
			if offsets, lost := a.s.Claim(stale); offsets != nil || len(lost) != 2 {
				t.Errorf("results of before: claimed %+v, lost %v", offsets, lost)
			}
			for name, p := range stale {
				if a.s.Holding(name, p) {
					t.Errorf("holding %s", name)
				}
			}
			a.until("the loss to be told", func() bool { return len(a.lost) >= 2 })
			if len(a.kept) > 0 || a.refused < 20 {
				t.Errorf("%d results were taken back, %d are kept", a.refused, len(a.kept))
			}
			a.hold, a.read = nil, nil
			write(20, 29)
			a.until("new records", func() bool { return len(a.read) >= 20 && len(a.kept) == 0 })
			f.until(60)
			f.want("a", 0, 0, 29)
			f.want("a", 1, 0, 29)
			if a.logged(tt.told) == 0 {
				t.Errorf("logs: %v", a.logs.All())
			}
			if len(a.read) != 20 || slices.Contains(a.read, value("a", 0, 19)) {
				t.Errorf("read %v after it came back", a.read)
			}
		})
	}
}

// pending0 are the newest positions of everything that was read.
func (m *member) pending0() map[string][]byte {
	hold := m.hold
	m.hold = nil
	defer func() { m.hold = hold }()
	return m.pending()
}

// Between the answer to a join under a new ID and the client's callbacks nothing
// is claimed: the new membership does not cover what was read under the old one.
func TestOwnershipGoesOn(t *testing.T) {
	o := ownership{owner: 1, member: "m", generation: 5}
	for _, tt := range []struct {
		member     string
		generation int32
		dynamic    bool
		static     bool
	}{
		{"m", 5, true, true},
		{"m", 6, true, true},
		{"m", 7, true, false}, // a static member that missed a rebalance is not put out
		{"n", 5, false, false},
		{"n", 6, false, false},
		{"", 5, false, false},
		{"m", -1, false, false},
	} {
		if got := o.goesOn(tt.member, tt.generation, false); got != tt.dynamic {
			t.Errorf("%+v: dynamic %v", tt, got)
		}
		if got := o.goesOn(tt.member, tt.generation, true); got != tt.static {
			t.Errorf("%+v: static %v", tt, got)
		}
	}
}

// A static member that restarts within its session keeps its partitions.
func TestSharedStaticMember(t *testing.T) {
	c := sharedCluster(t, 4)
	cl := kclient(t, c)
	f := follow(t, c)
	o := sharedOptions(c, "a")
	o.SessionTimeout = 10 * time.Second
	other := join(t, "other", o)
	defer other.run()()
	o.InstanceID = "one"
	a := join(t, "a", o)
	stop := a.run()
	waitFor(t, func() bool { return len(a.s.Assigned()) == 2 && len(other.s.Assigned()) == 2 })
	for p := range int32(4) {
		produce(t, cl, "a", p, 0, 9)
	}
	f.until(40)
	mine, theirs := a.s.Assigned(), other.s.Assigned()
	taken := func() int {
		other.mu.Lock()
		defer other.mu.Unlock()
		return len(other.lost)
	}
	before := taken()
	stop()
	a.close()
	for p := range int32(4) {
		produce(t, cl, "a", p, 10, 19)
	}
	again := join(t, "again", o)
	again.untilRead(20)
	f.until(80)
	if got := again.s.Assigned(); !slices.Equal(got, mine) {
		t.Errorf("assigned %v after the restart, %v before", got, mine)
	}
	if got := other.s.Assigned(); !slices.Equal(got, theirs) {
		t.Errorf("the other has %v, %v before", got, theirs)
	}
	if n := taken() - before; n != 0 {
		t.Errorf("the other has given up %d meanwhile", n)
	}
	for p := range int32(4) {
		f.want("a", p, 0, 19)
	}
}
