package fleet

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// A rebalance waits for a member for as long as its last commits may take, and
// not for the minute that is the client's default: a member that died while it
// joined would hold up everybody's alerts.
func TestRebalanceWaitsNoLongerThanARevocation(t *testing.T) {
	src, err := kafka.NewShared(kafka.Options{Client: client.Options{Brokers: []string{"127.0.0.1:1"}}, Topics: []string{trail}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{
		Client: client.Options{Brokers: []string{"127.0.0.1:1"}}, Names: names, Partitions: testPartitions, Worker: "w", Source: src,
		Match: pipeline.Options{Rules: compile(t, busyRules)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a, err := newAlertStage(ctx, cancel, f)
	if err != nil {
		t.Fatal(err)
	}
	close(a.started)
	defer a.cl.Close()
	if got := a.cl.OptValue(kgo.RebalanceTimeout); got != 10*time.Second {
		t.Errorf("a rebalance waits %v for a member", got)
	}
}

// A member that is given no partition is no longer in the trouble that it had
// before it joined.
func TestTroubleEndsWithTheNextAssignment(t *testing.T) {
	t.Parallel()
	w := start(t, testBroker(t), "a", compile(t, busyRules), quiet)
	eventually(t, "ready", func() bool { return w.f.Ready() == nil })
	w.f.readFailed(&kgo.ErrGroupSession{Err: kerr.CoordinatorNotAvailable})
	if w.f.Ready() == nil {
		t.Error("ready, though the group cannot be reached")
	}
	w.f.alert.assigned(t.Context(), nil, nil)
	if err := w.f.Ready(); err != nil {
		t.Errorf("not ready after an assignment of nothing: %v", err)
	}
}
