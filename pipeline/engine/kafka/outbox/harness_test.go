package outbox

import (
	"context"
	"encoding/json"
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
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; none takes nearly that long.
const patience = 30 * time.Second

// fleet is a broker with the topics of a fleet, and a writer of alerts.
type fleet struct {
	t       testing.TB
	cluster *kfake.Cluster
	names   topics.Names
	writer  *kgo.Client
	adm     *kadm.Client
}

func newFleet(t testing.TB, partitions int32, sinkNames ...string) *fleet {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	f := &fleet{t: t, cluster: c, names: topics.Names{Prefix: "p"}}
	create := func(name string, n int32, conf map[string]string) {
		if err := c.CreateTopic(name, n, conf); err != nil {
			t.Fatal(err)
		}
	}
	compact := map[string]string{"cleanup.policy": "compact"}
	create(f.names.Alerts(), partitions, nil)
	create(f.names.Notify(), 1, compact)
	create(f.names.Control(), 1, compact)
	for _, s := range sinkNames {
		create(f.names.Dead(s), 1, nil)
	}
	f.writer = f.client(kgo.TransactionalID("writer"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	f.adm = kadm.NewClient(f.client())
	return f
}

func (f *fleet) client(opts ...kgo.Opt) *kgo.Client {
	f.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(f.cluster.ListenAddrs()...), kgo.MetadataMinAge(50 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(cl.Close)
	return cl
}

func (f *fleet) options() Options {
	return Options{
		Client: client.Options{Brokers: f.cluster.ListenAddrs()}, Names: f.names,
		SessionTimeout: 3 * time.Second, MetadataMinAge: 50 * time.Millisecond,
	}
}

// worker is an Outbox and what it told.
type worker struct {
	*Outbox
	logs     *observer.ObservedLogs
	registry *prometheus.Registry
}

func (f *fleet) open(change ...func(*Options)) *worker {
	f.t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	w := &worker{logs: logs, registry: prometheus.NewRegistry()}
	o := f.options()
	o.Log, o.Registerer = zap.New(core), w.registry
	for _, c := range change {
		c(&o)
	}
	b, err := Open(o)
	if err != nil {
		f.t.Fatal(err)
	}
	w.Outbox = b
	f.t.Cleanup(func() { _ = b.Close() })
	return w
}

// told is what the worker has logged.
func (w *worker) told() string {
	var b strings.Builder
	for _, e := range w.logs.All() {
		fmt.Fprintf(&b, "%s %s %s %v\n", e.Time.Format("05.000"), e.Level, e.Message, e.ContextMap())
	}
	return b.String()
}

func (w *worker) metric(name string) float64 { return metric(w.registry, name) }

// metric is the sum of a metric over its labels.
func metric(r *prometheus.Registry, name string) (sum float64) {
	families, err := r.Gather()
	if err != nil {
		return -1
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// alertOf is an alert with a name.
func alertOf(id string) *sinks.Alert {
	return &sinks.Alert{AlertID: id, RuleID: "rule-" + id, Severity: "high", Status: sinks.Firing, Count: 1, DetectedAt: time.Now()}
}

// tell writes alerts in one transaction. A name that begins with "-" is not to
// be told; partition n is chosen by "NAME@n".
func (f *fleet) tell(names ...string) {
	f.t.Helper()
	f.transact(kgo.TryCommit, names...)
}

func (f *fleet) transact(end kgo.TransactionEndTry, names ...string) {
	f.t.Helper()
	if err := f.writer.BeginTransaction(); err != nil {
		f.t.Fatal(err)
	}
	for _, name := range names {
		partition := 0
		if i := slices.Index([]byte(name), '@'); i >= 0 {
			partition, _ = strconv.Atoi(name[i+1:])
			name = name[:i]
		}
		notify := "1"
		if name[0] == '-' {
			notify = "0"
		}
		r := &kgo.Record{
			Topic: f.names.Alerts(), Partition: int32(partition), Key: []byte(name), Value: alertOf(name).AppendJSON(nil),
			Headers: []kgo.RecordHeader{{Key: "save", Value: []byte("1")}, {Key: "notify", Value: []byte(notify)}},
		}
		f.writer.Produce(f.t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				f.t.Errorf("produce: %v", err)
			}
		})
	}
	if err := txn.Flush(f.t.Context(), f.writer); err != nil {
		f.t.Fatal(err)
	}
	if err := f.writer.EndTransaction(f.t.Context(), end); err != nil {
		f.t.Fatal(err)
	}
}

func (w *worker) register(t testing.TB, from engine.Start, names ...string) {
	t.Helper()
	if err := w.Register(t.Context(), from, names...); err != nil {
		t.Fatal(err)
	}
}

// read reads until there are as many entries as wanted, and compares their
// alerts.
func (w *worker) read(t testing.TB, sink string, want ...string) []engine.Entry {
	t.Helper()
	var got []engine.Entry
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(got) < len(want) {
		entries, err := w.Read(ctx, sink, len(want)+10)
		if err != nil {
			t.Fatalf("read as %s: %v; so far %v, want %v; told:\n%s", sink, err, names(got), want, w.told())
		}
		got = entries
	}
	if !slices.Equal(names(got), want) {
		t.Fatalf("%s reads %v, want %v", sink, names(got), want)
	}
	for i := range got[1:] {
		if got[i+1].Seq <= got[i].Seq {
			t.Fatalf("entry %d comes after %d", got[i+1].Seq, got[i].Seq)
		}
	}
	return got
}

// empty expects nothing for a while.
func (w *worker) empty(t testing.TB, sink string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got, err := w.Read(ctx, sink, 10); err == nil {
		t.Fatalf("%s reads %v, want nothing", sink, names(got))
	} else if ctx.Err() == nil {
		t.Fatalf("read as %s: %v", sink, err)
	}
}

func (w *worker) done(t testing.TB, sink string, seq int64, dead ...engine.DeadLetter) {
	t.Helper()
	if err := w.Done(t.Context(), sink, seq, dead); err != nil {
		t.Fatal(err)
	}
}

func names(entries []engine.Entry) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Alert.AlertID)
	}
	return out
}

// letters reads a sink's dead letters.
func (f *fleet) letters(sink string) []letter {
	f.t.Helper()
	var out []letter
	o := f.options()
	err := o.scan(f.t.Context(), f.names.Dead(sink), func(r *kgo.Record) {
		var l letter
		if err := json.Unmarshal(r.Value, &l); err != nil {
			f.t.Errorf("dead letter %s: %v", r.Value, err)
		}
		out = append(out, l)
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain: " + what)
		}
	}
}

func numbered(prefix string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%s%d", prefix, i))
	}
	return out
}

func offsetsAt(topic string, at int64) kadm.Offsets {
	o := make(kadm.Offsets)
	o.AddOffset(topic, 0, at, -1)
	return o
}
