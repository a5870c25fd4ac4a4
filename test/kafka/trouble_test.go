//go:build unix

package kafka

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

// A broker that hangs for 15 s with its connections open makes the worker
// unready for as long, and nothing else.
func TestPausedBroker(t *testing.T) {
	b := newBench(t, shared(t))
	group := topicName(t, "g")
	finished := b.fill(t, harness.Busy(t, 20_000), 10*time.Second)
	w := b.start(t, group)
	b.untilReady(t, w, "")
	w.RunFor(t, 3*time.Second)
	if err := b.c.Node(1).Pause(); err != nil {
		t.Fatal(err)
	}
	w.RunFor(t, 15*time.Second)
	if err := b.ready(t); err == nil {
		t.Error("the worker says that it is ready while the broker hangs")
	}
	if err := b.c.Node(1).Resume(); err != nil {
		t.Fatal(err)
	}
	b.untilReady(t, w, "")
	finished()
	b.drained(t, w, group)
	w.Stop(t)
	b.proven(t)
}

// numbered are events that the rule plain matches, each with an ID of its own.
func numbered(from, to int) [][]byte {
	var all [][]byte
	for i := from; i < to; i++ {
		all = append(all, fmt.Appendf(nil, `{"eventName":"AssumeRole","readOnly":false,"eventID":"e-%d","eventTime":%q,"recipientAccountId":"111122223333"}`,
			i, time.Now().UTC().Format(time.RFC3339)))
	}
	return all
}

// untilSent waits until the alerts topic holds an alert for each of n numbered
// events, and fails the test when one of them has two.
func (b *bench) untilSent(t *testing.T, w *harness.Worker, n int) {
	t.Helper()
	have := make(map[string]string)
	if !harness.Until(t, time.Minute, func() bool {
		w.Alive(t)
		for _, a := range harness.Alerts(t, b.sent(t)) {
			if other := have[*a.EventID]; other != "" && other != a.AlertID {
				t.Fatalf("event %s has the alerts %s and %s", *a.EventID, other, a.AlertID)
			}
			have[*a.EventID] = a.AlertID
		}
		return len(have) >= n
	}) {
		t.Fatalf("alerts of %d events of %d\n%s", len(have), n, w.Stderr())
	}
	if len(have) > n {
		t.Errorf("alerts of %d events of %d", len(have), n)
	}
}

// A topic that is deleted and made again is read from its new start.
func TestRemadeTopic(t *testing.T) {
	b := newBench(t, shared(t))
	w := b.start(t, topicName(t, "g"))
	b.fill(t, numbered(0, 400), 0)()
	b.untilSent(t, w, 400)
	adm := admin(t, b.c)
	if _, err := adm.DeleteTopic(t.Context(), b.topic); err != nil {
		t.Fatal(err)
	}
	b.untilReady(t, w, b.topic)
	if !harness.Until(t, time.Minute, func() bool {
		_, err := adm.CreateTopic(t.Context(), partitions, -1, nil, b.topic)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) { // it is still going
			t.Fatal(err)
		}
		return err == nil
	}) {
		t.Fatal("the topic cannot be made again")
	}
	b.fill(t, numbered(400, 600), 0)() // fewer than were read before
	b.untilSent(t, w, 600)
	b.untilReady(t, w, "")
	w.Stop(t)
}

// Brokers are killed, stopped and started under a running worker, and leaders
// are elected: nothing is lost and nothing comes twice.
func TestElectionsAndRestarts(t *testing.T) {
	c := kafkabroker.Start(t, kafkabroker.Options{Nodes: 3})
	b := newBench(t, c)
	group := topicName(t, "g")
	finished := b.fill(t, harness.Busy(t, 20_000), 25*time.Second)
	w := b.start(t, group)
	b.untilReady(t, w, "")
	adm := admin(t, c)
	for _, step := range []struct {
		node int
		down func(*kafkabroker.Node) error
	}{
		{1, (*kafkabroker.Node).Kill},
		{2, (*kafkabroker.Node).Stop},
		{3, (*kafkabroker.Node).Kill},
	} {
		n := c.Node(step.node)
		if err := step.down(n); err != nil {
			t.Fatal(err)
		}
		w.RunFor(t, 3*time.Second)
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.RunFor(t, time.Second)
		// All leaders go to where they were at first.
		if _, err := adm.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, nil); err != nil {
			t.Fatal(err)
		}
	}
	finished()
	b.drained(t, w, group)
	b.untilReady(t, w, "")
	w.Stop(t)
	b.proven(t)
}

// A single broker that restarts, orderly or not, is waited for.
func TestBrokerRestarts(t *testing.T) {
	c := kafkabroker.Start(t, kafkabroker.Options{})
	b := newBench(t, c)
	w := b.start(t, topicName(t, "g"))
	all := 0
	for _, down := range []func(*kafkabroker.Node) error{(*kafkabroker.Node).Stop, (*kafkabroker.Node).Kill} {
		b.fill(t, numbered(all, all+200), 0)()
		all += 200
		b.untilSent(t, w, all)
		if err := down(c.Node(1)); err != nil {
			t.Fatal(err)
		}
		if !harness.Until(t, time.Minute, func() bool { return b.ready(t) != nil }) {
			t.Error("the worker says that it is ready without a broker")
		}
		if err := c.Node(1).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.fill(t, numbered(all, all+200), 0)()
	b.untilSent(t, w, all+200)
	b.untilReady(t, w, "")
	w.Stop(t)
}
