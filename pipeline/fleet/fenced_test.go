package fleet

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/alerting"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// A worker that was halted while it took a shard may take the shard's ID from who
// has the shard by then. What is dropped for it was never told to be committed,
// and the shard goes on.
func TestShardThatAStaleWorkerFences(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 24, 3_000)
	reference, counted := embedded(t, rs, events, alerting.Options{})
	c := testBroker(t)
	alerts := readAlerts(t, c)
	sh := &shard{name: "shard-0", events: events}
	src := newLeased(&leases{holder: make(map[string]*leased), moves: make(map[string]int)}, []*shard{sh})
	w := start(t, c, "w", rs, quiet, func(o *Options) { o.Source = src })
	for i := range 5 {
		eventually(t, "more is committed", func() bool { return src.told(sh.name) >= len(events)*i/6 })
		stale, err := txn.Open(t.Context(), txn.Options{
			Client: client.Options{Brokers: c.ListenAddrs()}, ID: names.TransactionalIDs() + "source-" + sh.name, MetadataMinAge: 50 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		stale.Close()
		for range 3 {
			if told, stands := src.told(sh.name), durable(t, c, sh.name); told > stands {
				t.Fatalf("%d is told to be committed, and the topic says %d", told, stands)
			}
		}
	}
	alerts.waitFor(t, final(reference))
	if got := settled(t, len(events), w); got.Matched != counted.Matched || got.Duplicate != counted.Duplicate {
		t.Errorf("%d matched, %d duplicate, want %d and %d", got.Matched, got.Duplicate, counted.Matched, counted.Duplicate)
	}
	eventually(t, "the end is told", func() bool { return src.told(sh.name) == len(events) })
}

// durable is the position of a shard that a read_committed reader of the
// positions topic sees.
func durable(t *testing.T, c *kfake.Cluster, name string) int {
	t.Helper()
	ends, err := kadm.NewClient(testClient(t, c)).ListCommittedOffsets(t.Context(), names.Positions())
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup(names.Positions(), 0)
	cl := testClient(t, c, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		names.Positions(): {0: kgo.NewOffset().AtStart()},
	}))
	at := 0
	for next := int64(0); next < end.Offset; {
		cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if r.Attrs.IsControl() || string(r.Key) != name {
				return
			}
			p, err := enginekafka.ParsePositionRecord(r)
			if err != nil {
				t.Error(err)
			}
			at = number(p)
		})
	}
	return at
}

// Results that are under way when the source gives a shard up are dropped, and
// that is nothing to end the worker for.
func TestShardGivenUpWithResultsUnderWay(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 25, 4_000)
	c := testBroker(t)
	l := &leases{holder: make(map[string]*leased), moves: make(map[string]int)}
	var shards []*shard
	for i := range 2 {
		sh := &shard{name: fmt.Sprint("shard-", i)}
		for j := i; j < len(events); j += 2 {
			sh.events = append(sh.events, events[j])
		}
		shards = append(shards, sh)
	}
	src := newLeased(l, shards)
	src.mute = true
	src.rest("shard-0", 500)
	var ahead atomic.Int64
	w := start(t, c, "w", rs, quiet, func(o *Options) {
		o.Source, o.CommitEvery = src, 100*time.Millisecond
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	eventually(t, "shards are read", func() bool { return src.told("shard-0") >= 500 && src.told("shard-1") > 0 })
	src.ledger.Drop("shard-0")
	src.rest("shard-0", -1)
	book := src.ledger.(*ledger)
	eventually(t, "results come that nobody may commit", func() bool {
		book.mu.Lock()
		defer book.mu.Unlock()
		return len(book.orphans) > 0
	})
	l.give("shard-0", newLeased(l, nil)) // somebody else, who is silent
	eventually(t, "the other shard goes on", func() bool { return src.told("shard-1") == len(shards[1].events) })
	ahead.Store(int64(2 * orphanedAtMost))
	select {
	case err := <-w.done:
		w.done <- nil
		t.Fatalf("the worker has ended: %v", err)
	case <-time.After(afterMarkers):
	}
}
