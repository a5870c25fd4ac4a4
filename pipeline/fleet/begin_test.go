package fleet

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine"
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
			if err := refused.Wait(t.Context(), 5); err != nil {
				t.Fatal(err)
			}
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
