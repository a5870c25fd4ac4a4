package fleet

import (
	"context"
	"testing"
	"time"

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
