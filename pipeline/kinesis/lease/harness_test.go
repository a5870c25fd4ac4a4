package lease

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testTable = "leases"

var errNetwork = errors.New("connection reset")

// cluster is workers over one table in a synctest bubble: time is not real.
type cluster struct {
	t       *testing.T
	db      *leasetest.DB
	listing Listing

	mu      sync.Mutex
	workers []*worker
}

// worker reads shards as a source would: it commits a place each second.
type worker struct {
	*Coordinator
	cl     *cluster
	cancel context.CancelFunc
	done   chan struct{}
	fault  atomic.Pointer[func(leasetest.Call) leasetest.Fault]

	mu      sync.Mutex
	reading map[string]*Lease
	// ends are shards that are finished when their reader meets it.
	ends map[string][]Shard
	// stuck readers do not leave when their lease has ended.
	stuck bool
}

func newCluster(t *testing.T, listing Listing) *cluster {
	t.Helper()
	cl := &cluster{t: t, db: leasetest.New(), listing: listing}
	cl.db.OnChange(cl.check)
	return cl
}

// check holds every change of the table to the rules.
func (cl *cluster) check(op string, before, after leasetest.Item) {
	if before == nil || after == nil {
		return
	}
	b, _, _ := parseRow(before)
	a, _, _ := parseRow(after)
	if b.finished() && (a.checkpoint != b.checkpoint || a.owner != "") {
		cl.t.Errorf("%s: finished lease changed: %+v to %+v", a.key, b, a)
	}
	if !b.checkpoint.Sentinel() && !a.checkpoint.Sentinel() && a.checkpoint.before(b.checkpoint) {
		cl.t.Errorf("%s: checkpoint went back: %+v to %+v", a.key, b, a)
	}
	if a.checkpoint != b.checkpoint && b.owner == "" {
		cl.t.Errorf("%s: checkpoint of nobody's lease changed: %+v to %+v", a.key, b, a)
	}
	if a.counter < b.counter || a.counter > b.counter+1 {
		cl.t.Errorf("%s: counter went from %d to %d", a.key, b.counter, a.counter)
	}
	if a.owner != b.owner && a.owner != "" && a.checkpoint != b.checkpoint {
		cl.t.Errorf("%s: taken and moved at once: %+v to %+v", a.key, b, a)
	}
}

// checkOrder tells whether a lease may be read: no parent's lease is unfinished.
func (cl *cluster) checkOrder(l *Lease) {
	items := cl.db.Items(testTable)
	for _, p := range l.Parents() {
		if i, ok := items[leaseKey(l.Stream(), p)]; ok {
			if r, _, _ := parseRow(i); !r.finished() {
				cl.t.Errorf("%s is read before its parent %s is finished", l.Key(), p)
			}
		}
	}
}

// checkExclusive fails where two workers believe in one lease.
func (cl *cluster) checkExclusive() {
	holder := map[string]string{}
	for _, w := range cl.all() {
		w.mu.Lock()
		for key, l := range w.reading {
			if l.Valid() {
				of := fmt.Sprint(key, " of the stream of ", l.Created())
				if other, ok := holder[of]; ok {
					cl.t.Errorf("%s is held by %s and %s", of, other, w.ID())
				}
				holder[of] = w.ID()
			}
		}
		w.mu.Unlock()
	}
}

func (cl *cluster) all() []*worker {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return slices.Clone(cl.workers)
}

func (cl *cluster) start(change ...func(*Options)) *worker {
	cl.t.Helper()
	w := &worker{cl: cl, done: make(chan struct{}), reading: map[string]*Lease{}, ends: map[string][]Shard{}}
	w.net(func(leasetest.Call) leasetest.Fault { return leasetest.Fault{} })
	client := cl.db.Client(func(c leasetest.Call) leasetest.Fault {
		f := (*w.fault.Load())(c)
		if f == (leasetest.Fault{}) {
			f.Before, f.After = time.Duration(1+rand.N(5))*time.Millisecond, time.Millisecond
		}
		return f
	})
	cl.mu.Lock()
	o := Options{Table: client, TableName: testTable, Worker: "w" + strconv.Itoa(len(cl.workers))}
	cl.mu.Unlock()
	for _, f := range change {
		f(&o)
	}
	c, err := Open(cl.t.Context(), o)
	if err != nil {
		cl.t.Fatal(err)
	}
	w.Coordinator = c
	ctx, cancel := context.WithCancel(cl.t.Context())
	w.cancel = cancel
	cl.mu.Lock()
	cl.workers = append(cl.workers, w)
	cl.mu.Unlock()
	go w.sync(ctx)
	go func() {
		defer close(w.done)
		if err := c.Run(ctx, w.serve); err != nil {
			cl.t.Error(err)
		}
	}()
	return w
}

func (w *worker) sync(ctx context.Context) {
	for {
		select {
		case <-w.SyncWanted(w.cl.listing.Stream):
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			w.cl.mu.Lock()
			l := w.cl.listing
			l.Shards = slices.Clone(l.Shards)
			w.cl.mu.Unlock()
			if l.Shards == nil || w.Sync(ctx, l) == nil {
				break
			}
			sleep(ctx, time.Second)
		}
	}
}

func (w *worker) serve(ctx context.Context, l *Lease) {
	w.cl.checkOrder(l)
	w.mu.Lock()
	w.reading[l.Key()] = l
	w.mu.Unlock()
	w.cl.checkExclusive()
	defer func() {
		w.mu.Lock()
		delete(w.reading, l.Key())
		w.mu.Unlock()
	}()
	at := 0
	if !l.Start().Sentinel() {
		at, _ = strconv.Atoi(l.Start().Sequence)
	}
	for {
		draining := false
		select {
		case <-time.After(time.Second):
		case <-l.Draining():
			draining = true
		case <-ctx.Done():
			return
		}
		at++
		l.Checkpoint(strconv.Itoa(at), 0)
		w.mu.Lock()
		children, ends := w.ends[l.Shard()]
		stuck := w.stuck
		w.mu.Unlock()
		if ends {
			l.Finish(children...)
			return
		}
		if draining && !stuck {
			return
		}
		if draining {
			<-ctx.Done()
			return
		}
	}
}

func (w *worker) net(f func(leasetest.Call) leasetest.Fault) { w.fault.Store(&f) }

func (w *worker) heal() { w.net(func(leasetest.Call) leasetest.Fault { return leasetest.Fault{} }) }

// cut makes every call of the worker fail, as when its process was killed.
func (w *worker) cut() {
	w.net(func(leasetest.Call) leasetest.Fault { return leasetest.Fault{Err: errNetwork} })
}

// freeze holds back every call for d: it arrives then, its caller gone.
func (w *worker) freeze(d time.Duration) {
	until := time.Now().Add(d)
	w.net(func(leasetest.Call) leasetest.Fault {
		return leasetest.Fault{Before: max(time.Until(until), time.Millisecond)}
	})
}

func (w *worker) finish(shard string, children ...Shard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[shard] = children
}

func (w *worker) keys() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.reading))
}

func (w *worker) lease(key string) *Lease {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reading[key]
}

// stop ends a worker as a signal does, and waits.
func (w *worker) stop() {
	w.cancel()
	<-w.done
}

func (cl *cluster) stop() {
	for _, w := range cl.all() {
		w.cancel()
	}
	for _, w := range cl.all() {
		<-w.done
	}
	time.Sleep(time.Minute) // calls that were held back arrive
}

// until waits at most d of the bubble's time for what holds, looking each 100 ms.
func (cl *cluster) until(d time.Duration, what string, holds func() bool) time.Duration {
	cl.t.Helper()
	begin := time.Now()
	for {
		synctest.Wait()
		cl.checkExclusive()
		if holds() {
			return time.Since(begin)
		}
		if time.Since(begin) > d {
			cl.t.Fatalf("not within %v: %s\n%s", d, what, cl.dump())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// pass lets time go on under watch.
func (cl *cluster) pass(d time.Duration) {
	cl.t.Helper()
	begin := time.Now()
	cl.until(d+time.Second, "time passes", func() bool { return time.Since(begin) >= d })
}

// balanced tells that workers hold all n leases, and each as many as the others but one.
func balanced(n int, workers ...*worker) bool {
	least, most, all := n, 0, map[string]bool{}
	for _, w := range workers {
		keys := w.keys()
		for _, k := range keys {
			all[k] = true
		}
		least, most = min(least, len(keys)), max(most, len(keys))
	}
	return len(all) == n && most-least <= 1
}

func (cl *cluster) row(key string) row {
	r, _, err := parseRow(cl.db.Items(testTable)[key])
	if err != nil {
		cl.t.Fatal(err)
	}
	return r
}

func (cl *cluster) dump() string {
	s := ""
	for _, w := range cl.all() {
		s += fmt.Sprintf("%s reads %d: %.300v\n", w.ID(), len(w.keys()), w.keys())
	}
	items := cl.db.Items(testTable)
	for i, key := range slices.Sorted(maps.Keys(items)) {
		if r := cl.row(key); i < 40 {
			s += fmt.Sprintf("%s owner=%s for=%s counter=%d at=%v parents=%v\n", key, r.owner, r.handOver, r.counter, r.checkpoint, r.parents)
		}
	}
	return s
}

// open are n shards that share the hash keys.
func open(n int) []Shard {
	shards := make([]Shard, n)
	for i := range shards {
		shards[i] = Shard{
			ID:              shardID(i),
			StartingHashKey: strconv.Itoa(i * 1000), EndingHashKey: strconv.Itoa(i*1000 + 999),
		}
	}
	return shards
}

func shardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

func throttled(p float64) func(leasetest.Call) leasetest.Fault {
	return func(leasetest.Call) leasetest.Fault {
		if rand.Float64() < p {
			return leasetest.Fault{Err: leasetest.Throttle()}
		}
		return leasetest.Fault{}
	}
}

// plant writes an item as another program would.
func (cl *cluster) plant(i leasetest.Item) {
	cl.t.Helper()
	c := cl.db.Client(nil)
	s := &store{table: c, name: testTable, metrics: newMetrics(prometheus.NewRegistry(), nil, nil)}
	if err := s.open(cl.t.Context(), true); err != nil {
		cl.t.Fatal(err)
	}
	if _, err := c.PutItem(cl.t.Context(), putInput(i)); err != nil {
		cl.t.Fatal(err)
	}
}

func boolean(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

func putInput(i leasetest.Item) *dynamodb.PutItemInput {
	return &dynamodb.PutItemInput{TableName: aws.String(testTable), Item: i}
}
