package lease

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func (cl *cluster) list(shards ...Shard) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.listing.Shards = append(slices.Clone(cl.listing.Shards), shards...)
	slices.Reverse(cl.listing.Shards) // no order is promised
}

func TestChildrenFollowTheirParentsAndFinishedLeasesGo(t *testing.T) {
	in(t, 2, func(t *testing.T, cl *cluster) {
		a, b := cl.start(), cl.start()
		cl.until(time.Minute, "balance", func() bool { return balanced(2, a, b) })
		child := Shard{ID: "shardId-child", Parents: []string{shardID(0), shardID(1)}, StartingHashKey: "0", EndingHashKey: "1999"}

		// One parent ends and tells of the child; the other goes on.
		a.finish(shardID(0), child)
		b.finish(shardID(0), child)
		cl.until(5*time.Second, "the first parent's end", func() bool { return cl.row(shardID(0)).finished() })
		r := cl.row(shardID(0))
		if diff := cmp.Diff([]string{"shardId-child"}, r.children); diff != "" || r.owner != "" {
			t.Errorf("owner %q, children (-want +got):\n%s", r.owner, diff)
		}
		if c := cl.row("shardId-child"); c.checkpoint.Sequence != TrimHorizon || len(c.parents) != 2 || c.startHash != "0" || c.endHash != "1999" {
			t.Errorf("the child's row is %+v", c)
		}
		cl.pass(30 * time.Second)
		if c := cl.row("shardId-child"); c.owner != "" {
			t.Fatal("the child was taken before its adjacent parent was finished")
		}

		// The other ends without telling; the listing is what there is.
		cl.list(child)
		a.finish(shardID(1))
		b.finish(shardID(1))
		waited := cl.until(time.Minute, "the child", func() bool { return slices.Contains(append(a.keys(), b.keys()...), "shardId-child") })
		if waited > 5*time.Second {
			t.Errorf("the child was taken after %v", waited)
		}
		cl.until(5*time.Minute, "the parents' leases to go", func() bool { return len(cl.db.Items(testTable)) == 1 })
		if cl.row("shardId-child").checkpoint.Sentinel() {
			t.Error("the parents' leases went before their child had a checkpoint")
		}
		cl.pass(3 * time.Minute)
		if n := len(cl.db.Items(testTable)); n != 1 {
			t.Errorf("%d leases; want the child's alone, for its parents are done", n)
		}
	})
}

func TestClosedShardsAreReadToTheirEnds(t *testing.T) {
	in(t, 0, func(t *testing.T, cl *cluster) {
		cl.list(Shard{ID: "A", Closed: true}, Shard{ID: "B", Parents: []string{"A"}, Closed: true}, Shard{ID: "C", Parents: []string{"B"}})
		w := cl.start()
		w.finish("A")
		cl.until(time.Minute, "the second", func() bool { return slices.Equal(w.keys(), []string{"B"}) })
		w.finish("B")
		cl.until(time.Minute, "the third", func() bool { return slices.Equal(w.keys(), []string{"C"}) })
	})
}

func TestListingIsAskedForByTheLeadingWorkerAndForWhatCannotBeJudged(t *testing.T) {
	in(t, 2, func(t *testing.T, cl *cluster) {
		a, b := cl.start(), cl.start()
		cl.until(time.Minute, "balance", func() bool { return balanced(2, a, b) })
		// A lease whose parent no listing knows yet.
		orphan := newRow("", Shard{ID: "shardId-child", Parents: []string{"shardId-parent"}}, TrimHorizon)
		cl.plant(orphan.item())
		cl.pass(5 * time.Second)
		if r := cl.row(orphan.key); r.owner != "" {
			t.Fatal("a child was taken though nothing is known of its parent")
		}
		cl.list(Shard{ID: "shardId-child", Parents: []string{"shardId-parent"}}, Shard{ID: "shardId-parent", Closed: true})
		cl.until(time.Minute, "a lease for the parent", func() bool {
			return slices.Contains(append(a.keys(), b.keys()...), "shardId-parent")
		})
		if r := cl.row(orphan.key); r.owner != "" {
			t.Error("the child was taken before its parent was finished")
		}
	})
}

func TestSeveralStreamsShareATable(t *testing.T) {
	in(t, 2, func(t *testing.T, cl *cluster) {
		cl.listing.Stream = "111122223333:trail:1700000000"
		w := cl.start()
		cl.until(time.Minute, "the leases", cl.holds(w, 2))
		key := "111122223333:trail:1700000000:" + shardID(0)
		i := cl.db.Items(testTable)[key]
		if text(i, attrStream) != cl.listing.Stream || text(i, attrShard) != shardID(0) {
			t.Errorf("item is %v", i)
		}
		// Of streams that it was not told about a worker takes nothing.
		cl.plant(foreign("111122223333:other:1:"+shardID(0), "", 1, TrimHorizon))
		cl.pass(time.Minute)
		if got := len(w.keys()); got != 2 {
			t.Errorf("%d leases held; want 2", got)
		}
		// It is deleted and made again.
		const next = "111122223333:trail:1700000500"
		w.Forget(cl.listing.Stream)
		cl.mu.Lock()
		cl.listing.Shards = nil // nobody lists the old one any more
		cl.mu.Unlock()
		if err := w.Sync(t.Context(), Listing{Stream: next, Name: "111122223333:trail", Created: 1700000500123, Start: Latest, Shards: open(1)}); err != nil {
			t.Fatal(err)
		}
		cl.until(time.Minute, "the new lease", func() bool { return slices.Equal(w.keys(), []string{next + ":" + shardID(0)}) })
		if n := len(cl.db.Items(testTable)); n != 2 {
			t.Errorf("%d leases are left; want the new one and the other stream's", n)
		}
		if at := w.lease(next + ":" + shardID(0)).Start().Sequence; at != TrimHorizon {
			t.Errorf("it starts at %s", at)
		}
	})
}

func TestRowsOfNewerLibrariesAreLeftAlone(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		other := foreign("worker-metrics", "", 3, TrimHorizon)
		other[attrEntityType] = str("WORKER_METRIC")
		cl.plant(other)
		w := cl.start()
		cl.pass(time.Minute)
		if got := w.keys(); len(got) != 1 {
			t.Errorf("holds %v", got)
		}
		if i := cl.db.Items(testTable)["worker-metrics"]; !cmp.Equal(i[attrCounter], num(3), cmpopts.IgnoreUnexported(types.AttributeValueMemberN{})) || i[attrOwner] != nil {
			t.Errorf("the row was written: %v", i)
		}
	})
}

func TestChildWaitsForAParentThatIsNotYetListed(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		w := cl.start()
		cl.until(time.Minute, "the lease", cl.holds(w, 1))
		parent, child := Shard{ID: "shardId-parent", Closed: true}, Shard{ID: "shardId-child", Parents: []string{shardID(0), "shardId-parent"}}
		w.finish(shardID(0), child)
		cl.pass(time.Minute)
		if items := cl.db.Items(testTable); items[child.ID] != nil {
			t.Fatalf("the child has a lease, and one of its parents has none\n%s", cl.dump())
		}
		cl.list(parent, child)
		cl.until(3*time.Minute, "the parent", func() bool { return slices.Equal(w.keys(), []string{parent.ID}) })
		w.finish(parent.ID)
		cl.until(time.Minute, "the child", func() bool { return slices.Equal(w.keys(), []string{child.ID}) })
	})
}
