package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

func put(t testing.TB, e engine.Engine, p int, key, value string) {
	t.Helper()
	txn := begin(t, e, p)
	txn.Put(engine.Windows, []byte(key), []byte(value))
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// dying begins a transaction under the transactional ID of partition 0, as an
// owner does that dies before it ends it: the last record is written, and the
// partition's last stable offset stands before it.
func dying(t testing.TB, c *kfake.Cluster, key, value string) *kgo.Client {
	t.Helper()
	cl := newClient(t, c, kgo.TransactionalID(names.AlertGroup()+"-0"), kgo.TransactionTimeout(time.Minute))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	err := cl.ProduceSync(t.Context(), &kgo.Record{
		Topic: names.Changelog(), Partition: 0, Key: append([]byte{byte(engine.Windows)}, key...), Value: append([]byte{1}, value...),
	}).FirstErr()
	if err == nil {
		err = txn.Flush(t.Context(), cl)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

func stable(t testing.TB, c *kfake.Cluster) (lso, hwm int64) {
	t.Helper()
	info := c.PartitionInfo(names.Changelog(), 0)
	return info.LastStableOffset, info.HighWatermark
}

// A new owner neither waits for the dead one's transaction to time out, nor
// takes what it left undecided for durable.
func TestRestoreUnderAnUndecidedTransaction(t *testing.T) {
	c := newCluster(t)
	old := newEngine(t, options(c))
	restore(t, old, 0)
	put(t, old, 0, "a", "1")
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	dying(t, c, "a", "undecided")
	if lso, hwm := stable(t, c); lso >= hwm {
		t.Fatalf("no transaction is open: stable %d, end %d", lso, hwm)
	}
	begun := time.Now()
	e := newEngine(t, options(c))
	if d := cmp.Diff(map[string]string{"1/a": "1"}, restore(t, e, 0)); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the restore took %s: it waited for the timeout", took)
	}
	put(t, e, 0, "b", "2")
	if d := cmp.Diff(map[string]string{"1/a": "1", "1/b": "2"}, restore(t, e, 0)); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
}

// The dead owner's commit comes through while the new one takes over, after the
// last stable offset was before it. The order of the two is the coordinator's:
// what was committed before the ID was taken must be in the restored state. A
// restore up to the last stable offset of before would miss it.
func TestRestoreSeesWhatWasCommittedUntilTheFence(t *testing.T) {
	c := newCluster(t)
	cl := dying(t, c, "a", "decided")
	before, _ := stable(t, c)
	if before != 0 {
		t.Fatalf("stable offset %d before the end of the transaction, want 0", before)
	}
	c.ControlKey(int16(kmsg.InitProducerID), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.DropControl()
		c.SleepControl(func() { // the old owner wins the race
			if err := cl.EndTransaction(context.Background(), kgo.TryCommit); err != nil {
				t.Error(err)
			}
		})
		return nil, nil, false
	})
	e := newEngine(t, options(c))
	if d := cmp.Diff(map[string]string{"1/a": "decided"}, restore(t, e, 0)); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
}

func TestNewestValueWins(t *testing.T) {
	c := newCluster(t)
	e := newEngine(t, options(c))
	restore(t, e, 0)
	long := strings.Repeat("k", 100)
	for n := range 50 {
		txn := begin(t, e, 0)
		txn.Put(engine.Windows, []byte("a"), fmt.Appendf(nil, "%0*d", n%7+1, n))
		txn.Put(engine.Windows, []byte(long), fmt.Append(nil, n))
		txn.Put(engine.Evidence, []byte("e"), fmt.Append(nil, n))
		txn.Put(engine.Seen, fmt.Append(nil, n), []byte("x"))
		txn.Delete(engine.Seen, fmt.Append(nil, n-1))
		if n%3 == 1 {
			if err := txn.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else if err := txn.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n == 30 {
			c.Compact()
		}
	}
	c.Compact()
	e = newEngine(t, options(c))
	got := restore(t, e, 0)
	// Aborted were 1, 4, …, 49: their deletes did not happen.
	want := map[string]string{"1/a": "0000048"[7-(48%7+1):], "1/" + long: "48"}
	for n := range 50 {
		if n%3 != 1 && (n+1)%3 == 1 {
			want[fmt.Sprintf("2/%d", n)] = "x"
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
	if values, err := e.Evidence(t.Context(), 0, [][]byte{[]byte("e")}); err != nil || string(values[0]) != "48" {
		t.Errorf("evidence %q, %v", values, err)
	}
}

func TestPartitionCountChanges(t *testing.T) {
	c := newCluster(t)
	e := newEngine(t, options(c))
	restore(t, e, 0)
	restore(t, e, 1)
	put(t, e, 0, "a", "1")
	_ = e.Close()

	o := options(c)
	o.Partitions = 2
	other := newEngine(t, o)
	err := other.Restore(t.Context(), 0, nil)
	if err == nil || !strings.Contains(err.Error(), "3 partitions") || !strings.Contains(err.Error(), "prefix") {
		t.Errorf("restore with another number of partitions: %v, want an error that says what to do", err)
	}
	if _, err := other.Begin(t.Context(), 0); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("begin: %v, want ErrFenced", err)
	}
	restore(t, other, 1) // nothing was written there yet
	again := newEngine(t, options(c))
	if got := restore(t, again, 0); got["1/a"] != "1" {
		t.Errorf("state %v with the old number of partitions", got)
	}
}

func TestRefusesNewerVersions(t *testing.T) {
	c := newCluster(t)
	cl := newClient(t, c)
	for p, r := range []*kgo.Record{
		{Key: []byte("\x01a"), Value: []byte{99, 'x'}}, {Key: []byte("\x01a"), Value: []byte{}}, {Value: []byte{1}},
	} {
		r.Topic, r.Partition = names.Changelog(), int32(p)
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		err := newEngine(t, options(c)).Restore(t.Context(), p, nil)
		if err == nil {
			t.Errorf("record %d is taken", p)
		}
		t.Log(err)
	}
}

// Without the topic, or a part of it, there is no state to be had.
func TestRestoreWithoutTopic(t *testing.T) {
	c := newCluster(t)
	o := options(c)
	o.Names.Prefix = "nowhere"
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := newEngine(t, o).Restore(ctx, 0, nil); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("restore: %v, want ErrUnavailable", err)
	}
}

func groupAt(t testing.TB, c *kfake.Cluster, group string) map[string]int64 {
	t.Helper()
	cl := newClient(t, c)
	defer cl.Close()
	resp, err := kadm.NewClient(cl).FetchOffsets(kadm.RequireStable(t.Context()), group)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int64{}
	resp.Each(func(o kadm.OffsetResponse) { at[fmt.Sprintf("%s/%d", o.Topic, o.Partition)] = o.At })
	return at
}

// BenchmarkRestore restores a million windows of 200 bytes, as many evidence
// entries, and a third of that again as garbage.
func BenchmarkRestore(b *testing.B) {
	const keys, perTxn = 1_000_000, 50_000
	c := newCluster(b)
	e := newEngine(b, options(c))
	if err := e.Restore(b.Context(), 0, nil); err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 200)
	for from := 0; from < keys*4/3; from += perTxn {
		txn, err := e.Begin(b.Context(), 0)
		if err != nil {
			b.Fatal(err)
		}
		for n := from; n < from+perTxn; n++ {
			txn.Put(engine.Windows, fmt.Appendf(nil, "%024x", n%keys), value)
			if n%4 == 0 {
				txn.Put(engine.Evidence, fmt.Appendf(nil, "%024x", n%keys), value[:24])
			}
		}
		if err := txn.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := e.Restore(b.Context(), 0, func(engine.Table, []byte, []byte) error { n++; return nil }); err != nil || n != keys {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/restore")
}

var _ engine.Engine = (*kafka.Engine)(nil)
