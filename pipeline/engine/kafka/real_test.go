//go:build unix

package kafka_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/enginetest"
	"github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/sinks/kafka/client"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

// The contract, and a restore under an open transaction, on a real broker.
func TestRealKafka(t *testing.T) {
	broker := kafkabroker.Start(t, kafkabroker.Options{})
	cl, err := broker.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	admin, stores := kadm.NewClient(cl), 0
	fresh := func(t testing.TB) kafka.Options {
		t.Helper()
		stores++
		o := kafka.Options{
			Client: client.Options{Brokers: broker.Brokers()}, Partitions: 2, Names: topics.Names{Prefix: fmt.Sprintf("tt%d", stores)},
			Timeout: 30 * time.Second, MetadataMinAge: 50 * time.Millisecond,
		}
		for topic, n := range map[string]int32{
			o.Names.Repartition(): 2, o.Names.Changelog(): 2, o.Names.Positions(): 1, o.Names.Alerts(): 1, o.Names.Invalid(): 1,
		} {
			if _, err := admin.CreateTopic(t.Context(), n, 1, nil, topic); err != nil {
				t.Fatal(err)
			}
		}
		return o
	}
	t.Run("contract", func(t *testing.T) {
		enginetest.Run(t, func(t testing.TB) enginetest.Store {
			o := fresh(t)
			return enginetest.Store{Shared: true, Open: func(t testing.TB) enginetest.Subject {
				e, err := kafka.New(o)
				if err != nil {
					t.Fatal(err)
				}
				return enginetest.Subject{Engine: e}
			}}
		})
	})
	t.Run("restore under an undecided transaction", func(t *testing.T) {
		o := fresh(t)
		old := newEngine(t, o)
		restore(t, old, 0)
		put(t, old, 0, "a", "1")
		_ = old.Close()
		dead, err := broker.Client(kgo.TransactionalID(o.Names.AlertGroup()+"-0"), kgo.TransactionTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer dead.Close()
		if err := dead.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		undecided := &kgo.Record{Topic: o.Names.Changelog(), Key: []byte{byte(engine.Windows), 'a'}, Value: []byte("\x01undecided")}
		if err := dead.ProduceSync(t.Context(), undecided).FirstErr(); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		e := newEngine(t, o)
		if d := cmp.Diff(map[string]string{"1/a": "1"}, restore(t, e, 0)); d != "" {
			t.Errorf("state (-want +got):\n%s", d)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("the restore took %s: it waited for the timeout", took)
		}
	})
	t.Run("a large state", func(t *testing.T) {
		const keys, perTxn = 200_000, 20_000
		e := newEngine(t, fresh(t))
		restore(t, e, 0)
		value := make([]byte, 200)
		for from := 0; from < keys; from += perTxn {
			tx := begin(t, e, 0)
			for n := from; n < from+perTxn; n++ {
				tx.Put(engine.Windows, fmt.Appendf(nil, "%024x", n), value)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		if got := restore(t, e, 0); len(got) != keys {
			t.Errorf("%d entries, want %d", len(got), keys)
		}
		t.Logf("restored %d entries in %s", keys, time.Since(begun))
	})
}
