package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/sinks"
)

const (
	unchangedRule = `
  - id: unchanged
    title: The same before and after
    severity: low
    match: {eventName: Same}
    threshold: {count: 3, window: 30m, group_by: [userIdentity.arn]}
`
	oldRules = "rules:" + unchangedRule + `
  - id: failing
    title: Three failures
    severity: medium
    match: {eventName: Fail}
    threshold: {count: 3, window: 30m, group_by: [userIdentity.arn]}
`
	newRules = "rules:" + unchangedRule + `
  - id: failing
    title: Two failures
    severity: high
    match: {eventName: Fail}
    threshold: {count: 2, window: 30m, group_by: [userIdentity.arn]}
  - id: extra
    title: Only the new set has it
    severity: low
    match: {eventName: Extra}
    threshold: {count: 2, window: 30m, group_by: [userIdentity.arn]}
`
)

// Trap 4: in a rollout workers have different rules. Every match is counted by
// the rule that it was made with, also by an owner that knows another version of
// it or has never heard of it, and what has not changed goes on.
func TestRulesDifferDuringARollout(t *testing.T) {
	t.Parallel()
	before, after := compile(t, oldRules), compile(t, newRules)
	c := testBroker(t)
	if err := c.CreateTopic("elsewhere", 1, nil); err != nil {
		t.Fatal(err)
	}
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	const users = 8 // enough for every owner to have some
	n := 0
	send := func(name string) {
		for u := range users {
			n++
			put(t, cl, int32(u%trailPartitions), event(fmt.Sprintf("%s-%d", name, n), at.Add(time.Duration(n)*time.Second), fmt.Sprint("u", u), name, ""))
		}
	}
	// It counts only: its rules are the old ones all the time.
	old := start(t, c, "old", before, shared(t, c, func(o *kafka.Options) { o.Topics, o.Group = []string{"elsewhere"}, "elsewhere" }))
	w := start(t, c, "rolling", before)
	send("Fail")
	send("Fail")
	send("Same")
	settled(t, n, w, old)
	w.f.SetRules(after)
	send("Same")
	send("Fail")
	send("Extra")
	eventually(t, "the reload's matches are read", func() bool { return w.f.Summary().Read == int64(n) })
	if len(alerts.seen()) != 0 {
		t.Errorf("%d alerts: the new version counts what the old one did", len(alerts.seen()))
	}
	send("Fail")
	send("Extra")
	fired := func(rule string, k int) func() bool {
		return func() bool { return alerts.count(rule, sinks.Firing) == k }
	}
	eventually(t, "the new version fires", fired("failing", users))
	eventually(t, "the rule that one worker knows fires", fired("extra", users))
	for _, a := range alerts.seen() {
		if a.Count != 2 || a.RuleID == "failing" && (a.Title != "Two failures" || a.Severity != "high") {
			t.Errorf("%s is told with count %d, %q, %s", a.RuleID, a.Count, a.Title, a.Severity)
		}
	}
	// The rollout is taken back: a new worker with the old rules.
	w.stop(t)
	start(t, c, "back", before)
	send("Fail")
	send("Same")
	eventually(t, "the old version fires", fired("failing", 2*users))
	eventually(t, "what has not changed has counted all the time", fired("unchanged", users))
	for _, a := range alerts.seen() {
		if a.RuleID == "unchanged" && a.Count != 3 || a.Title == "Three failures" && a.Count != 3 {
			t.Errorf("%s is told with count %d", a.RuleID, a.Count)
		}
	}
}

// ended is the error that a worker ends with by itself.
func (r *running) ended(t testing.TB) error {
	t.Helper()
	select {
	case err := <-r.done:
		r.done <- nil
		return err
	case <-time.After(patience):
		t.Fatal("the worker goes on")
		return nil
	}
}

// A record of a newer version ends the worker with its reason, before anything
// is committed that it says.
func TestNewerRepartitionFormatEndsTheWorker(t *testing.T) {
	t.Parallel()
	rs := compile(t, oldRules)
	c := testBroker(t)
	cl := testClient(t, c)
	w := start(t, c, "a", rs, quiet)
	eventually(t, "all partitions are owned", func() bool { return owned(w) == testPartitions })
	newer := repartition.AppendMarker(nil, &repartition.Marker{Writer: "newer"})
	newer[0]++
	r := &kgo.Record{Topic: names.Repartition(), Partition: 2, Value: newer}
	if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	err := w.ended(t)
	if err == nil || !strings.Contains(err.Error(), "newer version") || !strings.Contains(err.Error(), fmt.Sprintf("tt-repartition/2@%d", r.Offset)) {
		t.Errorf("the worker's end: %v, want one that names the record and the cause", err)
	}
	if at := committedOffsets(t, cl)[2]; at > r.Offset {
		t.Errorf("the group stands at %d, after the record at %d", at, r.Offset)
	}
	// Another worker of this version meets it again.
	if err := start(t, c, "b", rs, quiet).ended(t); err == nil {
		t.Error("the next worker goes on")
	}
}

// Another number of partitions is refused with what to do.
func TestOtherPartitionCountEndsTheWorker(t *testing.T) {
	t.Parallel()
	rs := compile(t, oldRules)
	at := time.Now().Add(-time.Hour)
	prepare := func(t *testing.T) (*kfake.Cluster, *kgo.Client) {
		c := testBroker(t)
		cl := testClient(t, c)
		a := start(t, c, "a", rs)
		for u := range 40 {
			put(t, cl, 0, event(fmt.Sprint("e", u), at, fmt.Sprint("u", u), "Fail", ""))
		}
		settled(t, 40, a)
		a.stop(t)
		return c, cl
	}
	t.Run("configured", func(t *testing.T) {
		t.Parallel()
		c, _ := prepare(t)
		err := start(t, c, "b", rs, quiet, func(o *Options) { o.Partitions = 3 }).ended(t)
		if err == nil || !strings.Contains(err.Error(), "another prefix") {
			t.Errorf("the worker's end: %v", err)
		}
	})
	t.Run("of the topic", func(t *testing.T) {
		t.Parallel()
		c, cl := prepare(t)
		if _, err := kadm.NewClient(cl).CreatePartitions(t.Context(), 2, names.Repartition()); err != nil {
			t.Fatal(err)
		}
		err := start(t, c, "b", rs, quiet).ended(t)
		if err == nil || !strings.Contains(err.Error(), "another prefix") {
			t.Errorf("the worker's end: %v", err)
		}
	})
}
