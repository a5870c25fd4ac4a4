package lease

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// TestChaos lets workers come, go, die, freeze, be throttled and lose answers
// while the stream is split and merged. All the time no two of them believe in one
// lease, no child is read before its parents, and no checkpoint goes back; once all
// is well, all leases are held evenly and the finished ones are gone.
func TestChaos(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 5))) })
		})
	}
}

func chaos(t *testing.T, r *rand.Rand) {
	cl := newCluster(t, Listing{Shards: open(8 + r.IntN(24))})
	cl.db.PageItems = 5
	defer cl.stop()
	next := 1000
	var live []*worker // what is healthy or will be
	ends := map[string][]Shard{}
	start := func() {
		w := cl.start()
		for id, children := range ends {
			w.finish(id, children...)
		}
		live = append(live, w)
	}
	// reshard closes shards and makes children of them, which the readers may be told of.
	reshard := func(parents []Shard, n int) {
		var children []Shard
		for range n {
			c := Shard{ID: shardID(next)}
			for _, p := range parents {
				c.Parents = append(c.Parents, p.ID)
			}
			next++
			children = append(children, c)
		}
		cl.mu.Lock()
		for i, s := range cl.listing.Shards {
			if slices.ContainsFunc(parents, func(p Shard) bool { return p.ID == s.ID }) {
				cl.listing.Shards[i].Closed = true
			}
		}
		cl.mu.Unlock()
		cl.list(children...)
		var told []Shard
		if r.IntN(2) == 0 {
			told = children
		}
		for _, p := range parents {
			ends[p.ID] = told
			for _, w := range cl.all() {
				w.finish(p.ID, told...)
			}
		}
	}
	openShards := func() []Shard {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		all := slices.DeleteFunc(slices.Clone(cl.listing.Shards), func(s Shard) bool { return s.Closed })
		slices.SortFunc(all, func(a, b Shard) int { return r.IntN(3) - 1 })
		return all
	}
	start()
	for range 40 {
		cl.pass(time.Duration(r.IntN(8000)) * time.Millisecond)
		w := live[r.IntN(len(live))]
		switch op := r.IntN(10); {
		case op == 0 && len(live) < 6:
			start()
		case op == 1 && len(live) > 1: // killed: its process is not there to see the end
			w.cut()
			live = slices.DeleteFunc(live, func(x *worker) bool { return x == w })
		case op == 2 && len(live) > 1:
			live = slices.DeleteFunc(live, func(x *worker) bool { return x == w })
			w.stop()
		case op == 3:
			w.freeze(time.Duration(r.IntN(40)) * time.Second)
		case op == 4:
			w.net(throttled(0.2 + 0.8*r.Float64()))
		case op == 5:
			w.net(func(leasetest.Call) leasetest.Fault {
				if rand.IntN(4) == 0 {
					return leasetest.Fault{Lost: errNetwork}
				}
				return leasetest.Fault{Before: rand.N(500 * time.Millisecond), After: rand.N(500 * time.Millisecond)}
			})
		case op == 6:
			w.heal()
		case op == 7:
			reshard(openShards()[:1], 2)
		case op == 8:
			if all := openShards(); len(all) > 4 {
				reshard(all[:2], 1)
			}
		}
	}
	for _, w := range live {
		w.heal()
	}
	for len(live) < 3 {
		start()
	}
	var all []string
	for _, s := range openShards() {
		all = append(all, s.ID)
	}
	slices.Sort(all)
	cl.until(5*time.Minute, "all leases held, evenly", func() bool {
		var held []string
		for _, w := range live {
			held = append(held, w.keys()...)
		}
		slices.Sort(held)
		return slices.Equal(all, held) && balanced(len(all), live...)
	})
	cl.until(20*time.Minute, "finished leases gone", func() bool { return len(cl.db.Items(testTable)) == len(all) })
}
