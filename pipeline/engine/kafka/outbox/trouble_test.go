package outbox

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// refuse has the broker deny the alerts topic to requests of these keys.
func (f *fleet) refuse(keys ...kmsg.Key) *kfake.FaultHandle {
	return f.cluster.Fault(kfake.Fault{Keys: keys, Topic: f.names.Alerts(), Count: -1, Err: kerr.TopicAuthorizationFailed})
}

// An error that comes with records does not take them away: the client would
// not bring them again.
func TestErrorBesideRecords(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a", "b", "c")
	if got, err := w.Read(t.Context(), "soc", 1); err != nil || len(got) != 1 {
		t.Fatalf("reads %v, %v", names(got), err)
	}
	// The client has the others, and learns that it may not read the topic.
	refused := f.refuse(kmsg.Metadata)
	cl := w.consumers["soc"].cl
	until(t, "refusals", func() bool {
		cl.ForceMetadataRefresh()
		return refused.Hits() > 2
	})
	if _, err := w.Read(t.Context(), "soc", 10); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("read of a topic that is denied: %v", err)
	}
	refused.Remove()
	f.writer = f.client(kgo.TransactionalID("another"), kgo.RecordPartitioner(kgo.ManualPartitioner())) // the first may have been refused, too
	f.tell("d")
	var got []engine.Entry
	until(t, "all of them", func() bool {
		var err error
		got, err = w.Read(t.Context(), "soc", 10)
		return err == nil && len(got) > 0 && got[len(got)-1].Alert.AlertID == "d"
	})
	if len(got) != 4 {
		t.Errorf("reads %v", names(got))
	}
}

// A gap that an aborted transaction leaves asks nobody anything: what comes
// after it is read whatever the brokers refuse meanwhile.
func TestGapWhileBrokersRefuse(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a", "b")
	if got, err := w.Read(t.Context(), "soc", 1); err != nil || len(got) != 1 {
		t.Fatalf("reads %v, %v", names(got), err)
	}
	// The client fetches no more before the rest is taken: then all at once.
	refused := f.refuse(kmsg.ListOffsets)
	f.transact(kgo.TryAbort, "aborted")
	f.tell("c")
	var got []engine.Entry
	until(t, "what follows the gap", func() bool {
		var err error
		if got, err = w.Read(t.Context(), "soc", 10); err != nil {
			refused.Remove()
			f.tell("d")
		}
		return len(got) >= 3
	})
	if got := names(got); got[2] != "c" {
		t.Errorf("reads %v", got)
	}
	if lost := w.metric("trailtide_outbox_lost_total"); lost != 0 {
		t.Errorf("%v lost", lost)
	}
}

// refuseOffset has the broker deny a member of a group its offset of partition
// 0, once: the client does not ask again.
func (f *fleet) refuseOffset() *kfake.FaultHandle {
	return f.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.OffsetFetch}, Topic: f.names.Alerts(), Partitions: []int32{0}, Err: kerr.TopicAuthorizationFailed,
		When: func(req kmsg.Request) bool {
			groups := req.(*kmsg.OffsetFetchRequest).Groups
			return len(groups) == 1 && groups[0].MemberID != nil
		},
	})
}

func TestOffsetRefusedToSink(t *testing.T) {
	f := newFleet(t, 2, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a@0", "b@1")
	refused := f.refuseOffset()
	until(t, "both partitions", func() bool {
		got, err := w.Read(t.Context(), "soc", 10)
		if err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Error(err)
		}
		return len(got) == 2
	})
	if refused.Hits() != 1 {
		t.Errorf("%d offsets were refused", refused.Hits())
	}
}

func TestOffsetRefusedToStore(t *testing.T) {
	f := newFleet(t, 2)
	path := filepath.Join(t.TempDir(), "alerts.db")
	f.tell("a@0", "b@1")
	for _, want := range [][]string{{"a", "b"}, {"a", "b", "c"}} { // a new file, and one that stands somewhere
		refused := f.refuseOffset()
		s, stop := f.store(path)
		until(t, "alerts of both partitions", func() bool { return slices.Equal(stored(t, s), want) })
		if refused.Hits() != 1 {
			t.Errorf("%d offsets were refused", refused.Hits())
		}
		stop()
		f.tell("c@0")
	}
}
