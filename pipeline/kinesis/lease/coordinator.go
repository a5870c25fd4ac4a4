package lease

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	// maxCalls bounds the renewals under way, maxTakes the takes: many leases
	// must not become as many connections.
	maxCalls = 64
	maxTakes = 16
	// maxMet is how many leases may turn out to be taken by others already
	// before a worker looks again.
	maxMet = 4
	// unjudgedRounds is how many rounds a lease that cannot be judged waits for
	// a listing before another one is asked for.
	unjudgedRounds = 5
)

// Coordinator takes, keeps and gives up leases for one worker.
type Coordinator struct {
	o       Options
	id      string
	store   *store
	metrics *metrics
	log     *zap.Logger
	board   *board // of the goroutine in Run, as is unjudged
	turns   chan struct{}
	kick    chan struct{} // a token: look at the table soon
	serving sync.WaitGroup
	// unjudged is when a stream's shards were asked for because a lease could not be judged.
	unjudged map[string]time.Time

	mu       sync.Mutex
	held     map[string]*Lease
	listings map[string]listing
	wants    map[string]chan struct{} // a token: list the stream's shards
	synced   map[string]time.Time     // when Sync was done last
	running  bool
	healthy  time.Time // the table was read last
	trouble  error     // why not since
}

// Held is a lease for people to look at.
type Held struct {
	Stream, Shard string
	Checkpoint    Checkpoint // recorded last, perhaps not yet written
	Draining      bool
}

// Open checks the options and the table, and makes the table if it may. It
// blocks until the table is active or ctx ends.
func Open(ctx context.Context, o Options) (*Coordinator, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	suffix := make([]byte, 6)
	if _, err := rand.Read(suffix); err != nil {
		return nil, fmt.Errorf("lease: making a worker ID: %w", err)
	}
	c := &Coordinator{
		o: o, id: o.Worker + "-" + hex.EncodeToString(suffix), log: o.Log,
		board: &board{failover: o.FailoverTime},
		turns: make(chan struct{}, maxCalls), kick: make(chan struct{}, 1),
		held: map[string]*Lease{}, listings: map[string]listing{}, synced: map[string]time.Time{}, wants: map[string]chan struct{}{}, unjudged: map[string]time.Time{}, healthy: time.Now(),
	}
	c.metrics = newMetrics(o.Registerer, c.countHeld, c.oldestCheckpoint)
	c.store = &store{table: o.Table, name: o.TableName, metrics: c.metrics, log: o.Log}
	if err := c.store.open(ctx, !o.NoCreate); err != nil {
		return nil, err
	}
	return c, nil
}

// ID is what this worker writes as leaseOwner: Options.Worker and a random suffix.
func (c *Coordinator) ID() string { return c.id }

// Held lists the leases that this worker holds, by key.
func (c *Coordinator) Held() []Held {
	var all []Held
	for _, l := range c.leases() {
		all = append(all, l.held())
	}
	return all
}

// Health answers nil, or why the table could not be read for longer than FailoverTime.
func (c *Coordinator) Health() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trouble == nil || time.Since(c.healthy) < c.o.FailoverTime {
		return nil
	}
	return c.trouble
}

// Run takes and keeps leases until ctx ends, and calls serve for each in a
// goroutine of its own. Only leases of streams that Sync was called for are
// taken, in the order and share of docs/adr/0005-leases.md. Once only.
//
// The context that serve gets ends when the lease is lost, when its hand-over
// deadline has passed, and when serve has returned. Nothing may be emitted or
// committed after it, and serve must return soon then. When serve returns, the
// lease is given up with the last checkpoint: finished (after Finish), to the
// worker that asked for it, or to any. Until then this worker does not take it again.
//
// When ctx ends all leases drain. Run returns nil once every serve has
// returned and the leases are written. Failures of DynamoDB do not end it.
func (c *Coordinator) Run(ctx context.Context, serve func(ctx context.Context, l *Lease)) error {
	c.mu.Lock()
	again := c.running
	c.running = true
	c.mu.Unlock()
	if again {
		return errors.New("lease: Run may be called once")
	}
	work := context.WithoutCancel(ctx) // leases outlive ctx by their draining
	wait, nextSync := jitter(c.o.TakeEvery/2), time.Now().Add(jitter(c.o.SyncEvery))
	for failures := 0; ; {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.kick:
			timer.Stop()
			if !sleep(ctx, c.o.TakeEvery/20) { // others may have been given up with it
				return c.end()
			}
		case <-ctx.Done():
			timer.Stop()
			return c.end()
		}
		soon, leads, err := c.round(ctx, work, serve)
		switch {
		case ctx.Err() != nil:
			return c.end()
		case err != nil:
			failures++
			c.metrics.roundsFailed.Inc()
			c.log.Warn("lease table could not be read", zap.Error(err))
			wait = jitter(min(c.o.TakeEvery<<min(failures, 3), c.o.FailoverTime))
			continue
		case soon:
			wait = jitter(c.o.TakeEvery / 4)
		default:
			wait = jitter(c.o.TakeEvery)
		}
		failures = 0
		if now := time.Now(); leads && !now.Before(nextSync) {
			nextSync = now.Add(jitter(c.o.SyncEvery))
			c.wantAll()
		}
	}
}

// end drains all leases and waits for them.
func (c *Coordinator) end() error {
	for _, l := range c.leases() {
		l.drain(c.o.HandOver)
	}
	c.serving.Wait()
	return nil
}

// round reads the table once and acts on it. soon: look again earlier.
func (c *Coordinator) round(ctx, work context.Context, serve func(context.Context, *Lease)) (soon, leads bool, err error) {
	rows, err := c.store.scan(ctx)
	now := time.Now()
	c.mu.Lock()
	if c.trouble = err; err == nil {
		c.healthy = now
	}
	listings := make(map[string]listing, len(c.listings))
	for stream, l := range c.listings {
		listings[stream] = l
	}
	c.mu.Unlock()
	if err != nil {
		return false, false, err
	}
	rows, others := ours(rows, listings)
	c.wantUnjudged(others, now)
	c.board.observe(rows, now)
	held, draining := map[string]bool{}, map[string]bool{}
	mine := map[string]*Lease{}
	for _, l := range c.leases() {
		held[l.Key()], draining[l.Key()], mine[l.Key()] = true, l.isDraining(), l
	}
	st := c.board.stand(rows, c.id, held, listings, now)
	c.wantUnjudged(st.unjudged, now)
	granted, declined := st.grants(draining)
	for _, r := range granted {
		c.log.Info("lease is handed over", zap.String("lease", r.key), zap.String("to", r.handOver))
		mine[r.key].drain(c.o.HandOver)
	}
	for _, r := range declined {
		mine[r.key].declineHandOver()
	}
	room := len(rows)
	if c.o.MaxLeases > 0 {
		room = max(0, c.o.MaxLeases-len(held))
	}
	p := makePlan(st, room)
	soon = c.take(ctx, work, p.take, serve)
	c.ask(ctx, p.ask)
	return soon, st.first == "" || st.first == c.id, nil
}

// take takes leases and serves them. It stops early, answering true, when it
// meets another worker that takes the same ones.
func (c *Coordinator) take(ctx, work context.Context, rows []row, serve func(context.Context, *Lease)) bool {
	var g errgroup.Group
	g.SetLimit(maxTakes)
	var mu sync.Mutex
	met := 0
	for _, r := range rows {
		g.Go(func() error {
			mu.Lock()
			stop := met >= maxMet || ctx.Err() != nil
			mu.Unlock()
			if stop {
				return nil
			}
			start := time.Now()
			attempt, cancel := context.WithTimeout(work, c.attemptTime())
			defer cancel()
			// With an unknown outcome the next round sees whether it is mine.
			if err := c.store.take(attempt, r, c.id); err != nil {
				if !errors.Is(err, errRefused) {
					c.log.Warn("lease could not be taken", zap.Error(err))
				}
				mu.Lock()
				met++
				mu.Unlock()
				return nil
			}
			c.begin(work, r, start, serve)
			return nil
		})
	}
	_ = g.Wait() // no call returns an error
	return met > 0
}

func (c *Coordinator) ask(ctx context.Context, rows []row) {
	var g errgroup.Group
	g.SetLimit(maxTakes)
	for _, r := range rows {
		g.Go(func() error {
			attempt, cancel := context.WithTimeout(ctx, c.attemptTime())
			defer cancel()
			if err := c.store.ask(attempt, r, c.id); err != nil && !errors.Is(err, errRefused) {
				c.log.Warn("lease could not be asked for", zap.Error(err))
			}
			return nil
		})
	}
	_ = g.Wait() // no call returns an error
}

// leases are those held, by key.
func (c *Coordinator) leases() []*Lease {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*Lease, 0, len(c.held))
	for _, l := range c.held {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *Lease) int { return strings.Compare(a.Key(), b.Key()) })
	return all
}

func (c *Coordinator) countHeld() float64 { return float64(len(c.leases())) }

func (c *Coordinator) oldestCheckpoint() float64 {
	var oldest time.Duration
	for _, l := range c.leases() {
		oldest = max(oldest, l.age())
	}
	return oldest.Seconds()
}
