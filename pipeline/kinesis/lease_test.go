package kinesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// ledger is what a fleet's positions topic does: the newest holder of a
// partition is the only one whose commits count.
type ledger struct {
	mu        sync.Mutex
	positions map[string][]byte
	owner     map[string]*member
	stays     int64
	got       []got // of what was committed, in order
	finished  map[string]bool
	heirs     map[string][]string   // of those that are finished
	away      error                 // what Take answers
	dropped   map[string]int        // how often
	before    func(*pipeline.Batch) // a commit, if set
}

func newLedger() *ledger {
	return &ledger{positions: map[string][]byte{}, owner: map[string]*member{}, finished: map[string]bool{}, heirs: map[string][]string{}, dropped: map[string]int{}}
}

// member is one worker of a fleet. It commits each batch by itself.
type member struct {
	*reader
	l    *ledger
	stop func()
	cut  atomic.Bool // nothing that it asks of the table arrives
}

func (m *member) Take(_ context.Context, partition string) (position []byte, stay int64, err error) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if m.l.away != nil {
		return nil, 0, m.l.away
	}
	m.l.owner[partition] = m
	m.l.stays++
	return m.l.positions[partition], m.l.stays, nil
}

func (m *member) Drop(partition string) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.l.dropped[partition]++
	if m.l.owner[partition] == m {
		delete(m.l.owner, partition)
	}
}

// step reads a batch and commits what is still ours of it.
func (m *member) step(ctx context.Context) error {
	b, err := m.s.Read(ctx)
	if err != nil {
		return err
	}
	if m.l.before != nil {
		m.l.before(b)
	}
	committed := make(map[string][]byte)
	m.l.mu.Lock()
	mine := func(name string) bool { return m.l.owner[name] == m }
	for name, pos := range b.Positions {
		if mine(name) {
			committed[name] = pos
		}
	}
	for i, rec := range b.Records {
		if mine(rec.Partition) {
			m.l.got = append(m.l.got, got{rec.Partition, b.Places.Label(i), string(rec.Payload), rec.Problem})
			committed[rec.Partition] = b.Places.Position(i)
		}
	}
	for _, end := range b.Closed {
		if mine(end.Partition) {
			m.l.finished[end.Partition] = true
			m.l.heirs[end.Partition] = end.Heirs
			if end.Position != nil {
				committed[end.Partition] = end.Position
			}
		}
	}
	maps.Copy(m.l.positions, committed)
	m.l.mu.Unlock()
	if b.Release != nil {
		b.Release()
	}
	m.s.Committed(committed)
	return nil
}

func join(t *testing.T, o shared, l *ledger) *member {
	t.Helper()
	m := &member{l: l}
	table := httptest.NewServer(o.db.Handler(func(leasetest.Call) leasetest.Fault {
		if m.cut.Load() {
			return leasetest.Fault{Err: errors.New("cut off")}
		}
		return leasetest.Fault{}
	}))
	t.Cleanup(table.Close)
	leases := *o.Leases
	leases.Endpoint = table.URL
	o.Leases = &leases
	m.reader = prepare(t, o.Options)
	if l != nil {
		m.s.UseLedger(m)
	}
	if err := m.s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m.step(ctx) == nil {
		}
	}()
	m.stop = func() { cancel(); <-done }
	t.Cleanup(func() { m.stop() })
	return m
}

func (m *member) leave() {
	m.stop()
	m.close()
}

// shared are the options of workers that share a lease table.
type shared struct {
	Options
	db *leasetest.DB
}

func leased(srv *kinesistest.Server, mode string, db *leasetest.DB, streams ...string) shared {
	o := options(srv, mode, streams...)
	o.Leases = &Leases{Table: "trailtide", FailoverTime: time.Second, TakeEvery: 50 * time.Millisecond, HandOver: 2 * time.Second}
	return shared{o, db}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waiting for %s took too long", what)
		}
	}
}

// count is how many different payloads were committed.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[string]bool)
	for _, g := range l.got {
		seen[g.payload] = true
	}
	return len(seen)
}

// Workers come, go in order and vanish while the stream is resharded and
// everything goes wrong: each record is committed exactly once, in the order
// of its key.
func TestFleetChaos(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 2))
		srv := server(t, kinesistest.Options{ListPage: 4, ResubscribeAfter: -1})
		srv.CreateStream("trail", 3)
		faults(srv)
		o := leased(srv, mode, leasetest.New(), "trail")
		l := newLedger()
		members, cutOff := []*member{join(t, o, l)}, []*member(nil)
		n := 0
		for range 8 {
			fill(srv, "trail", n, n+99)
			n += 100
			reshape(srv, rnd, "trail")
			want := n - rnd.IntN(150)
			switch k := rnd.IntN(3); {
			case k == 0 || len(members) == 1:
				members = append(members, join(t, o, l))
			case k == 1:
				members[0].leave() // gives its leases up
				members = members[1:]
			default: // is cut off from the table, and reads on until it does not believe in its leases
				members[0].cut.Store(true)
				cutOff = append(cutOff, members[0])
				members = members[1:]
			}
			eventually(t, "some records", func() bool { return l.count() >= min(want, n/2) })
		}
		for _, m := range append(cutOff, members...) {
			m.leave()
		}
		last := join(t, o, l)
		eventually(t, "everything", func() bool { return l.count() == n })
		last.leave()
		var payloads []string
		for _, g := range l.got {
			payloads = append(payloads, g.payload)
		}
		checkOrder(t, payloads, 0, n-1)
		if len(payloads) != n {
			t.Errorf("%d records were committed, want %d", len(payloads), n)
		}
	})
}

// The lease's checkpoint follows the commits, and where no ledger knows a
// shard it is where reading begins: a team moves from another consumer in place.
func TestLeaseCheckpoints(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	srv.Put("trail", "k", []byte("k:0"))
	_, packed := srv.Put("trail", "k", aggregate([]byte("k:1"), []byte("k:2")))
	db := leasetest.New()
	o := leased(srv, modePolling, db, "trail")
	l := newLedger()
	m := join(t, o, l)
	eventually(t, "three records", func() bool { return l.count() == 3 })
	m.leave()
	row := db.Items("trailtide")["shardId-000000000000"]
	if got := attribute(row["checkpoint"]) + ":" + attribute(row["checkpointSubSequenceNumber"]); got != packed+":1" {
		t.Errorf("the checkpoint is %s, want %s:1", got, packed)
	}
	// Another fleet with a ledger of its own goes on there.
	srv.Put("trail", "k", []byte("k:3"))
	l = newLedger()
	m = join(t, o, l)
	eventually(t, "the next record", func() bool { return l.count() > 0 })
	m.leave()
	if len(l.got) != 1 || l.got[0].payload != "k:3" {
		t.Errorf("%+v, want k:3", l.got)
	}
	// The ledger's position wins over the checkpoint.
	pos, err := decodePosition(l.positions["trail/shardId-000000000000"])
	if err != nil {
		t.Fatal(err)
	}
	again := newLedger()
	again.positions["trail/shardId-000000000000"] = position{kind: atRecord, created: pos.created, sequence: packed, sub: 0}.encode()
	m = join(t, o, again)
	eventually(t, "the records after it", func() bool { return again.count() == 2 })
	m.leave()
	if again.got[0].payload != "k:2" || again.got[1].payload != "k:3" {
		t.Errorf("%+v, want k:2 and k:3", again.got)
	}
}

// A position that was committed and not yet written to the lease is written by
// the next holder, though nothing more comes.
func TestCheckpointOfDeadHolder(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	_, end := srv.Put("trail", "k", []byte("k:0"))
	o := leased(srv, modePolling, leasetest.New(), "trail")
	l := newLedger()
	m := join(t, o, l)
	eventually(t, "the record", func() bool { return l.count() == 1 })
	m.leave()
	o.db = leasetest.New()
	m = join(t, o, l)
	eventually(t, "the checkpoint", func() bool {
		return attribute(o.db.Items("trailtide")["shardId-000000000000"]["checkpoint"]) == end
	})
	m.leave()
}

func attribute(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return fmt.Sprintf("%T", v)
}

// Shards of two streams are shared, and a parent is closed after a while though
// its children are read by others.
func TestLeasesOfStreams(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("a", 3)
	srv.CreateStream("b", 3)
	o := leased(srv, modePolling, leasetest.New(), "a", "b")
	l := newLedger()
	one, two := join(t, o, l), join(t, o, l)
	eventually(t, "a fair share", func() bool { return one.metric("shards_reading") == 3 && two.metric("shards_reading") == 3 })
	fill(srv, "a", 0, 99)
	fill(srv, "b", 100, 199)
	srv.Split("a", "shardId-000000000000")
	eventually(t, "everything", func() bool { return l.count() == 200 })
	eventually(t, "the parent to be closed", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.finished["a/shardId-000000000000"]
	})
	eventually(t, "the children to be taken", func() bool { return one.metric("shards_reading")+two.metric("shards_reading") == 7 })
	one.leave()
	two.leave()
	if len(l.got) != 200 {
		t.Errorf("%d records were committed, want 200", len(l.got))
	}
}

var _ pipeline.Ledger = (*member)(nil)
