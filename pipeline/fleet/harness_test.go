package fleet

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	trail           = "trail"
	trailPartitions = 6
	testPartitions  = 4 // of the repartition topic
	patience        = 60 * time.Second
)

var names = topics.Names{Prefix: "tt"}

const busyRules = `
rules:
  - {id: denied, title: Denied, severity: low, match: {response: unauthorized}}
  - {id: stopped, title: Trail stopped, severity: high, match: {eventName: [StopLogging, DeleteTrail, PutBucketPolicy]}}
  - id: failing
    title: A principal fails a lot
    severity: medium
    match: {response: failure}
    threshold: {count: 4, window: 2m, group_by: [userIdentity.arn]}
  - id: roaming
    title: One principal, many calls
    severity: medium
    match: {eventSource: [ec2.amazonaws.com, iam.amazonaws.com]}
    threshold: {distinct: {field: eventName, count: 5}, window: 1m, group_by: [recipientAccountId, userIdentity.arn]}
  - id: region-burst
    title: Many failures in a region
    severity: low
    match: {response: failure}
    threshold: {count: 30, window: 5m, group_by: [awsRegion]}
`

func compile(t testing.TB, src string) *matcher.Ruleset {
	t.Helper()
	rules, suppress, err := native.Parse("rules.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := matcher.Compile(rules, matcher.Options{Suppress: suppress})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// testBroker is a cluster with the topics of a fleet and a trail.
func testBroker(t testing.TB) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(trailPartitions, trail), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl := testClient(t, c)
	if _, _, err := topics.Create(t.Context(), kadm.NewClient(cl), topics.Options{
		Names: names, Partitions: testPartitions, Replication: 1, Positions: true,
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

func testClient(t testing.TB, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts,
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// testEvents are events out of order, some of them twice.
func testEvents(t testing.TB, seed uint64, n int) [][]byte {
	t.Helper()
	g, err := traffic.New(traffic.Config{
		Seed: seed, Users: 60, Accounts: 5, EventsPerSecond: 20, Lateness: 20 * time.Second, Duplicates: 0.02, Incidents: -1,
		IncidentEvery: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]byte, n)
	for i := range out {
		out[i] = g.AppendNext(nil)
	}
	return out
}

func produce(t testing.TB, cl *kgo.Client, events [][]byte) {
	t.Helper()
	records := make([]*kgo.Record, len(events))
	for i, ev := range events {
		records[i] = &kgo.Record{Topic: trail, Partition: int32(i % trailPartitions), Value: ev}
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// running is a worker at work.
type running struct {
	f      *Fleet
	cancel context.CancelFunc
	done   chan error
}

func (r *running) stop(t testing.TB) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("the worker's end: %v", err)
		}
		r.done <- nil
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("the worker does not stop\n%s", buf[:runtime.Stack(buf, true)])
	}
}

func start(t testing.TB, c *kfake.Cluster, name string, rs *matcher.Ruleset, change ...func(*Options)) *running {
	t.Helper()
	log := zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)).Named(name)
	conn := client.Options{Brokers: c.ListenAddrs()}
	src, err := kafka.NewShared(kafka.Options{
		Client: conn, Topics: []string{trail}, Group: "readers", SessionTimeout: 2 * time.Second,
		LagInterval: 100 * time.Millisecond, MetadataMinAge: 50 * time.Millisecond, IdleAfter: time.Hour, Log: log, MaxPollRecords: 300,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Client: conn, Names: names, Partitions: testPartitions, SessionTimeout: 2 * time.Second, CommitEvery: 20 * time.Millisecond,
		MetadataMinAge: 50 * time.Millisecond, Worker: name, Source: src, Match: pipeline.Options{Rules: rs, Lanes: 2}, Log: log,
		TransactionTimeout: 5 * time.Second,
	}
	for _, f := range change {
		f(&o)
	}
	fl, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{f: fl, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- fl.Run(ctx) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

// list is a source over events in memory.
type list struct {
	events [][]byte
	told   bool
}

func (s *list) Start(context.Context, map[string][]byte) error { return nil }
func (s *list) Committed(map[string][]byte)                    {}
func (s *list) Close(context.Context) error                    { return nil }
func (s *list) Read(context.Context) (*pipeline.Batch, error) {
	if s.told {
		return nil, io.EOF
	}
	s.told = true
	b := &pipeline.Batch{Places: listPlaces{}, Open: []pipeline.PartitionTime{{Partition: "list", Time: math.MinInt64}}}
	for _, ev := range s.events {
		b.Records = append(b.Records, pipeline.Record{Partition: "list", Payload: ev, Index: -1})
	}
	return b, nil
}

type listPlaces struct{}

func (listPlaces) Position(int) []byte { return nil }
func (listPlaces) Label(i int) string  { return fmt.Sprintf("list@%d", i) }

// reference are the alerts of one worker that nobody disturbs.
func reference(t testing.TB, rs *matcher.Ruleset, events [][]byte) []*sinks.Alert {
	t.Helper()
	var out []*sinks.Alert
	eng := memory.New(memory.Options{OnAlert: func(a *sinks.Alert) { out = append(out, a) }})
	w, err := pipeline.New(pipeline.Options{Source: &list{events: events}, Engine: eng, Rules: rs, Alerting: alerting.Options{SaveAll: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out
}

// final are the last states of alerts by what makes two of them the same:
// plain alerts by ID, episodes by rule, key and what was counted.
func final(alerts []*sinks.Alert) map[string]bool {
	last := make(map[string]*sinks.Alert)
	for _, a := range alerts {
		if a.Status != sinks.Update {
			last[a.AlertID] = a
		}
	}
	out := make(map[string]bool)
	for _, a := range last {
		if a.MergedInto == "" {
			out[identity(a)] = true
		}
	}
	return out
}

func identity(a *sinks.Alert) string {
	if len(a.Group) == 0 {
		return a.RuleID + " " + a.AlertID
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s ", a.RuleID)
	for _, k := range slices.Sorted(maps.Keys(a.Group)) {
		v := "-"
		if a.Group[k] != nil {
			v = *a.Group[k]
		}
		fmt.Fprintf(&b, "%s=%s ", k, v)
	}
	fmt.Fprintf(&b, "%s..%s %d %v", a.FirstTime.Format(time.RFC3339), a.LastTime.Format(time.RFC3339), a.Count, slices.Sorted(slices.Values(a.EventIDs)))
	return b.String()
}

// reader collects what a read_committed reader sees of the alerts topic.
type reader struct {
	mu     sync.Mutex
	alerts []*sinks.Alert
	told   map[string]int // notifications of the first state of an alert, by ID
	bad    []error
	grown  chan struct{}
}

func readAlerts(t testing.TB, c *kfake.Cluster) *reader {
	t.Helper()
	r := &reader{told: make(map[string]int), grown: make(chan struct{}, 1)}
	cl := testClient(t, c, kgo.ConsumeTopics(names.Alerts()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			cl.PollFetches(ctx).EachRecord(r.note)
			select {
			case r.grown <- struct{}{}:
			default:
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return r
}

func (r *reader) note(rec *kgo.Record) {
	a, _, notify, err := enginekafka.ParseAlert(rec)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.bad = append(r.bad, err)
		return
	}
	r.alerts = append(r.alerts, a)
	if notify && a.Status == sinks.Firing {
		r.told[a.AlertID]++
	}
}

// waitFor waits until the alerts are those of want, and checks that each was
// told once.
func (r *reader) waitFor(t testing.TB, want map[string]bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		got := final(r.alerts)
		r.mu.Unlock()
		if maps.Equal(got, want) {
			break
		}
		select {
		case <-r.grown:
		case <-deadline:
			report(t, got, want)
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.bad {
		t.Error(err)
	}
	for id, n := range r.told {
		if n != 1 {
			t.Errorf("alert %s was told %d times", id, n)
		}
	}
}

// waitForSome waits until there are n alerts.
func (r *reader) waitForSome(t testing.TB, n int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		got := len(r.told)
		r.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-r.grown:
		case <-deadline:
			t.Fatalf("%d alerts, want at least %d by now", got, n)
		}
	}
}

func report(t testing.TB, got, want map[string]bool) {
	t.Helper()
	shown := 0
	tell := func(what string, has, other map[string]bool) {
		for _, k := range slices.Sorted(maps.Keys(has)) {
			if !other[k] && shown < 20 {
				shown++
				t.Errorf("%s: %.200s", what, k)
			}
		}
	}
	t.Errorf("%d alerts, want %d", len(got), len(want))
	tell("missing", want, got)
	tell("too many", got, want)
}
