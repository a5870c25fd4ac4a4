package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// committer applies results in order and commits them in intervals. It keeps
// the interval's results until they are durable, so that an aborted commit can
// be undone and they can be applied again.
type committer struct {
	w     *Worker
	stage Stage

	interval []*result // applied, not yet durable
	events   int       // matched events among them
	open     bool      // a transaction is open
	flushed  bool      // it holds all of the interval's changes
	lineage  *lineage
}

// run returns nil when order is closed and everything is committed. When ctx
// ends because stop did, it commits what has been applied; when it ends for
// another reason (the reader failed), that too.
func (c *committer) run(ctx, stop context.Context, order <-chan *job) error {
	tick := time.NewTicker(c.w.o.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case j, more := <-order:
			if !more {
				return c.last(ctx, stop)
			}
			var res *result
			select {
			case res = <-j.done:
			case <-ctx.Done():
				return c.last(ctx, stop)
			}
			if err := c.take(ctx, res); err != nil {
				return c.stopped(ctx, stop, err)
			}
		case <-tick.C:
			if err := c.commit(ctx); err != nil {
				return c.stopped(ctx, stop, err)
			}
		case <-ctx.Done():
			return c.last(ctx, stop)
		}
	}
}

// stopped handles a commit that failed: when ctx ended in the middle of it,
// the interval is committed within the deadline of a stop. Changes that were
// collected in part are collected anew; a transaction whose commit was cut
// short is committed again as it is.
func (c *committer) stopped(ctx, stop context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(stop), c.w.o.StopWithin)
	defer cancel()
	if c.open && !c.flushed {
		if err := c.stage.Txn().Abort(late); err != nil {
			return fmt.Errorf("commit before the stop: %w", err)
		}
		c.stage.RolledBack()
		c.open = false
	}
	if !c.open && len(c.interval) > 0 {
		if err := c.again(late); err != nil {
			return fmt.Errorf("commit before the stop: %w", err)
		}
	}
	return c.last(ctx, stop)
}

// last commits what has been applied, within the deadline of a stop.
func (c *committer) last(ctx, stop context.Context) error {
	if ctx.Err() == nil {
		return c.commit(ctx)
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(stop), c.w.o.StopWithin)
	defer cancel()
	if err := c.commit(late); err != nil {
		return fmt.Errorf("commit before the stop: %w", err)
	}
	return nil
}

// take applies one result, and commits when the interval is full.
func (c *committer) take(ctx context.Context, res *result) error {
	if !c.open {
		if err := c.begin(ctx); err != nil {
			return err
		}
	}
	for _, p := range res.lost {
		c.forget(p)
	}
	c.apply(res)
	c.interval = append(c.interval, res)
	c.events += len(res.events)
	if full := c.w.o.CommitBatches; c.events >= c.w.o.CommitEvents || full > 0 && len(c.interval) >= full {
		return c.commit(ctx)
	}
	return nil
}

func (c *committer) begin(ctx context.Context) error {
	return c.retry(ctx, "begin a transaction", func() error {
		err := c.stage.Begin(ctx, c.w.o.Now())
		c.open, c.flushed = err == nil, false
		return err
	})
}

// apply hands one result to the alert stage and to the open transaction.
func (c *committer) apply(res *result) {
	if shared, ok := c.stage.(Loser); ok {
		for _, p := range res.lost {
			shared.Lost(p)
		}
	}
	for _, p := range res.open {
		if shared, ok := c.stage.(Loser); ok {
			shared.Begins(p.Partition, p.Stay)
		}
		c.stage.Partition(p.Partition, c.lineage.floor(p.Time, res.from[p.Partition]))
	}
	for _, ev := range res.events {
		c.stage.Apply(ev)
	}
	for _, p := range res.reached {
		c.stage.Reached(p.Partition, p.Time)
		c.lineage.raise(p.Partition, p.Time)
	}
	for _, p := range res.idle {
		c.stage.Idle(p.Partition, p.Time)
		c.lineage.raise(p.Partition, p.Time)
	}
	for _, p := range res.closed {
		c.inherit(p)
		c.stage.Closed(p.Partition)
		c.lineage.closed(p.Partition)
	}
	c.stage.Advance(res.live)
	txn := c.stage.Txn()
	for p, pos := range res.positions {
		txn.Position(p, pos)
	}
	for _, d := range res.dead {
		txn.DeadLetter(d.position, d.reason, d.raw)
	}
}

// forget takes what the interval holds of a partition out of the accounting, and
// out of what the source is told to be durable: its new holder reads it again,
// and accounts for it.
func (c *committer) forget(partition string) {
	for _, res := range c.interval {
		delete(res.positions, partition)
		for i := range res.tallies {
			if t := &res.tallies[i]; t.partition == partition {
				t.Tally = Tally{}
			}
		}
	}
}

// inherit lets a partition's heirs hold the watermark.
func (c *committer) inherit(p PartitionEnd) {
	if len(p.Heirs) == 0 {
		return
	}
	if s, ok := c.stage.(Heritable); ok {
		s.Heirs(p.Partition, p.Heirs)
		return
	}
	for _, heir := range p.Heirs {
		c.stage.Partition(heir, c.lineage.floor(math.MinInt64, []string{p.Partition}))
	}
}

// commit makes the interval durable. It does not return before that, unless
// ctx ends or the partition belongs to another worker.
func (c *committer) commit(ctx context.Context) error {
	if !c.open {
		return nil
	}
	start := c.w.o.Now()
	if !c.flushed { // else a commit before was cut short
		if err := c.flush(ctx); err != nil {
			return err
		}
		c.flushed = true
	}
	txn := c.stage.Txn()
	for {
		err := c.retry(ctx, "commit", func() error { return txn.Commit(ctx) })
		if err == nil {
			break
		}
		if !errors.Is(err, engine.ErrAborted) {
			return err
		}
		c.w.metrics.aborts.Inc()
		c.w.o.Log.Warn("a commit was aborted; its records are applied again", zap.Error(err))
		c.stage.RolledBack()
		c.open = false
		if err := c.again(ctx); err != nil {
			return err
		}
		txn = c.stage.Txn()
	}
	c.done(start)
	return nil
}

// again applies the interval to a new transaction, after memory was undone.
func (c *committer) again(ctx context.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	for _, res := range c.interval {
		c.apply(res)
	}
	err := c.flush(ctx)
	c.flushed = err == nil
	return err
}

// flush collects the interval's changes. When the store cannot be read, the
// interval is undone and applied again once it can.
func (c *committer) flush(ctx context.Context) error {
	err := c.stage.Flush(ctx)
	if err == nil || !errors.Is(err, engine.ErrUnavailable) {
		return err
	}
	return c.retry(ctx, "read the store", func() error {
		abortErr := c.stage.Txn().Abort(ctx)
		c.stage.RolledBack()
		c.open = false
		if abortErr != nil {
			return abortErr
		}
		if err := c.stage.Begin(ctx, c.w.o.Now()); err != nil {
			return err
		}
		c.open = true
		for _, res := range c.interval {
			c.apply(res)
		}
		return c.stage.Flush(ctx)
	})
}

// retry calls f until it answers anything but ErrUnavailable. Meanwhile nothing
// is read, since nobody takes results, and the worker is not ready.
func (c *committer) retry(ctx context.Context, doing string, f func() error) error {
	wait := 50 * time.Millisecond
	failing := false
	for {
		err := f()
		if !errors.Is(err, engine.ErrUnavailable) {
			if failing && err == nil {
				c.w.o.Log.Info("the store is back; reading goes on", zap.String("doing", doing))
				c.w.setProblem(nil)
			}
			return err
		}
		c.w.metrics.storeFailures.Inc()
		if !failing {
			failing = true
			c.w.setProblem(fmt.Errorf("%s: %w", doing, err))
			c.w.o.Log.Error("the store fails; reading stops until it is back", zap.String("doing", doing), zap.Error(err))
		}
		t := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%s: %w", doing, err)
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// done settles a durable interval: memory, metrics, the source's own record.
func (c *committer) done(start time.Time) {
	if shared, ok := c.stage.(Loser); ok {
		for _, p := range shared.Dropped() {
			c.forget(p)
		}
	}
	counts := c.stage.Committed()
	c.lineage.committed()
	c.open = false
	positions := make(map[string][]byte)
	for _, res := range c.interval {
		for p, pos := range res.positions {
			positions[p] = pos
		}
	}
	c.w.o.Source.Committed(positions)
	c.w.record(c.interval, &counts, start)
	if state, ok := c.stage.(State); ok {
		c.w.RecordState(state)
	}
	clear(c.interval)
	c.interval, c.events = c.interval[:0], 0
}
