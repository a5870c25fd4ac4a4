package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

var (
	_ pipeline.Source = (*Shared)(nil)
	_ pipeline.Health = (*Shared)(nil)
)

// outTopic is where members copy what they read to, in the transaction that
// commits the offsets.
const outTopic = "out"

// kept is what a member has read and not committed.
type kept struct {
	partition, value string
	position         []byte
}

// member drives a Shared as a worker of a fleet does. One goroutine uses it;
// run makes another that one.
type member struct {
	t        testing.TB
	name     string
	s        *Shared
	out      *txn.Producer
	logs     *observer.ObservedLogs
	registry *prometheus.Registry

	hold func(partition string) bool // what is not committed for now; nil: nothing
	// notes of what was told
	read    []string // values
	kept    []kept
	begins  map[string][]byte // Batch.Positions that are not committed
	open    map[string]bool
	live    bool
	lost    []string // by batches
	refused int      // values that Claim refused or a batch took back
	idle    map[string]int64

	reads  atomic.Int64
	closed bool
	mu     sync.Mutex // of the notes, while run runs
}

func join(t testing.TB, name string, o Options) *member {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	o.Log = zap.New(core)
	m := &member{
		t: t, name: name, logs: logs, registry: prometheus.NewRegistry(),
		begins: map[string][]byte{}, open: map[string]bool{}, idle: map[string]int64{},
	}
	o.Registerer = m.registry
	s, err := NewShared(o)
	if err != nil {
		t.Fatal(err)
	}
	m.s = s
	m.out, err = txn.Open(t.Context(), txn.Options{
		Client: o.Client, ID: "writer-" + name, Timeout: 2 * time.Second, MetadataMinAge: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.out.Close)
	if err := s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

func (m *member) close() {
	if m.closed {
		return
	}
	m.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = m.s.Close(ctx) // the brokers may be away by then
}

func sharedOptions(c *kfake.Cluster, topics ...string) Options {
	return Options{
		Client: client.Options{Brokers: c.ListenAddrs()}, Topics: topics,
		LagInterval: 20 * time.Millisecond, MetadataMinAge: 50 * time.Millisecond,
		SessionTimeout: 1500 * time.Millisecond, DrainWithin: time.Second,
	}
}

// step reads one batch, and commits what is not held.
func (m *member) step(ctx context.Context) error {
	b, err := m.s.Read(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.take(b)
	return m.commit(ctx)
}

func (m *member) take(b *pipeline.Batch) {
	for _, p := range b.Open {
		if p.Time != math.MinInt64 {
			m.t.Errorf("%s: %s is opened at %d", m.name, p.Partition, p.Time)
		}
		m.open[p.Partition] = true
	}
	for _, name := range b.Lost {
		m.drop(name)
	}
	m.lost = append(m.lost, b.Lost...)
	for name, p := range b.Positions {
		m.begins[name] = p
	}
	for i, rec := range b.Records {
		if !m.open[rec.Partition] {
			m.t.Errorf("%s: a record of %s came before it was opened", m.name, rec.Partition)
		}
		m.read = append(m.read, string(rec.Payload))
		m.kept = append(m.kept, kept{rec.Partition, string(rec.Payload), b.Places.Position(i)})
	}
	for _, p := range b.Idle {
		m.idle[p.Partition] = p.Time
	}
	for _, p := range b.Closed {
		delete(m.open, p.Partition)
	}
	m.live = b.Live
	if b.Release != nil {
		b.Release()
	}
	m.reads.Add(1)
}

func (m *member) drop(name string) {
	before := len(m.kept)
	m.kept = slices.DeleteFunc(m.kept, func(k kept) bool { return k.partition == name })
	m.refused += before - len(m.kept)
	delete(m.begins, name)
}

// pending are the newest positions that are not held.
func (m *member) pending() map[string][]byte {
	positions := map[string][]byte{}
	maps.Copy(positions, m.begins)
	for _, k := range m.kept {
		positions[k.partition] = k.position
	}
	maps.DeleteFunc(positions, func(p string, _ []byte) bool { return m.hold != nil && m.hold(p) })
	return positions
}

// commit makes durable what is not held, as the committer of a fleet does.
func (m *member) commit(ctx context.Context) error {
	for {
		positions := m.pending()
		offsets, lost := m.s.Claim(positions)
		for _, name := range lost {
			m.drop(name)
			delete(positions, name)
		}
		if len(positions) == 0 {
			return nil
		}
		records := []*kgo.Record{{Topic: outTopic, Partition: 1, Value: []byte("marker")}}
		for _, k := range m.kept {
			if positions[k.partition] != nil {
				records = append(records, &kgo.Record{Topic: outTopic, Value: []byte(k.value)})
			}
		}
		err := m.out.Commit(ctx, records, offsets)
		for errors.Is(err, engine.ErrUnavailable) && ctx.Err() == nil {
			if durable, settleErr := m.out.Settle(ctx); settleErr == nil {
				if err = engine.ErrAborted; durable {
					err = nil
				}
			}
		}
		switch {
		case err == nil:
			m.kept = slices.DeleteFunc(m.kept, func(k kept) bool { return positions[k.partition] != nil })
			for name := range positions {
				delete(m.begins, name)
			}
			m.s.Committed(positions)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, engine.ErrAborted):
			return err
		}
	}
}

// until steps until ok.
func (m *member) until(what string, ok func() bool) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	for !ok() {
		if err := m.step(ctx); err != nil {
			m.t.Fatalf("%s waits for %s: %v; health: %v; read %d, kept %d, assigned %v; logs: %v",
				m.name, what, err, m.s.Health(), len(m.read), len(m.kept), m.s.Assigned(), m.logs.All())
		}
	}
}

func (m *member) untilRead(n int) {
	m.t.Helper()
	m.until(fmt.Sprint(n, " records"), func() bool { return len(m.read) >= n })
}

// run steps in a goroutine until stop, which lets the last commit end.
func (m *member) run() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := m.step(context.Background()); err != nil {
				m.t.Errorf("%s: %v", m.name, err)
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-ended })
}

func (m *member) logged(part string) (n int) {
	for _, e := range m.logs.All() {
		if strings.Contains(e.Message, part) {
			n++
		}
	}
	return n
}

// quiet lists the partitions that are on their way to another member.
func (m *member) quiet() (names []string) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	for _, p := range m.s.assigned {
		if p.quiet && p.begun {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// copied follows what was committed to outTopic.
type copied struct {
	t   testing.TB
	cl  *kgo.Client
	got map[string][]string // values by "topic/partition", in order
	all map[string]int
	why func() // tells why nothing more comes; may be nil
}

func follow(t testing.TB, c *kfake.Cluster) *copied {
	t.Helper()
	return &copied{
		t: t, got: map[string][]string{}, all: map[string]int{},
		cl: kclient(t, c, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{outTopic: {0: kgo.NewOffset().AtStart()}}),
			kgo.FetchIsolationLevel(kgo.ReadCommitted())),
	}
}

// until waits for n different values.
func (f *copied) until(n int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	for len(f.all) < n {
		fetches := f.cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			if f.why != nil {
				f.why()
			}
			f.t.Fatalf("%d of %d values were committed", len(f.all), n)
		}
		f.take(fetches)
	}
}

func (f *copied) take(fetches kgo.Fetches) {
	fetches.EachRecord(func(r *kgo.Record) {
		v := string(r.Value)
		if f.all[v]++; f.all[v] > 1 {
			f.t.Errorf("%s was committed %d times", v, f.all[v])
		}
		p, _, _ := strings.Cut(v, ":")
		f.got[p] = append(f.got[p], v)
	})
}

// want checks that the values first to last of a partition were committed, in
// order, and no others.
func (f *copied) want(topic string, partition int32, first, last int) {
	f.t.Helper()
	var want []string
	for n := first; n <= last; n++ {
		want = append(want, value(topic, partition, n))
	}
	if got := f.got[fmt.Sprintf("%s/%d", topic, partition)]; !slices.Equal(got, want) {
		f.t.Errorf("%s/%d: %d were committed (%.300s), want %d from %d to %d", topic, partition, len(got), strings.Join(got, " "), len(want), first, last)
	}
}

// cut drops what a member asks of the group's coordinator until healed, as a
// stopped process would.
func cut(c *kfake.Cluster, keys []kmsg.Key, memberID string) (heal func()) {
	healed := &atomic.Bool{}
	for _, key := range keys {
		c.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			if healed.Load() {
				return nil, nil, false
			}
			c.KeepControl()
			var id string
			switch req := req.(type) {
			case *kmsg.HeartbeatRequest:
				id = req.MemberID
			case *kmsg.JoinGroupRequest:
				id = req.MemberID
			case *kmsg.SyncGroupRequest:
				id = req.MemberID
			case *kmsg.LeaveGroupRequest:
				id = req.MemberID
				for _, m := range req.Members {
					id = m.MemberID
				}
			}
			if id != memberID {
				return nil, nil, false
			}
			return nil, errors.New("cut"), true
		})
	}
	return func() { healed.Store(true) }
}

// stall lets a member's next request to join wait until healed.
func stall(c *kfake.Cluster, memberID string) (heal func()) {
	healed := make(chan struct{})
	c.ControlKey(int16(kmsg.JoinGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if req.(*kmsg.JoinGroupRequest).MemberID != memberID {
			c.KeepControl()
			return nil, nil, false
		}
		c.SleepControl(func() { <-healed })
		return nil, nil, false
	})
	return func() { close(healed) }
}

var groupKeys = []kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.LeaveGroup}

func (m *member) id() string {
	id, _ := m.s.cl.GroupMetadata()
	return id
}

func sharedCluster(t testing.TB, partitions int32) *kfake.Cluster {
	t.Helper()
	c := cluster(t, kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	newTopic(t, c, "a", partitions)
	newTopic(t, c, outTopic, 2)
	return c
}

func TestSharedReadsAndCommits(t *testing.T) {
	c := sharedCluster(t, 4)
	cl := kclient(t, c)
	for p := range int32(4) {
		produce(t, cl, "a", p, 0, 99)
	}
	f := follow(t, c)
	a := join(t, "a", sharedOptions(c, "a"))
	a.untilRead(400)
	f.until(400)
	for p := range int32(4) {
		f.want("a", p, 0, 99)
	}
	a.until("being live", func() bool { return a.live })
	if err := a.s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	if got := a.s.Assigned(); !slices.Equal(got, []string{"a/0", "a/1", "a/2", "a/3"}) {
		t.Errorf("assigned %v", got)
	}
	for p := range int32(4) {
		info := c.GroupInfo("trailtide").Commits["a"][p]
		pos, born, err := decodeMetadata(info.Metadata)
		if err != nil || pos.offset != 100 || info.Offset != 100 || born != 4 || pos.topic != c.TopicInfo("a").TopicID {
			t.Errorf("a/%d: committed %+v: position %+v, born with %d, %v", p, info, pos, born, err)
		}
	}
	a.close()
	b := join(t, "b", sharedOptions(c, "a"))
	produce(t, cl, "a", 2, 100, 109)
	b.untilRead(10)
	f.until(410)
	f.want("a", 2, 0, 109)
}
