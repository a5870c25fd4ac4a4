package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// A worker whose transactional IDs are taken though the group counts its
// partitions as its own takes them over anew: nobody else would.
func TestTakenIDsOfAMemberAreTakenBack(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 5, 3_000)
	reference, counted := embedded(t, rs, events, alerting.Options{})
	want := final(reference)
	c := testBroker(t)
	alerts := readAlerts(t, c)
	w := start(t, c, "a", rs, quiet)
	cl := testClient(t, c)
	const steps = 6
	for i := range steps {
		produce(t, cl, events[len(events)*i/steps:len(events)*(i+1)/steps])
		alerts.waitForSome(t, len(want)*i/steps/2)
		for p := range testPartitions {
			pr, err := txn.Open(t.Context(), txn.Options{
				Client: client.Options{Brokers: c.ListenAddrs()}, ID: fmt.Sprintf("%s-%d", names.AlertGroup(), p), Timeout: 5 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			pr.Close()
		}
	}
	alerts.waitFor(t, want)
	if n := len(alerts.seen()); n == 0 || counted.Read != int64(len(events)) {
		t.Errorf("%d alerts", n)
	}
	eventually(t, "ready", func() bool { return w.f.Ready() == nil })
}

// What cannot be read goes to the dead letter, also when the commit that it
// belongs to is aborted first.
func TestDeadLetterSurvivesAnAbort(t *testing.T) {
	t.Parallel()
	c := testBroker(t)
	cl := testClient(t, c)
	w := start(t, c, "a", compile(t, busyRules), quiet)
	eventually(t, "all partitions are owned", func() bool { return owned(w) == testPartitions })
	refused := everyNth(c, kmsg.TxnOffsetCommit, "alert", 2, kerr.IllegalGeneration)
	damaged := repartition.AppendMarker(nil, &repartition.Marker{Writer: "test"})
	damaged = damaged[:len(damaged)-1]
	const n = 6
	read := testClient(t, c, kgo.ConsumeTopics(names.Invalid()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	for i := range n {
		r := &kgo.Record{Topic: names.Repartition(), Partition: int32(i % testPartitions), Value: damaged}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	got := make(map[string]int)
	for len(got) < n {
		fetches := read.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++ })
	}
	if refused.Hits() == 0 {
		t.Error("nothing was aborted")
	}
}

// A partition whose reading was held back by its backlog is read on when it
// comes back to the worker.
func TestBacklogOfAPartitionThatComesBack(t *testing.T) {
	t.Parallel()
	c := testBroker(t)
	cl := testClient(t, c)
	w := start(t, c, "a", compile(t, silenceRules), prompt, quiet, func(o *Options) { o.SessionTimeout = 6 * time.Second })
	eventually(t, "all partitions are owned", func() bool { return owned(w) == testPartitions })
	refuse := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Group: names.AlertGroup(), Err: kerr.CoordinatorLoadInProgress, Count: -1})
	n := backlog(t, cl)
	eventually(t, "reading is held back", func() bool {
		w.f.alert.mu.Lock()
		o := w.f.alert.owners[0]
		w.f.alert.mu.Unlock()
		if o == nil {
			return false
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.paused
	})
	heal := putOut(t, c, cl, names.AlertGroup())
	heal() // the worker learns that it is out, and joins anew
	refuse.Remove()
	eventually(t, "all is committed", func() bool { return committedOffsets(t, cl)[0] >= int64(n) })
}

// A backlog that was queued before the partition's ID was taken is worked off once
// that is taken back, though nothing new comes.
func TestBacklogOfAPartitionThatIsTakenBack(t *testing.T) {
	t.Parallel()
	c := testBroker(t)
	cl := testClient(t, c)
	w := start(t, c, "a", compile(t, silenceRules), prompt, quiet)
	eventually(t, "all partitions are owned", func() bool { return owned(w) == testPartitions })
	refuse := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Group: names.AlertGroup(), Err: kerr.CoordinatorLoadInProgress, Count: -1})
	n := backlog(t, cl)
	var o *owner
	eventually(t, "reading is held back", func() bool {
		w.f.alert.mu.Lock()
		o = w.f.alert.owners[0]
		w.f.alert.mu.Unlock()
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.paused
	})
	select {
	case <-o.wake: // as if all of it had come before the commit at hand began
	default:
	}
	pr, err := txn.Open(t.Context(), txn.Options{Client: client.Options{Brokers: c.ListenAddrs()}, ID: names.AlertGroup() + "-0", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	pr.Close()
	refuse.Remove()
	eventually(t, "all is committed", func() bool { return committedOffsets(t, cl)[0] >= int64(n) })
}

// backlog writes more markers to the first repartition partition than are queued.
func backlog(t *testing.T, cl *kgo.Client) int {
	t.Helper()
	at := time.Now().Add(-time.Hour)
	marker := repartition.AppendMarker(nil, &repartition.Marker{Writer: "test", Parts: []repartition.Part{{Name: trail + "/0", Reached: at.UnixNano()}}})
	records := make([]*kgo.Record, highWater+maxInterval+5_000)
	for i := range records {
		records[i] = &kgo.Record{Topic: names.Repartition(), Partition: 0, Value: marker}
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return len(records)
}

// What was read of a partition and not applied when its state is lost is applied
// once it is restored.
func TestNothingIsSkippedWhenAStateIsLost(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 6, 6_000)
	reference, counted := embedded(t, rs, events, alerting.Options{})
	c := testBroker(t)
	alerts := readAlerts(t, c)
	w := start(t, c, "a", rs, quiet)
	eventually(t, "all partitions are owned", func() bool { return owned(w) == testPartitions })
	cl := testClient(t, c)
	const steps = 6
	for i := range steps {
		for p := range testPartitions { // between two intervals: the first record of the next one meets it
			if err := w.f.engine.Release(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		produce(t, cl, events[len(events)*i/steps:len(events)*(i+1)/steps])
		settled(t, len(events)*(i+1)/steps, w)
	}
	alerts.waitFor(t, final(reference))
	if got := settled(t, len(events), w); got.Matched != counted.Matched || got.Duplicate != counted.Duplicate {
		t.Errorf("%d matched, %d duplicate, want %d and %d", got.Matched, got.Duplicate, counted.Matched, counted.Duplicate)
	}
}
