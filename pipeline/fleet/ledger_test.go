package fleet

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// shards is a source whose partitions change hands one by one.
type shards struct {
	list
	ledger pipeline.Ledger
}

func (s *shards) UseLedger(l pipeline.Ledger) { s.ledger = l }

// holder is a match stage over shards, driven by hand.
type holder struct {
	t     *testing.T
	stage *matchStage
	pipeline.Ledger
	now time.Time
}

func newHolder(t *testing.T, c *kfake.Cluster, name string) *holder {
	t.Helper()
	src := &shards{}
	f, err := New(Options{
		Client: client.Options{Brokers: c.ListenAddrs()}, Names: names, Partitions: testPartitions, MetadataMinAge: 50 * time.Millisecond,
		Worker: name, Source: src, Match: pipeline.Options{Rules: compile(t, busyRules)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.admin, err = f.newAdmin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.admin.Close)
	stage, _, err := f.openMatch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.way.close)
	return &holder{t: t, stage: stage.(*matchStage), Ledger: src.ledger, now: time.Now()}
}

func (h *holder) take(name string) []byte {
	h.t.Helper()
	position, err := h.Take(h.t.Context(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return position
}

// interval makes what do tells durable, more than a second after the one before.
func (h *holder) interval(live bool, do func()) {
	h.t.Helper()
	h.now = h.now.Add(2 * time.Second)
	if err := h.stage.Begin(h.t.Context(), h.now); err != nil {
		h.t.Fatal(err)
	}
	do()
	h.stage.Advance(live)
	if err := h.stage.Txn().Commit(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.stage.Committed()
}

// markers are what the holders of a test have told a repartition partition.
func markers(t *testing.T, c *kfake.Cluster) (out []*repartition.Marker) {
	t.Helper()
	cl := testClient(t, c, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{names.Repartition(): {0: kgo.NewOffset().AtStart()}}))
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), names.Repartition())
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup(names.Repartition(), 0)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for next := int64(0); next < end.Offset; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if r.Attrs.IsControl() {
				return
			}
			decoded, err := repartition.Decode(r.Value, nil)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, decoded.Marker)
		})
	}
	return out
}

// The heirs of a partition hold event time before it lets go, in one transaction.
func TestHeirsAreToldBeforeTheEnd(t *testing.T) {
	c := testBroker(t)
	h := newHolder(t, c, "one")
	h.take("s/1")
	h.interval(false, func() { h.stage.Partition("s/1", math.MinInt64) })
	h.interval(false, func() {
		h.stage.Heirs("s/1", []string{"s/2", "s/3"})
		h.stage.Closed("s/1")
		h.stage.Txn().Position("s/1", []byte("end"))
	})
	heirs, closed := -1, -1
	for i, m := range markers(t, c) {
		if slices.Contains(m.Exists, "s/3") {
			heirs = i
		}
		if slices.Contains(m.Closed, "s/1") {
			closed = i
		}
	}
	if heirs < 0 || closed < heirs {
		t.Errorf("the heirs are told in marker %d, the end in marker %d", heirs, closed)
	}
	if got := string(newHolder(t, c, "two").take("s/1")); got != "end" {
		t.Errorf("the position is %q", got)
	}
}

// Who has lost a partition tells neither its end nor its heirs, now or later.
func TestHeirsOfLostPartition(t *testing.T) {
	c := testBroker(t)
	one := newHolder(t, c, "one")
	one.take("s/1")
	one.take("s/9")
	one.interval(false, func() { one.stage.Partition("s/1", math.MinInt64); one.stage.Partition("s/9", math.MinInt64) })
	newHolder(t, c, "two").take("s/1")
	one.interval(false, func() {
		one.stage.Heirs("s/1", []string{"s/2"})
		one.stage.Closed("s/1")
		one.stage.Reached("s/9", 7)
	})
	one.now = one.now.Add(time.Minute) // when lists are told anew
	one.interval(false, func() {})
	reached := false
	for _, m := range markers(t, c) {
		if slices.Contains(m.Exists, "s/2") || slices.Contains(m.Closed, "s/1") {
			t.Errorf("%+v", m)
		}
		for _, p := range m.Parts {
			reached = reached || p.Name == "s/9" && p.Reached == 7
		}
	}
	if !reached {
		t.Error("the other partition was not told of")
	}
}

// The new holder of a partition that brings nothing tells that it is read to its
// end: absence waits for that.
func TestSilentPartitionIsTold(t *testing.T) {
	c := testBroker(t)
	h := newHolder(t, c, "one")
	h.take("s/1")
	h.interval(false, func() { h.stage.Partition("s/1", math.MinInt64) })
	h.interval(true, func() {})
	all := markers(t, c)
	want := []repartition.Part{{Name: "s/1", Reached: repartition.NoTime, Live: true}}
	if diff := cmp.Diff(want, all[len(all)-1].Parts); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
