//go:build unix

// Package kafka tests the built program against real Apache Kafka. It does so
// when TRAILTIDE_KAFKA is "real", as make test-kafka has it, and is skipped
// otherwise.
package kafka

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

// The one user that the shared cluster knows. What it may do, ACLs say.
const user, password = "app", "s3cret"

// common is the single node that most tests share, one after the other. It is
// started by the first that asks for it.
var common struct {
	start   sync.Once
	cluster *kafkabroker.Cluster
	err     error
}

func TestMain(m *testing.M) {
	if !kafkabroker.Wanted() {
		os.Exit(m.Run()) // every test says why it is skipped
	}
	code := harness.Main(m)
	if common.cluster != nil {
		if err := common.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close the shared cluster:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// shared returns the shared cluster. Its topics are a test's own by their names.
func shared(t *testing.T) *kafkabroker.Cluster {
	t.Helper()
	kafkabroker.Need(t)
	common.start.Do(func() {
		common.cluster, common.err = kafkabroker.New(context.Background(), kafkabroker.Options{
			Listeners: []kafkabroker.Listener{kafkabroker.TLS, kafkabroker.SASL, kafkabroker.SASLTLS},
			Users:     map[string]string{user: password}, ACLs: true,
		})
	})
	if common.err != nil {
		t.Fatal(common.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the broker's log:\n%s", common.cluster.Node(1).Log())
		}
	})
	return common.cluster
}

func client(t *testing.T, c *kafkabroker.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := c.Client(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func admin(t *testing.T, c *kafkabroker.Cluster) *kadm.Client {
	t.Helper()
	return kadm.NewClient(client(t, c))
}

// newTopics makes topics with the cluster's number of replicas.
func newTopics(t *testing.T, c *kafkabroker.Cluster, partitions int, names ...string) {
	t.Helper()
	made, err := admin(t, c).CreateTopics(t.Context(), int32(partitions), -1, nil, names...)
	if err == nil {
		err = made.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// topicName is a name for a topic or a group of this test alone.
func topicName(t *testing.T, what string) string {
	t.Helper()
	return strings.ReplaceAll(t.Name(), "/", "-") + "-" + what
}

// values reads what a topic holds, as a reader of committed records sees it.
func values(t *testing.T, c *kafkabroker.Cluster, topic string) []*kgo.Record {
	t.Helper()
	ends, err := admin(t, c).ListCommittedOffsets(t.Context(), topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[int32]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	cl := client(t, c, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all []*kgo.Record
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return all
}
