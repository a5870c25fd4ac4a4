package fleet

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// written is a way that notes the dead letters of each bundle.
type written map[string]int

func (w written) commit(_ context.Context, s *matchStage) error {
	for name, b := range s.bundles {
		w[name] += len(b.dead)
	}
	return nil
}

func (written) close() {}

// What an interval holds of a partition that was lost is not written when the
// partition comes back in the same interval: the next stay reads it again. That
// holds for dead letters, too.
func TestLostPartitionTakesItsDeadLettersAlong(t *testing.T) {
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
	w := written{}
	s := newMatchStage(f, w)
	if err := s.Begin(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"trail/2", "trail/21"} {
		s.Txn().Position(p, []byte("25"))
		s.Txn().DeadLetter(p+"@24", "broken", []byte("{"))
	}
	s.Lost("trail/2")
	s.Txn().Position("trail/2", []byte("20"))
	if err := s.Txn().Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w["trail/2"] != 0 || w["trail/21"] != 1 {
		t.Errorf("dead letters by partition: %v", w)
	}
}

// The largest events that are read can be counted and shown, too.
func TestLargeEvents(t *testing.T) {
	t.Parallel()
	rs := compile(t, manyRules)
	c := testBroker(t)
	cl := testClient(t, c, kgo.ProducerBatchMaxBytes(2<<20))
	alerts := readAlerts(t, c)
	w := start(t, c, "w", rs, quiet)
	at := time.Now().Add(-time.Minute)
	large := event("large", at, "u", "Fail", fmt.Sprintf(`,"requestParameters":{"text":%q}`, strings.Repeat("x", 1_030_000)))
	put(t, cl, 0, large, event("next", at, "u", "Fail", ""))
	settled(t, 2, w)
	eventually(t, "both alert", func() bool { return alerts.count("every", sinks.Firing) == 2 })
}
