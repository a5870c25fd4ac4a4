package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/sinks"
)

// leaveOpen writes records in a transaction that nobody ends for long.
func leaveOpen(t testing.TB, c *kfake.Cluster, id string, records ...*kgo.Record) {
	t.Helper()
	cl := testClient(t, c, kgo.TransactionalID(id), kgo.TransactionTimeout(5*time.Minute))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// Trap 3: a worker that died in the middle of its transactions holds nobody up,
// and nothing that they hold is believed: who takes its partitions over ends
// them, those of its match stage too.
func TestTakeoverUnderOpenTransactions(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 41, 2_000)
	reference, counted := embedded(t, rs, events, alerting.Options{})
	want := final(reference)
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	old := start(t, c, "old", rs)
	produce(t, cl, events[:1_000])
	settled(t, 1_000, old)
	old.stop(t)

	marker := repartition.AppendMarker(nil, &repartition.Marker{
		Writer: "dead", Parts: []repartition.Part{{Name: trail + "/0", Reached: time.Now().Add(240 * time.Hour).UnixNano()}},
	})
	var open []*kgo.Record
	for p := range int32(testPartitions) {
		open = append(open, &kgo.Record{Topic: names.Repartition(), Partition: p, Value: marker})
		leaveOpen(t, c, fmt.Sprintf("%s-%d", names.AlertGroup(), p),
			&kgo.Record{Topic: names.Changelog(), Partition: p, Key: []byte{byte(engine.Windows), 'x'}, Value: []byte{1, 0xff}},
			&kgo.Record{Topic: names.Alerts(), Partition: 0, Key: []byte("00"), Value: []byte("{}")})
	}
	// Two dead match stages: the new one takes the ID of one of them, perhaps.
	leaveOpen(t, c, names.TransactionalIDs()+"match-1", open...)
	leaveOpen(t, c, names.TransactionalIDs()+"match-2", open...)

	begun := time.Now()
	w := start(t, c, "new", rs)
	produce(t, cl, events[1_000:])
	alerts.waitFor(t, want)
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %s: something has waited for a timeout", took)
	}
	if got := settled(t, len(events), old, w); got.Matched != counted.Matched {
		t.Errorf("%d matched, want %d", got.Matched, counted.Matched)
	}
}

// Who takes partitions over knows which of the source's there are, and lets none
// of them be passed before it was told of; and nothing is absent before all of
// them are read to their ends.
func TestTakeoverHoldsTime(t *testing.T) {
	t.Parallel()
	rs := compile(t, silenceRules)
	c := testBroker(t)
	if err := c.CreateTopic("elsewhere", 1, nil); err != nil {
		t.Fatal(err)
	}
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	a := start(t, c, "a", rs, prompt)
	put(t, cl, 0, event("e1", at, "robot", "Heartbeat", ""))
	tick(t, cl, at, 0)
	settled(t, trailPartitions, a)
	mark(t, cl, at.Add(time.Minute), true)
	a.stop(t)
	// It counts, and tells nothing of the trail.
	b := start(t, c, "b", rs, prompt, shared(t, c, func(o *kafka.Options) { o.Topics, o.Group = []string{"elsewhere"}, "elsewhere" }))
	now := event("now", time.Now(), "nobody", "Other", "")
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "elsewhere", Value: now}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	settled(t, 1, b)
	eventually(t, "all partitions are owned", func() bool { return owned(b) == testPartitions })
	silent := func() bool { return len(alerts.seen()) == 0 }
	mark(t, cl, at.Add(11*time.Minute), true, 0)
	during(t, afterMarkers, "a partition that nobody has told of holds time", silent)
	mark(t, cl, at.Add(11*time.Minute), false)
	during(t, afterMarkers, "nothing is absent while there is more to read", silent)
	mark(t, cl, at.Add(11*time.Minute), true)
	eventually(t, "the silence is told", func() bool { return alerts.count("heartbeat-missing", sinks.Firing) == 1 })
}
