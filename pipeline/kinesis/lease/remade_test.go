package lease

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A stream that was split is deleted and made again: shard 0 of the new one is
// no parent of leases that were there before.
func TestStreamMadeAgainIsReadAgain(t *testing.T) {
	for _, start := range []string{TrimHorizon, Latest} {
		t.Run(start, func(t *testing.T) {
			in(t, 1, func(t *testing.T, cl *cluster) {
				cl.listing.Name, cl.listing.Created, cl.listing.Start = "1:trail", 1000, start
				w := cl.start()
				cl.until(time.Minute, "the lease", cl.holds(w, 1))
				parent, left, right := open(1)[0], Shard{ID: "left", Parents: []string{shardID(0)}}, Shard{ID: "right", Parents: []string{shardID(0)}}
				parent.Closed = true
				cl.list(parent, left, right)
				w.finish(shardID(0), left, right)
				cl.until(time.Minute, "the children", cl.holds(w, 2))
				cl.until(5*time.Minute, "the parent's end", func() bool { return cl.db.Items(testTable)[shardID(0)] == nil })

				cl.db.OnChange(nil) // rows go and come
				w.mu.Lock()
				clear(w.ends)
				w.mu.Unlock()
				w.Forget("")
				cl.mu.Lock()
				cl.listing.Created, cl.listing.Shards = 2000, open(2)
				cl.mu.Unlock()
				cl.until(5*time.Minute, "the new shards", func() bool {
					return slices.Equal(w.keys(), []string{shardID(0), shardID(1)}) && len(cl.db.Items(testTable)) == 2
				})
				for i := range 2 {
					if r := cl.row(shardID(i)); r.of != (identity{"1:trail", 2000}) || w.lease(r.key).Start().Sequence != TrimHorizon {
						t.Errorf("shard %d is of %v and started at %v", i, r.of, w.lease(r.key).Start())
					}
				}
			})
		})
	}
}

// Shards of a stream that was made again take the place of those of the same
// names, though the worker that read them still believes in its leases.
func TestStreamMadeAgainTakesTheKeys(t *testing.T) {
	in(t, 2, func(t *testing.T, cl *cluster) {
		cl.listing.Name, cl.listing.Created = "1:trail", 1000
		a := cl.start()
		cl.until(time.Minute, "the leases", cl.holds(a, 2))
		cl.pass(5 * time.Second)
		old := []*Lease{a.lease(shardID(0)), a.lease(shardID(1))}
		cl.db.OnChange(nil)
		cl.mu.Lock()
		cl.listing.Created = 2000
		cl.mu.Unlock()
		b := cl.start() // a has not noticed yet
		cl.until(time.Minute, "the new stream's shards", func() bool {
			return !old[0].Valid() && !old[1].Valid() && len(a.keys())+len(b.keys()) == 2
		})
		for i := range 2 {
			if r := cl.row(shardID(i)); r.of.created != 2000 {
				t.Errorf("shard %d is of %v", i, r.of)
			}
		}
		late := cl.listing
		late.Created = 1000
		if err := b.Sync(t.Context(), late); err == nil || !strings.Contains(err.Error(), "made again") {
			t.Errorf("a listing of the old stream: %v", err)
		}
		late.Name = "1:other"
		if err := b.Sync(t.Context(), late); err == nil || !strings.Contains(err.Error(), "table of its own") {
			t.Errorf("a listing of another stream: %v", err)
		}
	})
}

// A lease that another program made is taken as one of the stream that is there.
func TestLeaseOfAnotherProgramIsSigned(t *testing.T) {
	in(t, 2, func(t *testing.T, cl *cluster) {
		cl.listing.Name, cl.listing.Created = "1:trail", 1000
		cl.plant(foreign(shardID(0), "", 7, "55"))
		cl.plant(foreign(shardID(1), "", 7, ShardEnd))
		w := cl.start()
		cl.until(time.Minute, "the lease", cl.holds(w, 1))
		if l := w.lease(shardID(0)); l.Start().Sequence != "55" || l.Created() != 1000 {
			t.Errorf("it starts at %v, of the stream of %d", l.Start(), l.Created())
		}
		for i := range 2 {
			if got := text(cl.db.Items(testTable)[shardID(i)], attrOf); got != "1:trail:1000" {
				t.Errorf("lease %d is of %q", i, got)
			}
		}
		if got, ok := parseIdentity("1:trail"); ok {
			t.Errorf("%v is an identity", got)
		}
	})
}

// What LATEST means is written to leases that another program made, once.
func TestLatestOfAnotherProgramIsSigned(t *testing.T) {
	in(t, 1, func(t *testing.T, cl *cluster) {
		cl.listing.AsOf = 5000
		cl.plant(foreign(shardID(0), "", 7, Latest))
		w := cl.start(func(o *Options) { o.MaxLeases = 1 })
		cl.until(time.Minute, "the lease", cl.holds(w, 1))
		if got := w.lease(shardID(0)).Since(); got != 5000 {
			t.Errorf("it starts at %d", got)
		}
		late := cl.listing
		late.AsOf = 6000
		if err := w.Sync(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		if r := cl.row(shardID(0)); r.since != 5000 {
			t.Errorf("and now at %d", r.since)
		}
	})
}
