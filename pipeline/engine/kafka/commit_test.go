package kafka_test

import (
	"bytes"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// ends are the high watermarks of all topics together: they grow with anything
// that is written.
func ends(t testing.TB, c *kfake.Cluster) (sum int64) {
	t.Helper()
	cl := newClient(t, c)
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListEndOffsets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listed.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum
}

func headers(r *kgo.Record) map[string]string {
	got := map[string]string{}
	for _, h := range r.Headers {
		got[h.Key] = string(h.Value)
	}
	return got
}

func TestAlertsOnTheWire(t *testing.T) {
	c := newCluster(t)
	e := newEngine(t, options(c))
	restore(t, e, 1)
	tx := begin(t, e, 1)
	a := &sinks.Alert{AlertID: "0a", RuleID: "r", Status: sinks.Firing, Count: 3}
	tx.Alert(a, true, false)
	a.Status = sinks.Resolved // the state was copied
	tx.Alert(a, false, true)
	tx.Alert(&sinks.Alert{AlertID: "0b", Event: bytes.Repeat([]byte(`1`), 2_000_000)}, true, true)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := records(t, c, names.Alerts())
	if len(got) != 3 {
		t.Fatalf("%d alerts, want 3", len(got))
	}
	want := map[string]string{"save": "1", "notify": "0", "status": "firing", "rule": "r"}
	if d := cmp.Diff(want, headers(got[0])); d != "" || string(got[0].Key) != "0a" {
		t.Errorf("key %s, headers (-want +got):\n%s", got[0].Key, d)
	}
	read, save, notify, err := kafka.ParseAlert(got[1])
	if err != nil || save || !notify || read.Status != sinks.Resolved || read.Count != 3 {
		t.Errorf("read %+v, save %v, notify %v, %v", read, save, notify, err)
	}
	if large, _, _, err := kafka.ParseAlert(got[2]); err != nil || !large.EvidenceCut {
		t.Errorf("a large alert is not cut: %v", err)
	}
}

func TestNothingWritesNothing(t *testing.T) {
	c := newCluster(t)
	e := newEngine(t, options(c))
	restore(t, e, 0)
	before := ends(t, c)
	if err := begin(t, e, 0).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := ends(t, c); after != before {
		t.Errorf("an empty transaction wrote %d records", after-before)
	}
}

// withOffsets makes positions of the repartition topic the alert group's.
func withOffsets(c *kfake.Cluster, owned *bool) kafka.Options {
	o := options(c)
	o.Offsets = func(p int, positions map[string][]byte) *txn.Offsets {
		if !*owned {
			return nil
		}
		offsets := &txn.Offsets{Group: names.AlertGroup(), Generation: -1}
		for _, position := range positions {
			at, err := kafka.ParsePosition(position)
			if err != nil {
				panic(err)
			}
			offsets.Add(names.Repartition(), int32(p), txn.Offset{Offset: at, Epoch: -1})
		}
		return offsets
	}
	return o
}

func TestPositionsAsOffsets(t *testing.T) {
	c := newCluster(t)
	owned := true
	e := newEngine(t, withOffsets(c, &owned))
	restore(t, e, 2)
	for n := range int64(3) {
		tx := begin(t, e, 2)
		tx.Position(names.Repartition()+"/2", kafka.Position(n+7)) // nothing but an offset
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int64{names.Repartition() + "/2": 9}
	if got := groupAt(t, c, names.AlertGroup()); !maps.Equal(want, got) {
		t.Errorf("the group stands at %v, want %v", got, want)
	}
	if got := restore(t, e, 2); len(got) != 0 {
		t.Errorf("state %v, want none", got)
	}
	if got, err := e.Positions(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("positions %v, %v, want none beside the group's", got, err)
	}
	tx := begin(t, e, 2)
	tx.Position(names.Repartition()+"/2", kafka.Position(20))
	owned = false
	if err := tx.Commit(t.Context()); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("commit of a partition that was lost: %v, want ErrFenced", err)
	}
	if _, err := e.Begin(t.Context(), 2); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("begin: %v, want ErrFenced", err)
	}
}

// What the broker refuses leaves memory as it was, and the partition owned.
func TestAbortedByTheBroker(t *testing.T) {
	c := newCluster(t)
	owned := true
	o := withOffsets(c, &owned)
	o.Registerer = prometheus.NewRegistry()
	e := newEngine(t, o)
	restore(t, e, 0)
	fill := func(value string, n int64) engine.Txn {
		tx := begin(t, e, 0)
		tx.Put(engine.Evidence, []byte("e"), []byte(value))
		tx.Put(engine.Windows, []byte("w"), []byte(value))
		tx.Position(names.Repartition()+"/0", kafka.Position(n))
		return tx
	}
	if err := fill("one", 1).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.IllegalGeneration})
	tx := fill("two", 2)
	if err := tx.Commit(t.Context()); !errors.Is(err, txn.ErrMembership) || !errors.Is(err, engine.ErrAborted) {
		t.Fatalf("commit: %v, want ErrMembership", err)
	}
	if values, err := e.Evidence(t.Context(), 0, [][]byte{[]byte("e")}); err != nil || string(values[0]) != "one" {
		t.Errorf("evidence %q, %v after an abort", values, err)
	}
	if err := fill("three", 3).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := restore(t, e, 0); got["1/w"] != "three" {
		t.Errorf("state %v", got)
	}
}

// The answer to the end is lost, and the brokers are away then: whoever gives
// up must restore, for the transaction may be durable.
func TestGivingUpAnUnsettledTransaction(t *testing.T) {
	for name, again := range map[string]bool{"commits again": true, "gives up": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			o := options(c)
			o.Timeout = 300 * time.Millisecond
			e := newEngine(t, o)
			restore(t, e, 0)
			put(t, e, 0, "w", "one")
			tx := begin(t, e, 0)
			tx.Put(engine.Windows, []byte("w"), []byte("two"))
			tx.Alert(&sinks.Alert{AlertID: "0a"}, true, true)
			away := true
			c.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				switch req.Key() {
				case int16(kmsg.EndTxn), int16(kmsg.InitProducerID), int16(kmsg.DescribeTransactions):
					return nil, errors.New("cut"), away
				}
				return nil, nil, false
			})
			err := tx.Commit(t.Context())
			if !errors.Is(err, txn.ErrUnsettled) || !errors.Is(err, engine.ErrUnavailable) {
				t.Fatalf("commit: %v, want ErrUnsettled", err)
			}
			c.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
				away = false
				c.DropControl()
				return nil, nil, false
			})
			if again {
				for err = tx.Commit(t.Context()); errors.Is(err, engine.ErrUnavailable); err = tx.Commit(t.Context()) {
				}
				if errors.Is(err, engine.ErrAborted) { // the end had not arrived
					put(t, e, 0, "w", "two")
				} else if err != nil {
					t.Fatal(err)
				} else if got := records(t, c, names.Alerts()); len(got) != 1 {
					t.Errorf("%d alerts, want one", len(got))
				}
				if got := restore(t, e, 0); got["1/w"] != "two" {
					t.Errorf("state %v", got)
				}
				return
			}
			if err := tx.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Begin(t.Context(), 0); !errors.Is(err, engine.ErrFenced) {
				t.Errorf("begin: %v, want ErrFenced: the partition must be restored", err)
			}
		})
	}
}

func TestArchive(t *testing.T) {
	c := newCluster(t)
	cl := newClient(t, c)
	const n = 300
	value := func(i int64) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 500) }
	for i := range int64(n) {
		r := &kgo.Record{Topic: names.Repartition(), Partition: 1, Value: value(i)}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	o := options(c)
	o.CacheBytes = 64 << 10
	a := newEngine(t, o).Archive()
	if err := c.DeleteRecords(names.Repartition(), 1, 10); err != nil {
		t.Fatal(err)
	}
	look := func(offsets ...int64) {
		t.Helper()
		got, err := a.Fetch(t.Context(), 1, offsets)
		if err != nil {
			t.Fatal(err)
		}
		for i, offset := range offsets {
			var want []byte
			if offset >= 10 && offset < n || offset >= 5000 {
				want = value(offset)
			}
			if !bytes.Equal(got[i], want) || (got[i] == nil) != (want == nil) {
				t.Errorf("offset %d: %d bytes, want %d", offset, len(got[i]), len(want))
			}
		}
	}
	look()
	look(299, 10, 12, 3, 150, 151, 152, 10_0, 9, 20, 298)
	look(n, n+5) // not there yet
	for i := range int64(200) {
		a.Remember(1, 5000+i, value(5000+i)) // in memory only
	}
	look(5199, 5180, 11)
	if got, err := a.Fetch(t.Context(), 1, []int64{5000}); err != nil || got[0] != nil {
		t.Errorf("the cache holds more than its bound: %d bytes, %v", len(got[0]), err)
	}
	if got, err := a.Fetch(t.Context(), 0, []int64{5199}); err != nil || got[0] != nil {
		t.Errorf("another partition's value: %d bytes, %v", len(got[0]), err)
	}
	c.ShufflePartitionLeaders()
	look(20, 200)
	begun := time.Now()
	look(11, 41, 71, 101, 131, 161, 191, 221, 251, 281, 299)
	t.Logf("11 offsets that are not cached: %s", time.Since(begun))
	a.Close()
	if _, err := a.Fetch(t.Context(), 1, []int64{11}); err == nil {
		t.Error("a closed archive reads")
	}
}

func TestReadPositions(t *testing.T) {
	c := newCluster(t)
	cl := newClient(t, c)
	for _, r := range []*kgo.Record{
		kafka.PositionRecord(names.Positions(), "a", []byte("1")), kafka.PositionRecord(names.Positions(), "b", []byte("1")),
		kafka.PositionRecord(names.Positions(), "a", []byte("2")),
		{Topic: names.Positions(), Key: []byte("b")},
	} {
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := kafka.ReadPositions(t.Context(), client.Options{Brokers: c.ListenAddrs()}, names)
	if err != nil || len(got) != 1 || string(got["a"]) != "2" {
		t.Errorf("positions %q, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	r, _ := kafka.InvalidRecord("t", engine.InvalidEvent{Position: "f:1", Raw: []byte("\xff"), Size: 1})
	f.Add(r.Value)
	r, _ = kafka.InvalidRecord("t", engine.InvalidEvent{Raw: []byte("{}"), Size: 2})
	f.Add(r.Value)
	f.Add(kafka.Position(7))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := kafka.ParseInvalid(b); err == nil {
			r, err := kafka.InvalidRecord("t", e)
			if err != nil {
				t.Skip(err) // a year that JSON cannot say
			}
			again, err := kafka.ParseInvalid(r.Value)
			if d := cmp.Diff(e, again); d != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, d)
			}
		}
		if offset, err := kafka.ParsePosition(b); err == nil && !bytes.Equal(kafka.Position(offset), b) {
			t.Errorf("position %x is not %x", kafka.Position(offset), b)
		}
	})
}
