package txn_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

// during calls do once, while the broker holds the first request of the key back.
func during(c *kfake.Cluster, key kmsg.Key, do func()) {
	c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.DropControl()
		c.SleepControl(do)
		return nil, nil, false
	})
}

func TestSecondOpenFences(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
		o := options(t, c)
		var fenced atomic.Int32
		o.Fenced = func() { fenced.Add(1) }
		older := open(t, o)
		commit(t, older, values(0), upTo(1))
		newer := open(t, options(t, c))
		for n := range 2 { // and it stays so
			if n > 0 && !tells(t, c) {
				break
			}
			if err := older.Commit(t.Context(), values(1), upTo(2)); !errors.Is(err, engine.ErrFenced) {
				t.Errorf("commit of the older: %v, want ErrFenced", err)
			}
		}
		if fenced.Load() == 0 {
			t.Error("being fenced is not counted")
		}
		commit(t, newer, values(2), upTo(3))
		wantState(t, c, []int{0, 2}, 3)
	})
}

// tells says whether the brokers can be asked who holds an ID (KIP-664).
func tells(t testing.TB, c cluster) bool {
	t.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1"
	resp, err := req.RequestWith(t.Context(), newClient(t, c))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(resp.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		return k.ApiKey == int16(kmsg.DescribeTransactions)
	})
}

// The ID is taken in the middle of a transaction, at each of its steps.
func TestFencedInTheMiddle(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
				older := open(t, options(t, c))
				commit(t, older, values(0), upTo(1))
				var newer *txn.Producer
				during(c, key, func() {
					var err error
					if newer, err = txn.Open(context.Background(), options(t, c)); err != nil {
						t.Error(err)
					}
				})
				if err := older.Commit(t.Context(), values(1), upTo(2)); !errors.Is(err, engine.ErrFenced) {
					t.Errorf("commit of the older: %v, want ErrFenced", err)
				}
				defer newer.Close()
				commit(t, newer, values(2), upTo(3))
				wantState(t, c, []int{0, 2}, 3)
			})
		})
	}
}

// Nobody has taken the ID: the transaction only was too slow, and the
// coordinator has ended it.
func TestTimedOut(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			for _, release := range []string{"3.9", "newest"} {
				t.Run(release, func(t *testing.T) {
					c := newCluster(t, releases[release])
					o := options(t, c)
					o.Timeout = 300 * time.Millisecond
					p := open(t, o)
					commit(t, p, values(0), upTo(1))
					during(c, key, func() { <-time.After(400 * time.Millisecond) })
					err := p.Commit(t.Context(), values(1), upTo(2))
					if errors.Is(err, engine.ErrFenced) || !errors.Is(err, engine.ErrAborted) && !errors.Is(err, engine.ErrUnavailable) {
						t.Errorf("commit: %v, want ErrAborted or ErrUnavailable", err)
					}
					commit(t, p, values(1), upTo(2))
					wantState(t, c, []int{0, 1}, 2)
				})
			}
		})
	}
}

// A member that the group has put out commits nothing.
func TestStaleMembership(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
		var aborts atomic.Int32
		o := options(t, c)
		o.Aborted = func() { aborts.Add(1) }
		p := open(t, o)
		member := newClient(t, c, kgo.ConsumerGroup(group), kgo.ConsumeTopics(in), kgo.DisableAutoCommit(),
			kgo.SessionTimeout(2*time.Second), kgo.HeartbeatInterval(100*time.Millisecond))
		if _, err := c.WaitGroupStable(t.Context(), group, 1); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { id, generation := member.GroupMetadata(); return id != "" && generation > 0 })
		id, generation := member.GroupMetadata()
		of := func(n int, id string, generation int32) *txn.Offsets {
			o := upTo(n)
			o.Member, o.Generation = id, generation
			return o
		}
		commit(t, p, values(0), of(1, id, generation))
		for _, stale := range []*txn.Offsets{of(2, id, generation-1), of(2, "somebody", generation), of(2, id, generation+1)} {
			err := p.Commit(t.Context(), values(1), stale)
			if !errors.Is(err, txn.ErrMembership) || !errors.Is(err, engine.ErrAborted) {
				t.Errorf("commit: %v, want ErrMembership", err)
			}
		}
		if aborts.Load() != 3 {
			t.Errorf("%d aborts are counted, want 3", aborts.Load())
		}
		commit(t, p, values(2), of(2, id, generation))
		wantState(t, c, []int{0, 2}, 2)
	})
}

func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("it does not come about")
		case <-tick.C:
		}
	}
}

// Errors that pass are waited out inside Commit.
func TestWaitsOutWhatPasses(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
		p := open(t, options(t, c))
		commit(t, p, values(0), upTo(1))
		for n, f := range []kfake.Fault{
			{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorLoadInProgress, Count: 3},
			{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.NotCoordinator, Count: 2},
			{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.ConcurrentTransactions, Count: 2},
			{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RequestTimedOut},
			{Keys: []kmsg.Key{kmsg.AddOffsetsToTxn}, Err: kerr.ConcurrentTransactions, Count: 2},
			{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ConcurrentTransactions, Count: 2},
			{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.NotCoordinator, Count: 2},
			{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 2},
			{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: 2},
			{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend},
		} {
			h := c.Fault(f)
			if err := p.Commit(t.Context(), values(n+1), upTo(n+2)); err != nil {
				t.Errorf("%v %v: %v", f.Keys, f.Err, err)
			}
			h.Remove()
		}
		wantState(t, c, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 11)
	})
}

func TestCoordinatorsAndLeadersMove(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
		p := open(t, options(t, c))
		var want []int
		for n := range 30 {
			switch n % 3 {
			case 0:
				c.RehashCoordinators()
			case 1:
				c.ShufflePartitionLeaders()
			}
			want = append(want, n)
			commit(t, p, values(n), upTo(n+1))
		}
		wantState(t, c, want, 30)
	})
}

// What an operator can mend is waited for and says what is not allowed; what
// nobody can mend is an error of its own. Both leave the producer usable.
func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		fault kfake.Fault
		want  error
		says  string
	}{
		"topic":   {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1}, engine.ErrUnavailable, "not allowed"},
		"group":   {kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.GroupAuthorizationFailed, Count: -1}, engine.ErrUnavailable, group},
		"ID":      {kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.TransactionalIDAuthorizationFailed, Count: -1}, engine.ErrUnavailable, "not allowed"},
		"end":     {kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, TopLevel: true, Err: kerr.TransactionAbortable, Count: 1}, engine.ErrAborted, ""},
		"large":   {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: -1}, nil, out},
		"strange": {kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.UnsupportedForMessageFormat, Count: 1}, engine.ErrAborted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
				p := open(t, options(t, c))
				commit(t, p, values(0), upTo(1))
				h := c.Fault(tt.fault)
				for n := range 2 {
					err := p.Commit(t.Context(), values(1), upTo(2))
					switch {
					case tt.fault.Count == 1 && n == 1: // over
						if err != nil {
							t.Error(err)
						}
						continue
					case tt.want != nil && !errors.Is(err, tt.want), err == nil:
						t.Errorf("commit: %v, want %v", err, tt.want)
					case tt.want == nil && (errors.Is(err, engine.ErrAborted) || errors.Is(err, engine.ErrUnavailable) || errors.Is(err, engine.ErrFenced)):
						t.Errorf("commit: %v, want an error for good", err)
					}
					if !strings.Contains(err.Error(), tt.says) {
						t.Errorf("%v does not say %q", err, tt.says)
					}
				}
				h.Remove()
				n := 3
				if tt.fault.Count < 0 {
					commit(t, p, values(1), upTo(2))
				}
				commit(t, p, values(2), upTo(n))
				wantState(t, c, []int{0, 1, 2}, n)
			})
		})
	}
}

// A caller that goes in the middle leaves nothing behind.
func TestContextEnds(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.TxnOffsetCommit} {
		t.Run(key.Name(), func(t *testing.T) {
			eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
				p := open(t, options(t, c))
				commit(t, p, values(0), upTo(1))
				ctx, cancel := context.WithCancel(t.Context())
				held := make(chan struct{})
				during(c, key, func() { cancel(); <-held })
				err := p.Commit(ctx, values(1), upTo(2))
				close(held)
				if !errors.Is(err, engine.ErrAborted) || !errors.Is(err, context.Canceled) {
					t.Errorf("commit: %v, want ErrAborted and the context's error", err)
				}
				commit(t, p, values(2), upTo(2))
				wantState(t, c, []int{0, 2}, 2)
			})
		})
	}
}

// A commit that is asked for is not cut short by its caller's going.
func TestContextEndsAtTheEnd(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
		p := open(t, options(t, c))
		ctx, cancel := context.WithCancel(t.Context())
		during(c, kmsg.EndTxn, cancel)
		if err := p.Commit(ctx, values(1), upTo(1)); err != nil {
			t.Error(err)
		}
		wantState(t, c, []int{1}, 1)
	})
}

func TestBrokersAway(t *testing.T) {
	c := newCluster(t, nil)
	o := options(t, c)
	o.Timeout = 300 * time.Millisecond
	p := open(t, o)
	c.Close()
	for range 2 {
		if err := p.Commit(t.Context(), values(1), upTo(1)); !errors.Is(err, engine.ErrUnavailable) || errors.Is(err, txn.ErrUnsettled) {
			t.Errorf("commit: %v, want ErrUnavailable", err)
		}
	}
	if _, err := txn.Open(t.Context(), o); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("open: %v, want ErrUnavailable", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	c := newCluster(t, nil)
	for name, spoil := range map[string]func(*txn.Options){
		"no ID": func(o *txn.Options) { o.ID = "" }, "compression": func(o *txn.Options) { o.Compression = "rar" },
		"no brokers": func(o *txn.Options) { o.Client.Brokers = nil },
	} {
		o := options(t, c)
		spoil(&o)
		if _, err := txn.Open(t.Context(), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// BenchmarkCommit is a small transaction with offsets.
func BenchmarkCommit(b *testing.B) {
	c := newCluster(b, nil)
	p := open(b, options(b, c))
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		if err := p.Commit(b.Context(), values(n, n+1), upTo(n)); err != nil {
			b.Fatal(err)
		}
	}
}
