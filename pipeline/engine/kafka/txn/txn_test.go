package txn_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	out   = "out"
	in    = "in"
	group = "workers"
)

// cluster is a kfake.Cluster, or a real one.
type cluster interface{ ListenAddrs() []string }

// releases are brokers on both sides of KIP-890 and of KIP-664.
var releases = map[string]*kversion.Versions{
	"2.5": kversion.V2_5_0(), "3.9": kversion.V3_9_0(), "newest": nil,
}

func eachRelease(t *testing.T, test func(*testing.T, *kfake.Cluster)) {
	for name, v := range releases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newCluster(t, v))
		})
	}
}

func newCluster(t testing.TB, v *kversion.Versions) *kfake.Cluster {
	t.Helper()
	opts := []kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(2, out, in), kfake.GroupMinSessionTimeout(time.Second)}
	if v != nil {
		opts = append(opts, kfake.MaxVersions(v))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func options(t testing.TB, c cluster) txn.Options {
	return txn.Options{
		Client: client.Options{Brokers: c.ListenAddrs()}, ID: "t-0",
		Timeout: 5 * time.Second, MetadataMinAge: 50 * time.Millisecond,
		Log: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)),
	}
}

func open(t testing.TB, o txn.Options) *txn.Producer {
	t.Helper()
	p, err := txn.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// values makes one record for each number.
func values(numbers ...int) (records []*kgo.Record) {
	for _, n := range numbers {
		records = append(records, &kgo.Record{Topic: out, Partition: int32(n % 2), Value: []byte(strconv.Itoa(n))})
	}
	return records
}

// upTo are offsets of a group without members.
func upTo(n int) *txn.Offsets {
	o := &txn.Offsets{Group: group, Generation: -1}
	o.Add(in, 0, txn.Offset{Offset: int64(n), Epoch: -1})
	o.Add(in, 1, txn.Offset{Offset: int64(2 * n), Epoch: -1, Metadata: "m"})
	return o
}

func newClient(t testing.TB, c cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...), kgo.MetadataMinAge(50*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// committed reads what read_committed readers see, sorted.
func committed(t testing.TB, c cluster) (numbers []int) {
	t.Helper()
	cl := newClient(t, c, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(50*time.Millisecond), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{out: {0: kgo.NewOffset().AtStart(), 1: kgo.NewOffset().AtStart()}}))
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%v, with %v not reached", err, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() {
				n, err := strconv.Atoi(string(r.Value))
				if err != nil {
					t.Fatal(err)
				}
				numbers = append(numbers, n)
			}
		})
	}
	slices.Sort(numbers)
	return numbers
}

func groupAt(t testing.TB, c cluster) map[int32]int64 {
	t.Helper()
	cl := newClient(t, c)
	defer cl.Close()
	resp, err := kadm.NewClient(cl).FetchOffsets(kadm.RequireStable(t.Context()), group)
	if err != nil {
		t.Fatal(err)
	}
	at := map[int32]int64{}
	resp.Each(func(o kadm.OffsetResponse) { at[o.Partition] = o.At })
	return at
}

func wantState(t testing.TB, c cluster, numbers []int, n int) {
	t.Helper()
	if d := cmp.Diff(numbers, committed(t, c)); d != "" {
		t.Errorf("committed values (-want +got):\n%s", d)
	}
	at := map[int32]int64{0: int64(n), 1: int64(2 * n)}
	if n == 0 {
		at = map[int32]int64{}
	}
	if got := groupAt(t, c); !maps.Equal(at, got) {
		t.Errorf("the group stands at %v, want %v", got, at)
	}
}

func TestCommitsRecordsAndOffsets(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
		p := open(t, options(t, c))
		if err := p.Commit(t.Context(), nil, upTo(1)); err == nil {
			t.Error("a transaction without records is accepted")
		}
		for n := range 5 {
			if err := p.Commit(t.Context(), values(2*n, 2*n+1), upTo(n+1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Commit(t.Context(), values(10)); err != nil {
			t.Fatal(err)
		}
		wantState(t, c, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 5)
		p.Close()
		if err := p.Commit(t.Context(), values(11)); err == nil {
			t.Error("a closed producer commits")
		}
	})
}

// cut drops the connection instead of answering requests of the key, until
// heal is called or count of them are cut. With apply the first has its effect
// all the same.
func cut(t testing.TB, c *kfake.Cluster, key kmsg.Key, count int32, apply bool) (heal func()) {
	t.Helper()
	raw := newClient(t, c)
	var own atomic.Bool // raw's request is on its way
	left, applied := count, !apply
	var healed atomic.Bool
	c.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if own.Load() || left == 0 || healed.Load() {
			return nil, nil, false
		}
		left--
		if !applied {
			applied = true
			again := kmsg.RequestForKey(int16(key))
			again.SetVersion(req.GetVersion())
			if err := again.ReadFrom(req.AppendTo(nil)); err != nil {
				panic(err)
			}
			own.Store(true)
			c.SleepControl(func() { _, _ = raw.Request(context.Background(), again) })
			own.Store(false)
		}
		return nil, errors.New("cut"), true
	})
	return func() { healed.Store(true) }
}

// commit calls Commit as the engine's contract says until it is durable.
func commit(t testing.TB, p *txn.Producer, records []*kgo.Record, offsets ...*txn.Offsets) (failures int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		err := p.Commit(ctx, records, offsets...)
		if err == nil {
			return failures
		}
		if ctx.Err() != nil || !errors.Is(err, engine.ErrAborted) && !errors.Is(err, engine.ErrUnavailable) {
			t.Fatalf("commit: %v", err)
		}
		failures++
	}
}

// Whatever is cut off, and whether or not it had its effect, each record is
// there once, and with it the offsets.
func TestExactlyOnceUnderCuts(t *testing.T) {
	t.Parallel()
	for _, key := range []kmsg.Key{
		kmsg.Produce, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.InitProducerID,
	} {
		for _, apply := range []bool{false, true} {
			if apply && key != kmsg.EndTxn && key != kmsg.TxnOffsetCommit {
				continue
			}
			for _, count := range []int32{1, 1 << 30} {
				if count > 1 && (key == kmsg.AddPartitionsToTxn || key == kmsg.AddOffsetsToTxn) {
					continue // as with TxnOffsetCommit
				}
				t.Run(fmt.Sprintf("%s apply %v times %d", key.Name(), apply, count), func(t *testing.T) {
					t.Parallel()
					eachRelease(t, func(t *testing.T, c *kfake.Cluster) {
						o := options(t, c)
						o.Timeout = 300 * time.Millisecond
						p := open(t, o)
						commit(t, p, values(0, 1), upTo(1))
						heal := cut(t, c, key, count, apply)
						defer time.AfterFunc(500*time.Millisecond, heal).Stop()
						commit(t, p, values(2, 3), upTo(2))
						commit(t, p, values(4), upTo(3))
						wantState(t, c, []int{0, 1, 2, 3, 4}, 3)
					})
				})
			}
		}
	}
}
