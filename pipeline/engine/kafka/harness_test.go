package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partitions = 3

var names = topics.Names{Prefix: "tt"}

func newCluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(2), kfake.GroupMinSessionTimeout(time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	compact := map[string]string{"cleanup.policy": "compact"}
	for topic, n := range map[string]int32{names.Repartition(): partitions, names.Alerts(): 1, names.Invalid(): 1} {
		create(t, c, topic, n, nil)
	}
	create(t, c, names.Changelog(), partitions, compact)
	create(t, c, names.Positions(), 1, compact)
	return c
}

func create(t testing.TB, c *kfake.Cluster, topic string, n int32, configs map[string]string) {
	t.Helper()
	if err := c.CreateTopic(topic, n, configs); err != nil {
		t.Fatal(err)
	}
}

func options(c *kfake.Cluster) kafka.Options {
	return kafka.Options{
		Client: client.Options{Brokers: c.ListenAddrs()}, Names: names, Partitions: partitions,
		Timeout: 5 * time.Second, MetadataMinAge: 50 * time.Millisecond,
	}
}

func newEngine(t testing.TB, o kafka.Options) *kafka.Engine {
	t.Helper()
	e, err := kafka.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func newClient(t testing.TB, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.MetadataMinAge(50 * time.Millisecond), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// records reads what is committed in partition 0 of a topic.
func records(t testing.TB, c *kfake.Cluster, topic string) (all []*kgo.Record) {
	t.Helper()
	cl := newClient(t, c, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(50*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for next := int64(0); next < end.Offset; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
		})
	}
	return all
}

// restore returns a partition's state as "table/key" → value.
func restore(t testing.TB, e engine.Engine, p int) map[string]string {
	t.Helper()
	state := map[string]string{}
	err := e.Restore(t.Context(), p, func(table engine.Table, key, value []byte) error {
		state[string('0'+rune(table))+"/"+string(key)] = string(value)
		return nil
	})
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	return state
}

func begin(t testing.TB, e engine.Engine, p int) engine.Txn {
	t.Helper()
	txn, err := e.Begin(t.Context(), p)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	return txn
}
