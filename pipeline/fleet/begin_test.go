package fleet

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/pipeline/repartition"
)

// refuseOffsets refuses the alert group's offsets of partitions; nil: of all.
func refuseOffsets(c *kfake.Cluster, partitions ...int32) *kfake.FaultHandle {
	return c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: names.AlertGroup(), Topic: names.Repartition(), Partitions: partitions,
		Count: -1, Err: kerr.TopicAuthorizationFailed,
	})
}

// unplaced waits until w says that a partition cannot begin, and why.
func unplaced(t *testing.T, w *running) {
	t.Helper()
	eventually(t, "it says that a partition has no offset", func() bool {
		err := w.f.Ready()
		return err != nil && strings.Contains(err.Error(), "no offset to begin at yet: ") && strings.Contains(err.Error(), "TOPIC_AUTHORIZATION_FAILED")
	})
}

// The client leaves a partition out of its assignment for good when its offset is
// refused: it is read all the same as soon as it may be, and the worker is ready
// then and not before.
func TestRefusedOffsetIsWaitedOut(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 51, 2_000)
	want := final(reference(t, rs, events))
	for name, tt := range map[string]struct {
		refused []int32
		first   bool // nothing has been committed yet
	}{
		"one of them": {refused: []int32{1}}, "all": {}, "never read": {first: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testBroker(t)
			cl := testClient(t, c)
			alerts := readAlerts(t, c)
			read := 0
			if !tt.first {
				read = 1_000
				old := start(t, c, "old", rs)
				produce(t, cl, events[:read])
				settled(t, read, old)
				old.stop(t)
			}
			refused := refuseOffsets(c, tt.refused...)
			w := start(t, c, "a", rs, quiet)
			unplaced(t, w)
			produce(t, cl, events[read:])
			eventually(t, "it tries on", func() bool { return refused.Hits() >= 5 })
			unplaced(t, w)
			refused.Remove()
			alerts.waitFor(t, want)
			eventually(t, "ready", func() bool { return w.f.Ready() == nil })
		})
	}
}

// While the offsets of new partitions are refused, those that are read already go
// on; a worker that stops meanwhile stops, and its partitions are somebody else's.
func TestRefusedOffsetHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 52, 3_000)
	want := final(reference(t, rs, events))
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	a := start(t, c, "a", rs, quiet)
	eventually(t, "ready", func() bool { return a.f.Ready() == nil && owned(a) == testPartitions })
	refused := refuseOffsets(c)
	b := start(t, c, "b", rs, quiet)
	unplaced(t, b)
	eventually(t, "they share the partitions", func() bool { return owned(a) > 0 && owned(a) < testPartitions })
	produce(t, cl, events[:1_500])
	alerts.waitForSome(t, 20)
	if err := a.f.Ready(); err != nil {
		t.Errorf("the one that reads: %v", err)
	}
	b.stop(t)
	unplaced(t, a) // it has to begin with what b gave up
	refused.Remove()
	produce(t, cl, events[1_500:])
	alerts.waitFor(t, want)
	eventually(t, "ready again", func() bool { return a.f.Ready() == nil && owned(a) == testPartitions })
}

// An offset that may not be read is none to go on from: what is committed would
// be applied again.
func TestRefusedOffsetIsNotAbsent(t *testing.T) {
	t.Parallel()
	c := testBroker(t)
	w := start(t, c, "a", compile(t, busyRules))
	eventually(t, "ready", func() bool { return w.f.Ready() == nil && owned(w) == testPartitions })
	produce(t, testClient(t, c), testEvents(t, 53, 100))
	settled(t, 100, w)
	eventually(t, "a commit", func() bool {
		at, err := w.f.alert.committed(t.Context(), 1)
		return err == nil && at > 0
	})
	refuseOffsets(c, 1)
	if at, err := w.f.alert.committed(t.Context(), 1); !errors.Is(err, engine.ErrUnavailable) || !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("offset %d, %v", at, err)
	}
}

// What retention removes before it was counted is told and counted, once; reading
// goes on with what there is.
func TestRecordsLostToRetention(t *testing.T) {
	t.Parallel()
	const p = 1
	rs := compile(t, busyRules)
	for _, when := range []string{"before it begins", "while it reads"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			c := testBroker(t)
			cl := testClient(t, c)
			core, logs := observer.New(zap.ErrorLevel)
			registry := prometheus.NewRegistry()
			observed := func(o *Options) { o.Log, o.Registerer = zap.New(core), registry }
			w := start(t, c, "a", rs, observed)
			produce(t, cl, testEvents(t, 54, 200))
			settled(t, 200, w)
			next := func() int64 { // where it reads on
				w.f.alert.mu.Lock()
				defer w.f.alert.mu.Unlock()
				return w.f.alert.places[p].next
			}
			committed := func() int64 {
				at, err := kadm.NewClient(cl).FetchOffsets(t.Context(), names.AlertGroup())
				if err != nil {
					t.Error(err)
				}
				o, _ := at.Lookup(names.Repartition(), p)
				return o.At
			}
			log := func() *kfake.PartitionInfo { return c.PartitionInfo(names.Repartition(), p) }
			eventually(t, "all is read", func() bool { return next() == log().HighWatermark && committed() > 0 })
			from, back := committed, func() {}
			if when == "before it begins" {
				w.stop(t)
			} else {
				refused := c.Fault(kfake.Fault{
					Keys: []kmsg.Key{kmsg.Fetch}, Topic: names.Repartition(), Partitions: []int32{p}, Count: -1, Err: kerr.NotLeaderForPartition,
				})
				from, back = next, refused.Remove
				eventually(t, "nothing is fetched", func() bool { return refused.Hits() >= 3 })
			}
			marker := repartition.AppendMarker(nil, &repartition.Marker{Writer: "a", Written: time.Now().UnixNano()})
			for range 5 {
				if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: names.Repartition(), Partition: p, Value: marker}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.DeleteRecords(names.Repartition(), p, -1); err != nil {
				t.Fatal(err)
			}
			at := from()
			lost := log().LogStartOffset - at
			back()
			if when == "before it begins" {
				registry = prometheus.NewRegistry()
				w = start(t, c, "b", rs, observed)
			}
			produce(t, cl, testEvents(t, 55, 200))
			settled(t, 200, w)
			eventually(t, "it reads on", func() bool { return owned(w) == testPartitions && next() > at+lost && next() == log().HighWatermark })
			if got := gathered(t, registry, "trailtide_fleet_repartition_records_lost_total")[""]; got != float64(lost) || lost < 5 {
				t.Errorf("%v records lost, want %d", got, lost)
			}
			told := logs.FilterMessageSnippet("retention removed them").All()
			if len(told) != 1 || told[0].ContextMap()["from_offset"] != at || told[0].ContextMap()["records"] != lost {
				t.Errorf("%v are told", told)
			}
		})
	}
}

// A worker that has no partition has nothing that it fails to read: an
// interruption of its membership is over when it is a member again.
func TestReadyWithoutPartitions(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	c := testBroker(t)
	one := topics.Names{Prefix: "one"}
	if _, _, err := topics.Create(t.Context(), kadm.NewClient(testClient(t, c)), topics.Options{
		Names: one, Partitions: 1, Replication: 1, Positions: true,
	}); err != nil {
		t.Fatal(err)
	}
	small := func(o *Options) { o.Names, o.Partitions = one, 1 }
	workers := []*running{start(t, c, "a", rs, quiet, small), start(t, c, "b", rs, quiet, small)}
	ready := func() bool { return workers[0].f.Ready() == nil && workers[1].f.Ready() == nil }
	eventually(t, "ready", ready)
	refused := c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup}, Group: one.AlertGroup(), Count: -1, Err: kerr.GroupAuthorizationFailed,
	})
	for _, w := range workers {
		eventually(t, "it says that it is not ready", func() bool { return w.f.Ready() != nil })
	}
	refused.Remove()
	eventually(t, "ready again", ready)
}
