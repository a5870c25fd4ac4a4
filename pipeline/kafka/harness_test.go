package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// patience bounds every wait of a test; none takes nearly that long.
const patience = 30 * time.Second

func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(100 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newTopic(t testing.TB, c *kfake.Cluster, name string, partitions int32) {
	t.Helper()
	if err := c.CreateTopic(name, partitions, nil); err != nil {
		t.Fatal(err)
	}
}

func kclient(t testing.TB, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce writes values "TOPIC/PARTITION:N" for n from first to last.
func produce(t testing.TB, cl *kgo.Client, topic string, partition int32, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		cl.Produce(t.Context(), &kgo.Record{
			Topic: topic, Partition: partition, Value: []byte(value(topic, partition, n)),
		}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func value(topic string, partition int32, n int) string {
	return fmt.Sprintf("%s/%d:%d", topic, partition, n)
}

func options(c *kfake.Cluster, topics ...string) Options {
	return Options{
		Client: client.Options{Brokers: c.ListenAddrs()}, Topics: topics,
		LagInterval: 20 * time.Millisecond, MetadataMinAge: 50 * time.Millisecond, SessionTimeout: 2 * time.Second,
	}
}

// reader drives a Source as the worker does, and keeps what it told.
type reader struct {
	t        testing.TB
	s        *Source
	logs     *observer.ObservedLogs
	registry *prometheus.Registry

	got       map[string][]string // values by partition, in order
	labels    map[string][]string
	positions map[string][]byte // as an engine would have committed them
	open      map[string]bool
	idle      map[string]int64
	live      bool
	closed    bool
}

func open(t testing.TB, o Options, committed map[string][]byte) *reader {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	o.Log = zap.New(core)
	r := &reader{
		t: t, logs: logs, registry: prometheus.NewRegistry(),
		got: map[string][]string{}, labels: map[string][]string{}, positions: map[string][]byte{},
		open: map[string]bool{}, idle: map[string]int64{},
	}
	o.Registerer = r.registry
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	if err := s.Start(t.Context(), committed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.close() })
	return r
}

func (r *reader) close() {
	r.t.Helper()
	if r.closed {
		return
	}
	r.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = r.s.Close(ctx) // the brokers may be away by then; tests of Close call it themselves
}

// step reads one batch and commits it.
func (r *reader) step(ctx context.Context) error {
	r.t.Helper()
	b, err := r.s.Read(ctx)
	if err != nil {
		return err
	}
	for _, p := range b.Open {
		r.open[p.Partition] = true
	}
	committed := make(map[string][]byte)
	for name, p := range b.Positions {
		committed[name] = p
	}
	for i, rec := range b.Records {
		if !r.open[rec.Partition] {
			r.t.Errorf("a record of %s came before it was opened", rec.Partition)
		}
		if rec.Index != -1 || rec.Problem != "" {
			r.t.Errorf("record %+v", rec)
		}
		r.got[rec.Partition] = append(r.got[rec.Partition], string(rec.Payload))
		r.labels[rec.Partition] = append(r.labels[rec.Partition], b.Places.Label(i))
		committed[rec.Partition] = b.Places.Position(i)
	}
	for _, p := range b.Idle {
		if p.Time < r.idle[p.Partition] {
			r.t.Errorf("idle time of %s goes back", p.Partition)
		}
		r.idle[p.Partition] = p.Time
	}
	for _, p := range b.Closed {
		delete(r.open, p.Partition)
	}
	r.live = b.Live
	for name, p := range committed {
		r.positions[name] = p
	}
	if b.Release != nil {
		b.Release()
	}
	r.s.Committed(committed)
	return nil
}

// until reads until ok.
func (r *reader) until(what string, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for !ok() {
		if err := r.step(ctx); err != nil {
			r.t.Fatalf("waiting for %s: %v; health: %v; records of %v; logs: %v", what, err, r.s.Health(), r.count(), r.logs.All())
		}
	}
}

func (r *reader) count() (n int) {
	for _, vs := range r.got {
		n += len(vs)
	}
	return n
}

func (r *reader) untilCount(n int) {
	r.t.Helper()
	r.until(strconv.Itoa(n)+" records", func() bool { return r.count() >= n })
}

// want checks that exactly the values first to last were read, in order.
func (r *reader) want(topic string, partition int32, first, last int) {
	r.t.Helper()
	var want []string
	for n := first; n <= last; n++ {
		want = append(want, value(topic, partition, n))
	}
	if got := r.got[fmt.Sprintf("%s/%d", topic, partition)]; !slices.Equal(got, want) {
		r.t.Errorf("%s/%d: have %d records (%.200s), want %d from %d to %d", topic, partition, len(got), strings.Join(got, " "), len(want), first, last)
	}
}

func (r *reader) metric(name string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func (r *reader) logged(part string) (n int) {
	for _, e := range r.logs.All() {
		if strings.Contains(e.Message, part) {
			n++
		}
	}
	return n
}

// groupOffset is what other tools see.
func groupOffset(t testing.TB, c *kfake.Cluster, topic string, partition int32) int64 {
	t.Helper()
	offsets, err := kadm.NewClient(kclient(t, c)).FetchOffsets(t.Context(), "trailtide")
	if err != nil {
		t.Fatal(err)
	}
	o, ok := offsets.Lookup(topic, partition)
	if !ok {
		return -1
	}
	return o.At
}

// background reads until stop.
func (r *reader) background() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if err := r.step(ctx); err != nil {
				if !errors.Is(err, context.Canceled) {
					r.t.Errorf("read: %v", err)
				}
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

var (
	_ pipeline.Source = (*Source)(nil)
	_ pipeline.Health = (*Source)(nil)
)

func addPartitions(t testing.TB, c *kfake.Cluster, topic string, all int) {
	t.Helper()
	resp, err := kadm.NewClient(kclient(t, c)).UpdatePartitions(t.Context(), all, topic)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}
