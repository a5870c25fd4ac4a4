package fleet

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/alerting"
)

// of says that a request belongs to a transaction of one stage.
func of(stage string, req kmsg.Request) bool {
	var id *string
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		id = r.TransactionID
	case *kmsg.TxnOffsetCommitRequest:
		id = &r.TransactionalID
	case *kmsg.EndTxnRequest:
		id = &r.TransactionalID
	}
	return id != nil && strings.HasPrefix(*id, names.TransactionalIDs()+stage+"-")
}

// everyNth fails each n-th request of a kind of one stage.
func everyNth(c *kfake.Cluster, key kmsg.Key, stage string, n int, err *kerr.Error) *kfake.FaultHandle {
	count := 0
	var last kmsg.Request // asked about once for each entity in it
	return c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err, Count: -1, When: func(req kmsg.Request) bool {
		if !of(stage, req) {
			return false
		}
		if req != last {
			last = req
			count++
		}
		return count%n == 0
	}})
}

// loseEnds cuts all connections at each n-th end of a transaction of one stage,
// for longer than the client tries; the first try has its effect before that or
// not. It answers how many were cut. Transactions have to be quick.
func loseEnds(t testing.TB, c *kfake.Cluster, stage string, n int, apply bool) *atomic.Int64 {
	t.Helper()
	raw := testClient(t, c)
	var own bool // raw's request is on its way
	count := 0
	cut := new(atomic.Int64)
	until := make(map[string]time.Time) // cut until then, by transactional ID
	c.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if own || !of(stage, req) {
			return nil, nil, false
		}
		id := req.(*kmsg.EndTxnRequest).TransactionalID
		if time.Now().Before(until[id]) {
			return nil, errors.New("cut"), true
		}
		if count++; count%n != 0 {
			return nil, nil, false
		}
		cut.Add(1)
		until[id] = time.Now().Add(2 * shortTransaction)
		if apply {
			again := kmsg.RequestForKey(int16(kmsg.EndTxn))
			again.SetVersion(req.GetVersion())
			if err := again.ReadFrom(req.AppendTo(nil)); err != nil {
				panic(err)
			}
			own = true
			c.SleepControl(func() { _, _ = raw.Request(context.Background(), again) })
			own = false
		}
		return nil, errors.New("cut"), true
	})
	return cut
}

// shortTransaction is how long a client tries where answers are lost.
const shortTransaction = 300 * time.Millisecond

func impatient(o *Options) { o.TransactionTimeout = shortTransaction }

// Trap 1: what an aborted transaction has changed in memory is undone, and its
// records count once when they are applied again. A lost answer is no abort.
func TestAbortsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 7, 4_000)
	alerts, counted := embedded(t, rs, events, alerting.Options{})
	want := final(alerts)
	hits := func(h *kfake.FaultHandle) func() int { return h.Hits }
	for name, inject := range map[string]func(t *testing.T, c *kfake.Cluster) (failed func() int){
		"alert stage's offsets": func(_ *testing.T, c *kfake.Cluster) func() int {
			return hits(everyNth(c, kmsg.TxnOffsetCommit, "alert", 3, kerr.IllegalGeneration))
		},
		"match stage's offsets": func(_ *testing.T, c *kfake.Cluster) func() int {
			return hits(everyNth(c, kmsg.TxnOffsetCommit, "match", 2, kerr.IllegalGeneration))
		},
		"alert stage's records": func(_ *testing.T, c *kfake.Cluster) func() int {
			return hits(everyNth(c, kmsg.Produce, "alert", 4, kerr.PolicyViolation))
		},
		"match stage's records": func(_ *testing.T, c *kfake.Cluster) func() int {
			return hits(everyNth(c, kmsg.Produce, "match", 2, kerr.PolicyViolation))
		},
		"alert stage's end": func(_ *testing.T, c *kfake.Cluster) func() int {
			return hits(everyNth(c, kmsg.EndTxn, "alert", 4, kerr.TransactionAbortable))
		},
		"match stage's end": func(_ *testing.T, c *kfake.Cluster) func() int {
			return hits(everyNth(c, kmsg.EndTxn, "match", 2, kerr.TransactionAbortable))
		},
		"alert stage's end unanswered, durable": func(t *testing.T, c *kfake.Cluster) func() int {
			n := loseEnds(t, c, "alert", 4, true)
			return func() int { return int(n.Load()) }
		},
		"alert stage's end unanswered, aborted": func(t *testing.T, c *kfake.Cluster) func() int {
			n := loseEnds(t, c, "alert", 4, false)
			return func() int { return int(n.Load()) }
		},
		"match stage's end unanswered, durable": func(t *testing.T, c *kfake.Cluster) func() int {
			n := loseEnds(t, c, "match", 2, true)
			return func() int { return int(n.Load()) }
		},
		"match stage's end unanswered, aborted": func(t *testing.T, c *kfake.Cluster) func() int {
			n := loseEnds(t, c, "match", 2, false)
			return func() int { return int(n.Load()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testBroker(t)
			failed := inject(t, c)
			alerts := readAlerts(t, c)
			var change []func(*Options)
			if strings.Contains(name, "unanswered") {
				change = append(change, impatient)
			}
			change = append(change, quiet)
			a, b := start(t, c, "a", rs, change...), start(t, c, "b", rs, change...)
			cl := testClient(t, c)
			for i := 0; i < len(events); i += 500 { // over several commits
				produce(t, cl, events[i:i+500])
				alerts.waitForSome(t, len(want)*i/len(events)/2)
			}
			alerts.waitFor(t, want)
			got := settled(t, len(events), a, b)
			if got.Matched != counted.Matched || got.Duplicate != counted.Duplicate || got.Conflicts != counted.Conflicts {
				t.Errorf("matched %d, duplicate %d, conflicts %d, want %d, %d, %d",
					got.Matched, got.Duplicate, got.Conflicts, counted.Matched, counted.Duplicate, counted.Conflicts)
			}
			if failed() == 0 {
				t.Error("nothing has failed")
			}
			if d := cmp.Diff(0, len(alerts.bad)); d != "" {
				t.Error(d)
			}
		})
	}
}
