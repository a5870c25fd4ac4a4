package outbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/deliver"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// channel is a receiver that all workers deliver to.
type channel struct {
	mu     sync.Mutex
	got    map[string]int
	broken bool // refuses the alert "bad"
}

func (c *channel) Write(_ context.Context, alerts []*sinks.Alert) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed []sinks.Failure
	for i, a := range alerts {
		if c.broken && a.AlertID == "bad" {
			failed = append(failed, sinks.Failure{Index: i, Err: errors.New("not this one")})
			continue
		}
		c.got[a.AlertID]++
	}
	return sinks.Partial(failed)
}

func (c *channel) Close(context.Context) error { return nil }

func (c *channel) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.got)
}

// run delivers with a worker of its own until stop.
func (f *fleet) run(sink sinks.Sink) (stop func()) {
	f.t.Helper()
	w := f.open()
	r, err := deliver.New(deliver.Options{Outbox: w.Outbox, Routes: []deliver.Route{{
		Name: "soc", Sink: sink, Batch: 7, From: engine.FromOldest,
		Retry: sinks.RetryPolicy{Initial: 50 * time.Millisecond, Max: 100 * time.Millisecond},
	}}})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := errors.Join(<-ended, w.Close()); err != nil {
			f.t.Errorf("stop: %v", err)
		}
	}
}

// TestWorkersComeAndGo: workers join, leave and take over while alerts flow and
// one of them fails: each is delivered once, for all of them stop cleanly.
func TestWorkersComeAndGo(t *testing.T) {
	f := newFleet(t, 2, "soc")
	ch := &channel{got: map[string]int{}, broken: true}
	want := map[string]int{}
	tell := func(names ...string) {
		f.tell(names...)
		for _, n := range names {
			want[n[:len(n)-2]] = 1
		}
	}
	all := func(what string) {
		t.Helper()
		expected := maps.Clone(want)
		delete(expected, "bad")
		until(t, what, func() bool { return len(ch.counts()) >= len(expected) })
		if d := cmp.Diff(expected, ch.counts()); d != "" {
			t.Fatalf("%s: delivered (-want +got):\n%s", what, d)
		}
	}
	stopOne := f.run(ch)
	tell("a1@0", "bad@0", "a2@0", "a3@1")
	all("one worker")
	stopTwo := f.run(ch)
	for i := range 5 {
		tell(numbered("b", 10*i, 10*i+1)[0]+"@0", numbered("b", 10*i+1, 10*i+2)[0]+"@1")
		all("two workers")
	}
	stopOne()
	tell("c1@0", "c2@1")
	all("the second alone")
	stopTwo()
	tell("d1@0", "d2@1")
	stopThree := f.run(ch)
	all("a third")
	ch.mu.Lock()
	ch.broken = false
	ch.mu.Unlock()
	until(t, "the one that failed", func() bool { return ch.counts()["bad"] == 1 })
	until(t, "no lag", func() bool { return f.committed("soc") >= 4 })
	stopThree()
	if d := cmp.Diff(want, ch.counts()); d != "" {
		t.Errorf("delivered (-want +got):\n%s", d)
	}
}

// TestUnansweredEnd: the broker ends the transaction and its answer is lost: the
// dead letter is there once.
func TestUnansweredEnd(t *testing.T) {
	for name, commits := range map[string]bool{"it was durable": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1, "soc")
			w := f.open()
			w.register(t, engine.FromOldest, "soc")
			f.tell("a", "b")
			entries := w.read(t, "soc", "a", "b")
			other := f.client()
			var once sync.Once
			f.cluster.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
				cut := false
				once.Do(func() { cut = true })
				if !cut {
					return nil, nil, false
				}
				if commits {
					// The transaction ends, and the asker never hears of it.
					own := *req.(*kmsg.EndTxnRequest)
					f.cluster.SleepControl(func() {
						if _, err := own.RequestWith(context.Background(), other); err != nil {
							t.Errorf("end: %v", err)
						}
					})
				}
				return nil, errors.New("cut"), true
			})
			dead := engine.DeadLetter{Seq: entries[0].Seq, AlertID: "a", Sink: "soc", Reason: "no", Body: []byte("{}")}
			until(t, "settled", func() bool {
				return w.Settle(t.Context(), "soc", entries[0].Seq, []engine.DeadLetter{dead}, nil) == nil
			})
			w.read(t, "soc", "b")
			if l := f.letters("soc"); len(l) != 1 {
				t.Errorf("dead letters %+v", l)
			}
			if at := f.committed("soc"); at != 1 {
				t.Errorf("place %d", at)
			}
		})
	}
}

// TestBrokerFails: a broker that refuses for a while loses nothing.
func TestBrokerFails(t *testing.T) {
	f := newFleet(t, 1, "soc")
	ch := &channel{got: map[string]int{}}
	stop := f.run(ch)
	defer stop()
	f.tell("a")
	until(t, "a", func() bool { return ch.counts()["a"] == 1 })
	refused := 0
	f.cluster.ControlKey(int16(kmsg.TxnOffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if refused++; refused > 3 {
			return nil, nil, false
		}
		f.cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, rt := range req.(*kmsg.TxnOffsetCommitRequest).Topics {
			st := kmsg.NewTxnOffsetCommitResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				sp.Partition, sp.ErrorCode = rp.Partition, kerr.IllegalGeneration.Code
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
	f.tell("b", "c")
	until(t, "the place moves", func() bool { return f.committed("soc") >= 4 })
	got := slices.Sorted(maps.Keys(ch.counts()))
	if d := cmp.Diff(map[string]int{"a": 1, "b": 1, "c": 1}, ch.counts()); d != "" {
		t.Errorf("%v (-want +got):\n%s", got, d)
	}
}
