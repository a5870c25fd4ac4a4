package fleet

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/alerting"
)

// Whatever the brokers refuse or do not answer, the worker waits, says that it
// is not ready and why, goes on when they are back, and has lost nothing.
func TestTroubleIsWaitedOut(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 31, 3_000)
	reference, counted := embedded(t, rs, events, alerting.Options{})
	want := final(reference)
	refuse := func(err *kerr.Error, keys ...kmsg.Key) func(*kfake.Cluster) func() {
		return func(c *kfake.Cluster) func() {
			return c.Fault(kfake.Fault{Keys: keys, Err: err, Count: -1}).Remove
		}
	}
	for name, begin := range map[string]func(c *kfake.Cluster) (end func()){
		"brokers away": func(c *kfake.Cluster) func() {
			var back atomic.Bool
			c.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
				if back.Load() {
					c.DropControl()
					return nil, nil, false
				}
				c.KeepControl()
				return nil, errors.New("away"), true
			})
			return func() { back.Store(true) }
		},
		"no leader":                 refuse(kerr.NotLeaderForPartition, kmsg.Produce, kmsg.Fetch),
		"coordinators away":         refuse(kerr.CoordinatorNotAvailable, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.InitProducerID, kmsg.Heartbeat),
		"topics not authorised":     refuse(kerr.TopicAuthorizationFailed, kmsg.Produce, kmsg.Fetch, kmsg.AddPartitionsToTxn),
		"transactions not allowed":  refuse(kerr.TransactionalIDAuthorizationFailed, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.InitProducerID),
		"groups not allowed":        refuse(kerr.GroupAuthorizationFailed, kmsg.TxnOffsetCommit, kmsg.Heartbeat, kmsg.JoinGroup, kmsg.OffsetFetch),
		"records are not taken now": refuse(kerr.KafkaStorageError, kmsg.Produce),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testBroker(t)
			alerts := readAlerts(t, c)
			w := start(t, c, "a", rs, quiet, impatient)
			cl := testClient(t, c)
			half := len(events) / 2
			produce(t, cl, events[:half])
			alerts.waitForSome(t, len(want)/4)
			eventually(t, "ready", func() bool { return w.f.Ready() == nil })
			end := begin(c)
			var why error
			// The trail's own producer would be refused, too.
			later := slices.Contains([]string{"brokers away", "no leader", "records are not taken now", "topics not authorised"}, name)
			if !later {
				produce(t, cl, events[half:])
			}
			eventually(t, "it says that it is not ready", func() bool {
				why = w.f.Ready()
				return why != nil
			})
			t.Log(why)
			end()
			if later {
				produce(t, cl, events[half:])
			}
			alerts.waitFor(t, want)
			got := settled(t, len(events), w)
			if d := cmp.Diff([]int64{counted.Matched, counted.Duplicate}, []int64{got.Matched, got.Duplicate}); d != "" {
				t.Errorf("matched and duplicate (-want +got)\n%s", d)
			}
			eventually(t, "ready again", func() bool { return w.f.Ready() == nil })
		})
	}
}
