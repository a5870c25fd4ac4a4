package lease

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// in runs f in a bubble with a cluster of n shards.
func in(t *testing.T, n int, f func(t *testing.T, cl *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(t, Listing{Shards: open(n)})
		defer cl.stop()
		f(t, cl)
	})
}

func (cl *cluster) holds(w *worker, n int) func() bool {
	return func() bool { return len(w.keys()) == n }
}

func foreign(shard, owner string, counter int64, at string) leasetest.Item {
	i := newRow("", Shard{ID: shard}, at).item()
	i[attrCounter] = num(counter)
	if owner != "" {
		i[attrOwner] = str(owner)
	}
	return i
}

func TestDeadOwnersLeaseIsTakenAFailoverTimeAfterItWasSeen(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		i := foreign(shardID(0), "dead", 7, "55")
		i["leaseTimeout"] = str("1999-01-01T00:00:00Z") // a time in the row says nothing
		cl.plant(i)
		w := cl.start()
		waited := cl.until(time.Minute, "the dead worker's lease", cl.holds(w, 1))
		if waited < 10*time.Second || waited > 16*time.Second {
			t.Errorf("taken after %v; want 10 s and a round or two", waited)
		}
		r := cl.row(shardID(0))
		if r.owner != w.ID() || r.counter != 8 || r.switches != 1 || r.checkpoint.Sequence != "55" {
			t.Errorf("row is %+v", r)
		}
		if got := text(cl.db.Items(testTable)[shardID(0)], "leaseTimeout"); got == "" {
			t.Error("an unknown attribute was removed")
		}
	})
}

func TestRenewedLeaseIsNeverTaken(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		cl.plant(foreign(shardID(0), "java", 1, "55"))
		w := cl.start()
		for counter := int64(2); counter < 20; counter++ {
			cl.pass(9 * time.Second)
			cl.plant(foreign(shardID(0), "java", counter, "55"))
		}
		if len(w.keys()) != 0 {
			t.Error("a lease was taken whose counter moved")
		}
	})
}

func TestLeaseThatAnotherTookEndsAtTheNextRenewal(t *testing.T) {
	t.Run("as the rules are", func(t *testing.T) { testTaken(t, 1) })
	t.Run("by hand, with the same counter", func(t *testing.T) { testTaken(t, 0) })
}

func testTaken(t *testing.T, raised int64) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		w := cl.start()
		cl.until(time.Minute, "the lease", cl.holds(w, 1))
		l := w.lease(shardID(0))
		i := foreign(shardID(0), "thief", cl.row(shardID(0)).counter+raised, "1000")
		cl.db.OnChange(nil) // the thief breaks the rules
		cl.plant(i)
		cl.until(5*time.Second, "its end", func() bool { return !l.Valid() && len(w.keys()) == 0 })
		l.Checkpoint("2000", 0)
		cl.pass(5 * time.Second)
		if diff := cmp.Diff(i, cl.db.Items(testTable)[shardID(0)], cmp.Comparer(sameItem)); diff != "" {
			t.Errorf("the thief's lease was written (-want +got):\n%s", diff)
		}
		if got := l.held().Checkpoint.Sequence; got == "2000" {
			t.Error("a checkpoint was recorded after the end")
		}
	})
}

func sameItem(a, b leasetest.Item) bool {
	x, _, _ := parseRow(a)
	y, _, _ := parseRow(b)
	return cmp.Equal(x, y, cmp.AllowUnexported(row{}, identity{})) && len(a) == len(b)
}

func TestLeaseThatCannotBeRenewedEndsBeforeOthersTakeIt(t *testing.T) {
	in(t, 6, func(t *testing.T, cl *cluster) {
		a := cl.start()
		cl.until(time.Minute, "all leases", cl.holds(a, 6))
		b := cl.start()
		cl.until(time.Minute, "balance", func() bool { return balanced(6, a, b) })
		lost := a.lease(a.keys()[0])
		a.cut()
		var ended, taken time.Time
		cl.until(time.Minute, "take-over", func() bool {
			if ended.IsZero() && !lost.Valid() {
				ended = time.Now()
			}
			if taken.IsZero() && b.lease(lost.Key()) != nil {
				taken = time.Now()
			}
			return !taken.IsZero() && len(b.keys()) == 6
		})
		if ended.IsZero() || !ended.Before(taken) || lost.ctx.Err() == nil {
			t.Errorf("ended at %v, taken at %v, context: %v", ended, taken, lost.ctx.Err())
		}
	})
}

func TestWokenWorkersWritesAreRefused(t *testing.T) {
	in(t, 4, func(t *testing.T, cl *cluster) {
		a := cl.start()
		cl.until(time.Minute, "all leases", cl.holds(a, 4))
		cl.pass(8 * time.Second)
		// Its calls arrive after half a minute; cl.check looks at every write.
		a.freeze(30 * time.Second)
		b := cl.start()
		cl.until(29*time.Second, "take-over", cl.holds(b, 4))
		before := cl.row(shardID(0)).checkpoint
		cl.pass(20 * time.Second)
		if r := cl.row(shardID(0)); !before.before(r.checkpoint) {
			t.Errorf("the new owner's checkpoint stands at %v, after %v", r.checkpoint, before)
		}
		a.heal()
		cl.until(time.Minute, "balance", func() bool { return balanced(4, a, b) })
	})
}

func TestBlockedReaderKeepsItsLease(t *testing.T) {
	in(t, 3, func(t *testing.T, cl *cluster) {
		reg := prometheus.NewRegistry()
		c, err := Open(t.Context(), Options{Table: cl.db.Client(nil), TableName: testTable, Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := c.Sync(ctx, cl.listing); err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int32
		release, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_ = c.Run(ctx, func(ctx context.Context, l *Lease) {
				calls.Add(1)
				<-release // stands for a commit that does not come
				if ctx.Err() != nil {
					t.Errorf("%s was lost: %v", l.Key(), context.Cause(ctx))
				}
			})
		}()
		time.Sleep(2 * time.Minute)
		if got := len(c.Held()); got != 3 || calls.Load() != 3 {
			t.Errorf("holds %d leases after %d takes; want 3 and 3: none from itself", got, calls.Load())
		}
		cancel()
		close(release)
		<-done
	})
}

func TestWorkerDoesNotTakeALeaseWhoseReaderHasNotLeft(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		down := atomic.Bool{}
		client := cl.db.Client(func(leasetest.Call) leasetest.Fault {
			if down.Load() {
				return leasetest.Fault{Err: errNetwork}
			}
			return leasetest.Fault{}
		})
		c, err := Open(t.Context(), Options{Table: client, TableName: testTable})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := c.Sync(ctx, cl.listing); err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int32
		leave, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_ = c.Run(ctx, func(ctx context.Context, l *Lease) {
				if calls.Add(1) == 1 {
					<-leave // deaf to its context
					return
				}
				<-l.Draining()
			})
		}()
		time.Sleep(10 * time.Second)
		down.Store(true)
		time.Sleep(30 * time.Second)
		down.Store(false)
		time.Sleep(30 * time.Second)
		cl.db.OnChange(nil)
		cl.plant(foreign(shardID(0), "", 1000, "5")) // another had it and gave it up
		time.Sleep(30 * time.Second)
		if calls.Load() != 1 {
			t.Errorf("%d readers of one shard", calls.Load())
		}
		close(leave)
		time.Sleep(30 * time.Second)
		cancel()
		<-done
		if calls.Load() != 2 {
			t.Errorf("%d calls; want the lease taken back once its reader had left", calls.Load())
		}
	})
}

func TestCheckpointRidesOnTheRenewalAndIsWrittenAtTheEnd(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		w := cl.start()
		cl.until(time.Minute, "the lease", cl.holds(w, 1))
		_, _ = cl.db.Writes()
		cl.pass(20 * time.Second)
		if asked, _ := cl.db.Writes(); asked > 6 {
			t.Errorf("%d writes in 20 s with a checkpoint each second; want one each 3.3 s", asked)
		}
		r := cl.row(shardID(0))
		if r.checkpoint.Sentinel() || r.switches != 0 {
			t.Errorf("row is %+v after many checkpoints", r)
		}
		l := w.lease(shardID(0))
		l.Checkpoint("500", 3)
		l.Checkpoint("500", 2) // back in the same record: ignored
		l.Checkpoint("60", 0)  // back: ignored
		begin := time.Now()
		w.stop()
		r = cl.row(shardID(0))
		if diff := cmp.Diff(Checkpoint{"500", 3}, r.checkpoint); diff != "" || r.owner != "" {
			t.Errorf("owner %q after the stop, checkpoint (-want +got):\n%s", r.owner, diff)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("the stop took %v", d)
		}
	})
}

func TestCheckpointVoidsWhatTheKCLMeantToCheckpoint(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		i := foreign(shardID(0), "", 7, "5")
		i["pendingCheckpoint"], i["pendingCheckpointSubSequenceNumber"] = str("6"), num(0)
		i["throughputKBps"] = boolean(true)
		cl.plant(i)
		w := cl.start()
		cl.until(time.Minute, "a checkpoint", func() bool { return cl.row(shardID(0)).checkpoint.Sequence > "5" })
		w.stop()
		after := cl.db.Items(testTable)[shardID(0)]
		if after["pendingCheckpoint"] != nil || after["pendingCheckpointSubSequenceNumber"] != nil || after["throughputKBps"] == nil {
			t.Errorf("item is %v", after)
		}
	})
}

func TestHandOverWaitsForTheReaderUpToItsDeadline(t *testing.T) {
	in(t, 2, func(t *testing.T, cl *cluster) {
		a := cl.start()
		cl.until(time.Minute, "all leases", cl.holds(a, 2))
		a.mu.Lock()
		a.stuck = true
		a.mu.Unlock()
		b := cl.start()
		waited := cl.until(time.Minute, "hand-over", func() bool { return balanced(2, a, b) })
		if waited < 10*time.Second {
			t.Errorf("handed over after %v: the reader was given no time", waited)
		}
		if waited > 18*time.Second {
			t.Errorf("handed over after %v: the deadline is 10 s", waited)
		}
	})
}

func TestDeclinedWishIsForgotten(t *testing.T) {
	in(t, 2, func(t *testing.T, cl *cluster) {
		a, b := cl.start(), cl.start()
		cl.until(time.Minute, "balance", func() bool { return balanced(2, a, b) })
		key := a.keys()[0]
		s := &store{table: cl.db.Client(nil), name: testTable, metrics: a.metrics}
		if err := s.ask(t.Context(), cl.row(key), b.ID()); err != nil {
			t.Fatal(err)
		}
		cl.until(10*time.Second, "the wish to be gone", func() bool { return cl.row(key).handOver == "" })
		if !balanced(2, a, b) || a.lease(key) == nil {
			t.Error("a worker gave away its fair share")
		}
	})
}

func TestManyNewWorkersTakeNoMoreThanTheirShares(t *testing.T) {
	in(t, 60, func(t *testing.T, cl *cluster) {
		a, b := cl.start(), cl.start()
		cl.until(time.Minute, "balance", func() bool { return balanced(60, a, b) })
		all := []*worker{a, b}
		for range 4 {
			all = append(all, cl.start())
		}
		var moved atomic.Int32
		cl.db.OnChange(func(op string, before, after leasetest.Item) {
			cl.check(op, before, after)
			if before != nil && after != nil && text(after, attrOwner) != "" && text(before, attrOwner) != text(after, attrOwner) {
				moved.Add(1)
			}
		})
		cl.until(time.Minute, "balance of six", func() bool {
			if n := min(len(a.keys()), len(b.keys())); n < 9 {
				t.Errorf("a worker was left with %d of its 10", n)
			}
			return balanced(60, all...)
		})
		if n := moved.Load(); n < 40 || n > 60 {
			t.Errorf("%d leases moved; want 40, or a few more", n)
		}
	})
}

func TestMaxLeasesLeavesTheRestToOthers(t *testing.T) {
	in(t, 12, func(t *testing.T, cl *cluster) {
		a := cl.start(func(o *Options) { o.MaxLeases = 2 })
		b, c := cl.start(), cl.start()
		cl.until(2*time.Minute, "all leases held", func() bool {
			return len(a.keys()) <= 2 && len(a.keys())+len(b.keys())+len(c.keys()) == 12
		})
		cl.pass(30 * time.Second)
		if len(a.keys()) != 2 || !balanced(10, b, c) {
			t.Errorf("held: %d, %d, %d; want 2, 5, 5", len(a.keys()), len(b.keys()), len(c.keys()))
		}
	})
}

func TestThrottlesCostNoLease(t *testing.T) {
	in(t, 40, func(t *testing.T, cl *cluster) {
		cl.db.PageItems = 7
		a, b := cl.start(), cl.start()
		cl.until(time.Minute, "balance", func() bool { return balanced(40, a, b) })
		leases := map[string]*Lease{}
		for _, w := range []*worker{a, b} {
			for _, key := range w.keys() {
				leases[key] = w.lease(key)
			}
			w.net(throttled(0.4))
		}
		cl.pass(time.Minute)
		for _, w := range []*worker{a, b} {
			w.heal()
		}
		cl.pass(10 * time.Second) // so that each was renewed without a delay
		for _, w := range []*worker{a, b} {
			w.net(throttled(1))
		}
		cl.pass(4 * time.Second)
		for _, w := range []*worker{a, b} {
			w.heal()
		}
		cl.pass(15 * time.Second)
		for key, l := range leases {
			if !l.Valid() {
				t.Errorf("%s was lost: %v", key, context.Cause(l.ctx))
			}
		}
	})
}

func TestLostAnswersCostNoLease(t *testing.T) {
	in(t, 20, func(t *testing.T, cl *cluster) {
		reg := prometheus.NewRegistry()
		a := cl.start(func(o *Options) { o.Registerer = reg })
		var n atomic.Int32
		a.net(func(c leasetest.Call) leasetest.Fault {
			if strings.HasPrefix(c.Op, "Update") && n.Add(1)%3 == 0 {
				return leasetest.Fault{Lost: errNetwork}
			}
			return leasetest.Fault{}
		})
		cl.until(time.Minute, "all leases, those too whose take was not answered", cl.holds(a, 20))
		leases := map[string]*Lease{}
		for _, key := range a.keys() {
			leases[key] = a.lease(key)
		}
		cl.pass(time.Minute)
		for key, l := range leases {
			if !l.Valid() {
				t.Errorf("%s was lost: %v", key, context.Cause(l.ctx))
			}
		}
		a.stop()
		for _, s := range cl.listing.Shards {
			if r := cl.row(s.ID); r.owner != "" {
				t.Errorf("%s was not given up", s.ID)
			}
		}
		for name, want := range map[string]float64{"lost_total": 0, "stolen_total": 0, "held": 0} {
			if got := counted(t, reg, name); got != want {
				t.Errorf("%s is %v; want %v", name, got, want)
			}
		}
		if counted(t, reg, "taken_total") < 20 || counted(t, reg, "renewals_failed_total") == 0 {
			t.Error("takes or failed renewals are not counted")
		}
	})
}

func counted(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "trailtide_lease_"+name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestLeaseWhoseRenewalWasNotAnsweredIsGivenUpAllTheSame(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		w := cl.start()
		cl.until(time.Minute, "the lease", cl.holds(w, 1))
		before := cl.row(shardID(0)).counter
		w.net(func(c leasetest.Call) leasetest.Fault {
			if c.Op == "UpdateItem" {
				return leasetest.Fault{Lost: errNetwork}
			}
			return leasetest.Fault{Err: errNetwork}
		})
		for cl.row(shardID(0)).counter == before {
			time.Sleep(time.Millisecond)
		}
		w.heal()
		w.stop()
		if r := cl.row(shardID(0)); r.owner != "" || r.counter != before+2 {
			t.Errorf("row is %+v; want it given up after one renewal more than at counter %d", r, before)
		}
	})
}

func TestTableIsMadeOrRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := leasetest.New()
		db.CreateTime = 5 * time.Second
		o := Options{Table: db.Client(nil), TableName: testTable, NoCreate: true}
		if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("without a table, and not to make it: %v", err)
		}
		o.NoCreate = false
		begin := time.Now()
		if _, err := Open(t.Context(), o); err != nil || time.Since(begin) < 5*time.Second {
			t.Errorf("after %v: %v; want the table, once it is active", time.Since(begin), err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		o.TableName = "another"
		if _, err := Open(short, o); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a second to wait: %v", err)
		}
	})
}

func TestOptionsAreRefusedTogether(t *testing.T) {
	_, err := Open(t.Context(), Options{TableName: "a", FailoverTime: time.Millisecond, MaxLeases: -1})
	for _, want := range []string{"Table is required", `TableName "a"`, "FailoverTime", "MaxLeases"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}

func TestHealthTellsWhenTheTableCannotBeRead(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		w := cl.start()
		cl.pass(5 * time.Second)
		w.cut()
		cl.pass(7 * time.Second)
		if err := w.Health(); err != nil {
			t.Errorf("within the failover time: %v", err)
		}
		cl.pass(20 * time.Second)
		if err := w.Health(); !errors.Is(err, errNetwork) {
			t.Errorf("after it: %v", err)
		}
		w.heal()
		cl.pass(20 * time.Second)
		if err := w.Health(); err != nil {
			t.Errorf("healed: %v", err)
		}
	})
}

func TestEachStreamIsAskedForByItself(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		c, err := Open(t.Context(), Options{Table: cl.db.Client(nil), TableName: testTable})
		if err != nil {
			t.Fatal(err)
		}
		streams := []string{"1:a:1", "1:b:1"}
		wanted := func(want ...bool) {
			t.Helper()
			for i, stream := range streams {
				got := false
				select {
				case <-c.SyncWanted(stream):
					got = true
				default:
				}
				if got != want[i] {
					t.Errorf("%s wanted: %v; want %v", stream, got, want[i])
				}
			}
		}
		wanted(true, true) // at the start
		for _, stream := range streams {
			if err := c.Sync(t.Context(), Listing{Stream: stream, Shards: open(1)}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = c.Run(ctx, func(ctx context.Context, l *Lease) {
				if l.Stream() == streams[1] {
					l.Finish()
					return
				}
				<-l.Draining()
			})
		}()
		time.Sleep(20 * time.Second)
		wanted(false, true) // a shard was finished
		time.Sleep(2 * time.Minute)
		wanted(true, true) // the leading worker's turn
		cancel()
		<-done
	})
}
