package kafka_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka"
	"github.com/trailtide/trailtide/sinks/kafka/client"
	"github.com/trailtide/trailtide/sinks/sinktest"
)

var _ sinks.Sink = (*kafka.Sink)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "alerts"

func newCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.SeedTopics(3, topic)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func options(c *kfake.Cluster) kafka.Options {
	return kafka.Options{
		Options: client.Options{Brokers: c.ListenAddrs(), SASL: client.SASL{}},
		Topic:   topic,
		Timeout: 10 * time.Second,
		Extra:   []kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond)},
	}
}

func open(t *testing.T, o kafka.Options) *kafka.Sink {
	t.Helper()
	s, err := kafka.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) }) // a second close does nothing
	return s
}

// reader reads the topic from its start.
type reader struct{ o kafka.Options }

func (r reader) records(t *testing.T) []*kgo.Record {
	t.Helper()
	opts, err := r.o.KgoOpts()
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.ConsumeTopics(topic), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.FetchMaxWait(50*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	// What is there is what stands below the high watermarks now.
	left := highWatermarks(t, cl)
	var out []*kgo.Record
	for left > 0 {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			out = append(out, rec)
			left--
		})
	}
	return out
}

func highWatermarks(t *testing.T, cl *kgo.Client) (sum int64) {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range int32(3) {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p, -1, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	for _, shard := range cl.RequestSharded(t.Context(), req) {
		if shard.Err != nil {
			t.Fatal(shard.Err)
		}
		for _, rt := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, rp := range rt.Partitions {
				sum += rp.Offset
			}
		}
	}
	return sum
}

func (r reader) Received(t *testing.T) []*sinks.Alert {
	t.Helper()
	var out []*sinks.Alert
	for _, rec := range r.records(t) {
		a, err := sinks.ParseAlert(rec.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// intercept answers produce requests in place of the cluster.
func intercept(c *kfake.Cluster, answer func(*kmsg.ProduceRequest) (handled bool, code int16)) {
	c.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.ProduceRequest)
		handled, code := answer(req)
		if !handled {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewProduceResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			for _, rp := range rt.Partitions {
				sp := kmsg.NewProduceResponseTopicPartition()
				sp.Partition, sp.ErrorCode = rp.Partition, code
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
}

// mutedListener loses what a server answers once silent is true.
type mutedListener struct {
	net.Listener
	silent *atomic.Bool
}

func (l mutedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return mutedConn{c, l.silent}, err
}

type mutedConn struct {
	net.Conn
	silent *atomic.Bool
}

func (c mutedConn) Write(b []byte) (int, error) {
	if c.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func TestConformance(t *testing.T) {
	sinktest.Run(t, sinktest.Harness{
		New: func(t *testing.T) (sinks.Sink, sinktest.Receiver) {
			t.Helper()
			o := options(newCluster(t))
			return open(t, o), reader{o}
		},
		Failing: func(t *testing.T) sinks.Sink {
			t.Helper()
			c := newCluster(t)
			intercept(c, func(*kmsg.ProduceRequest) (bool, int16) { return true, kerr.TopicAuthorizationFailed.Code })
			return open(t, options(c))
		},
		Stuck: func(t *testing.T) sinks.Sink {
			t.Helper()
			var silent atomic.Bool
			c := newCluster(t, kfake.ListenFn(func(network, address string) (net.Listener, error) {
				l, err := net.Listen(network, address)
				return mutedListener{l, &silent}, err
			}))
			s := open(t, options(c))
			// Connected, so that the records that come are in flight.
			if err := s.Write(t.Context(), sinktest.Alerts(0, 3)); err != nil {
				t.Fatal(err)
			}
			silent.Store(true)
			return s
		},
	})
}

func TestRecords(t *testing.T) {
	for _, codec := range []string{"", "none", "gzip", "lz4", "zstd"} {
		o := options(newCluster(t))
		o.Compression = codec
		s := open(t, o)
		firing, resolved := sinktest.Alert(1), sinktest.Alert(1)
		resolved.Status = sinks.Resolved
		if err := s.Write(t.Context(), []*sinks.Alert{firing, sinktest.Alert(2), resolved}); err != nil {
			t.Fatal(err)
		}
		var of1 []*kgo.Record
		for _, r := range (reader{o}).records(t) {
			if string(r.Key) == firing.AlertID {
				of1 = append(of1, r)
			}
		}
		if len(of1) != 2 || of1[0].Partition != of1[1].Partition {
			t.Fatalf("the states of an alert are not in one partition: %v", of1)
		}
		got := map[string]string{}
		for _, h := range of1[1].Headers {
			got[h.Key] = string(h.Value)
		}
		want := map[string]string{"alert_id": firing.AlertID, "rule_id": "console-login", "severity": "high", "status": "resolved"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("headers (-want +got):\n%s", d)
		}
		if d := cmp.Diff(string(resolved.AppendJSON(nil)), string(of1[1].Value)); d != "" {
			t.Errorf("value (-want +got):\n%s", d)
		}
	}
}

// TestTooLarge: an alert over the limit goes out without its raw events, by our
// own limit as well as by the broker's; its neighbours are not touched.
func TestTooLarge(t *testing.T) {
	big := sinktest.Alert(1)
	big.Event = json.RawMessage(`{"a":"` + strings.Repeat("x", 60_000) + `"}`)
	batch := []*sinks.Alert{sinktest.Alert(0), big, sinktest.Alert(2)}

	t.Run("our limit", func(t *testing.T) {
		o := options(newCluster(t))
		o.MaxBytes = 50_000
		if err := open(t, o).Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		checkSmaller(t, o, big)
	})
	t.Run("the topic's limit", func(t *testing.T) {
		c := newCluster(t)
		intercept(c, func(r *kmsg.ProduceRequest) (bool, int16) {
			for _, rt := range r.Topics {
				for _, rp := range rt.Partitions {
					if len(rp.Records) > 20_000 {
						return true, kerr.MessageTooLarge.Code
					}
				}
			}
			return false, 0
		})
		o := options(c)
		o.Compression = "none"
		if err := open(t, o).Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		checkSmaller(t, o, big)
	})
	t.Run("for good", func(t *testing.T) {
		o := options(newCluster(t))
		o.MaxBytes = 50_000
		huge := sinktest.Alert(1)
		huge.Description = strings.Repeat("x", 60_000)
		err := open(t, o).Write(t.Context(), []*sinks.Alert{sinktest.Alert(0), huge, sinktest.Alert(2)})
		var p *sinks.PartialError
		if !errors.As(err, &p) || len(p.Failed) != 1 || p.Failed[0].Index != 1 || !sinks.IsPermanent(p.Failed[0].Err) {
			t.Errorf("error %v", err)
		}
	})
}

func checkSmaller(t *testing.T, o kafka.Options, big *sinks.Alert) {
	t.Helper()
	got := map[string]*sinks.Alert{}
	for _, a := range (reader{o}).Received(t) {
		got[a.AlertID] = a
	}
	a := got[big.AlertID]
	if len(got) != 3 || a == nil || a.Event != nil || !a.EvidenceCut || a.EventID != big.EventID {
		t.Errorf("%d alerts; the large one is %+v", len(got), a)
	}
}

// TestBrokerComesBack: transient errors are retried inside of Write, within its
// timeout.
func TestBrokerComesBack(t *testing.T) {
	c := newCluster(t)
	var (
		mu    sync.Mutex
		tries int
	)
	intercept(c, func(*kmsg.ProduceRequest) (bool, int16) {
		mu.Lock()
		defer mu.Unlock()
		tries++
		return tries <= 2, kerr.NotLeaderForPartition.Code
	})
	o := options(c)
	if err := open(t, o).Write(t.Context(), sinktest.Alerts(0, 1)); err != nil {
		t.Fatal(err)
	}
	if got := len(reader{o}.Received(t)); got != 1 {
		t.Errorf("%d alerts, want 1: idempotence", got)
	}
}

func TestNobodyThere(t *testing.T) {
	o := kafka.Options{Options: client.Options{Brokers: []string{"127.0.0.1:1"}}, Topic: topic, Timeout: 200 * time.Millisecond}
	err := open(t, o).Write(t.Context(), sinktest.Alerts(0, 3))
	var p *sinks.PartialError
	if !errors.As(err, &p) || len(p.Failed) != 3 || sinks.IsPermanent(err) {
		t.Errorf("error %v", err)
	}
}

func TestOptions(t *testing.T) {
	err := (&kafka.Options{Compression: "rar", Timeout: -1, MaxBytes: 1}).Validate()
	for _, want := range []string{"brokers", "topic", "rar", "timeout", "max_bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told: %v", want, err)
		}
	}
}
