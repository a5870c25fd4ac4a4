package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/alerting"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/sinks"
)

// Events that come again after all of them were committed, to other workers,
// change nothing.
func TestReplayTellsNothingTwice(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 11, 3_000)
	reference, _ := embedded(t, rs, events, alerting.Options{})
	want := final(reference)
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	a := start(t, c, "a", rs)
	produce(t, cl, events)
	alerts.waitFor(t, want)
	first := settled(t, len(events), a)
	before := len(alerts.seen())
	a.stop(t)
	b, d := start(t, c, "b", rs), start(t, c, "d", rs)
	produce(t, cl, events)
	again := settled(t, len(events), b, d)
	if again.Unmatched != first.Unmatched || again.Matched > again.Late {
		t.Errorf("the second time %d are new and %d late, %d duplicate of %d", again.Matched, again.Late, again.Duplicate, first.Matched+first.Duplicate)
	}
	alerts.waitFor(t, want)
	if n := len(alerts.seen()); n != before {
		t.Errorf("%d alerts more", n-before)
	}
}

// A replay into topics of its own makes the same alerts under the same IDs, and
// tells nobody if it is not to.
func TestReplayIntoAFreshFleet(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 12, 2_000)
	reference, _ := embedded(t, rs, events, alerting.Options{})
	want := final(reference)
	c := testBroker(t)
	cl := testClient(t, c)
	fresh := topics.Names{Prefix: "fresh"}
	if _, _, err := topics.Create(t.Context(), kadm.NewClient(cl), topics.Options{Names: fresh, Partitions: 7, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	alerts := readAlerts(t, c)
	start(t, c, "a", rs)
	start(t, c, "b", rs, func(o *Options) {
		o.Names, o.Partitions, o.Alerting.Quiet = fresh, 7, true
	}, shared(t, c, groupOf("replay")))
	produce(t, cl, events)
	alerts.waitFor(t, want)
	ids := func(list []*sinks.Alert) map[string]string {
		out := make(map[string]string)
		for _, a := range list {
			out[a.AlertID] = a.RuleID
		}
		return out
	}
	replayed := readTopic(t, c, fresh.Alerts(), func(list []*told) bool {
		var alerts []*sinks.Alert
		for _, a := range list {
			alerts = append(alerts, a.alert)
		}
		return maps.Equal(final(alerts), want)
	})
	var list []*sinks.Alert
	for _, a := range replayed {
		list = append(list, a.alert)
		if a.notify || !a.save {
			t.Errorf("alert %s: notify %v, save %v", a.alert.AlertID, a.notify, a.save)
		}
	}
	if d := cmp.Diff(ids(alerts.seen()), ids(list)); d != "" {
		t.Errorf("IDs (-first +replayed)\n%s", d)
	}
}

// told is a record of an alerts topic.
type told struct {
	alert        *sinks.Alert
	save, notify bool
}

// readTopic reads an alerts topic until done says so.
func readTopic(t testing.TB, c *kfake.Cluster, topic string, done func([]*told) bool) (all []*told) {
	t.Helper()
	cl := testClient(t, c, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !done(all) {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%v, with %d alerts", err, len(all))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			a, save, notify, err := enginekafka.ParseAlert(r)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &told{a, save, notify})
		})
	}
	return all
}

const countRules = `
rules:
  - id: failing
    title: A principal fails a lot
    severity: medium
    match: {eventName: Fail}
    threshold: {count: 12, window: 10m, group_by: [userIdentity.arn]}
`

// Alerts carry the evidence that the embedded engine's do: with everything in
// the cache, with nothing in it, and after a takeover. Beyond the retention of
// the log the IDs remain.
func TestEvidence(t *testing.T) {
	t.Parallel()
	rs := compile(t, countRules)
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	const n = 14
	var events [][]byte
	for i := range n {
		events = append(events, event(fmt.Sprintf("e-%02d", i), at.Add(time.Duration(i)*time.Second), "joe", "Fail", `,"sourceIPAddress":"192.0.2.7"`))
	}
	reference, _ := embedded(t, rs, events, alerting.Options{})
	want := reference[len(reference)-1]
	if want.Count != n || len(want.Events) != 10 {
		t.Fatalf("the reference has count %d and %d events", want.Count, len(want.Events))
	}
	for name, cut := range map[string]struct {
		cache, restart, retention bool
	}{
		"cached": {cache: true}, "from the log": {}, "after a restart": {cache: true, restart: true}, "beyond the log": {restart: true, retention: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testBroker(t)
			cl := testClient(t, c)
			alerts := readAlerts(t, c)
			small := func(o *Options) {
				if !cut.cache {
					o.CacheBytes = 1
				}
			}
			w := start(t, c, "a", rs, small)
			put(t, cl, 0, events[:6]...)
			settled(t, 6, w)
			if cut.restart {
				w.stop(t)
			}
			if cut.retention {
				for p := range int32(testPartitions) {
					if err := c.DeleteRecords(names.Repartition(), p, -1); err != nil {
						t.Fatal(err)
					}
				}
			}
			if cut.restart {
				start(t, c, "b", rs, small)
			}
			put(t, cl, 0, events[6:n-2]...)
			eventually(t, "it fires", func() bool { return alerts.count("failing", sinks.Firing) > 0 })
			put(t, cl, 0, events[n-2:]...)
			var got *sinks.Alert
			eventually(t, "everything is counted", func() bool {
				list := alerts.seen()
				got = list[len(list)-1]
				return got.Count == n
			})
			if !slices.Equal(got.EventIDs, want.EventIDs) || got.SourceIP != want.SourceIP || got.EventID != want.EventID {
				t.Errorf("event IDs %v, want %v; %s, %s", got.EventIDs, want.EventIDs, got.SourceIP, got.EventID)
			}
			if cut.retention {
				if !got.EvidenceCut || len(got.Events) != 7 {
					t.Errorf("cut %v, %d events", got.EvidenceCut, len(got.Events))
				}
				return
			}
			if d := cmp.Diff(texts(want.Events), texts(got.Events)); d != "" || got.EvidenceCut {
				t.Errorf("cut %v, events (-want +got)\n%s", got.EvidenceCut, d)
			}
		})
	}
}

func texts(events []json.RawMessage) (out []string) {
	for _, ev := range events {
		out = append(out, string(ev))
	}
	return out
}
