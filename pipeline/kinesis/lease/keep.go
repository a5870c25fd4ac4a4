package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

var (
	errHandOver = errors.New("lease: the time to hand it over is up")
	errExpired  = errors.New("lease: it could not be renewed in time")
	errTaken    = errors.New("lease: another worker has it")
	errDeleted  = errors.New("lease: it was deleted")
)

// begin starts serving a lease that was written as mine by a call that began at since.
func (c *Coordinator) begin(ctx context.Context, r row, since time.Time, serve func(context.Context, *Lease)) {
	l := &Lease{
		taken: r, counter: r.counter + 1, draining: make(chan struct{}), touched: time.Now(),
		recorded: r.checkpoint, written: r.checkpoint, deadline: since.Add(c.valid()),
	}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.mu.Lock()
	l.expire = time.AfterFunc(time.Until(l.deadline), func() { c.checkDeadline(l) })
	l.mu.Unlock()

	c.mu.Lock()
	c.held[r.key] = l
	c.mu.Unlock()
	c.metrics.taken.Inc()
	if r.handOver == c.id {
		c.metrics.stolen.Inc()
	}
	c.log.Info("lease taken", zap.String("lease", r.key), zap.String("from", r.owner), zap.String("checkpoint", r.checkpoint.Sequence))

	served, kept := make(chan struct{}), make(chan struct{})
	c.serving.Go(func() {
		defer close(kept)
		c.keep(l, served)
	})
	c.serving.Go(func() {
		serve(l.ctx, l)
		close(served)
		<-kept
		c.giveUp(ctx, l)
		l.stop()
		c.mu.Lock()
		delete(c.held, r.key)
		c.mu.Unlock()
	})
}

// valid is how long after a renewal's start a lease is believed in: less than
// the others wait from the moment on in which the renewal was written.
func (c *Coordinator) valid() time.Duration { return c.o.FailoverTime * 9 / 10 }

// attemptTime is how long one call may take, so that others fit in.
func (c *Coordinator) attemptTime() time.Duration { return c.o.FailoverTime / 4 }

func (c *Coordinator) checkDeadline(l *Lease) {
	l.mu.Lock()
	over := !time.Now().Before(l.deadline)
	l.mu.Unlock()
	if over {
		c.lose(l, errExpired)
	}
}

// lose ends a lease that is not ours any more.
func (c *Coordinator) lose(l *Lease, cause error) {
	l.mu.Lock()
	first := l.ctx.Err() == nil
	l.cancel(cause)
	l.mu.Unlock()
	if first {
		c.metrics.lost.Inc()
		c.log.Warn("lease lost", zap.String("lease", l.Key()), zap.Error(cause))
	}
}

// keep renews a lease until it ends. Nothing that its reader does holds it up.
func (c *Coordinator) keep(l *Lease, served <-chan struct{}) {
	next := time.Now()
	for {
		// A little more than the interval, at random, so that leases taken at once spread.
		next = next.Add(c.o.RenewEvery + rand.N(c.o.RenewEvery/10+1))
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-served:
			timer.Stop()
			return
		case <-l.ctx.Done():
			timer.Stop()
			return
		}
		if !c.renew(l, served) {
			return
		}
		if now := time.Now(); now.Sub(next) > c.o.RenewEvery/2 {
			next = now
		}
	}
}

// renew writes a renewal, again and again while the lease may still be ours.
func (c *Coordinator) renew(l *Lease, served <-chan struct{}) bool {
	var first time.Time
	for attempt := 0; ; attempt++ {
		start := time.Now()
		if first.IsZero() {
			first = start
		}
		pending := l.pending()
		err := c.call(l.ctx, func(ctx context.Context) error {
			return c.store.write(ctx, l.Key(), c.id, l.counter, pending)
		})
		switch {
		case err == nil:
			written := l.written
			if pending.checkpoint != nil {
				written = *pending.checkpoint
			}
			l.renewed(start, c.valid(), l.counter+1, written, pending.unreserve)
			return true
		case errors.Is(err, errRefused):
			// An earlier attempt may be in the table though its answer was lost.
			var r row
			var ok bool
			err = c.call(l.ctx, func(ctx context.Context) (err error) {
				r, ok, err = c.store.get(ctx, l.Key())
				return err
			})
			if err == nil && ok && r.owner == c.id && r.counter == l.counter+1 {
				l.renewed(first, c.valid(), r.counter, r.checkpoint, false)
				return true
			}
			if err == nil && !ok {
				c.lose(l, errDeleted)
				return false
			}
			if err == nil {
				c.lose(l, fmt.Errorf("%w: %q", errTaken, r.owner))
				return false
			}
		}
		c.metrics.renewalsFailed.Inc()
		timer := time.NewTimer(min(backoff(attempt), c.o.RenewEvery/12+rand.N(c.o.RenewEvery/12+1)))
		select {
		case <-timer.C:
		case <-served:
			timer.Stop()
			return false
		case <-l.ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// giveUp writes the last checkpoint and that the lease is nobody's, if it is
// still mine. What cannot be written in time expires.
func (c *Coordinator) giveUp(ctx context.Context, l *Lease) {
	if cause := context.Cause(l.ctx); errors.Is(cause, errTaken) || errors.Is(cause, errDeleted) {
		return
	}
	l.mu.Lock()
	last, finished, children := l.deadline, l.finished, l.children
	l.mu.Unlock()
	// Past the deadline once: still conditional on the counter, and quicker
	// for the others than waiting.
	ctx, cancel := context.WithDeadline(ctx, later(last, time.Now().Add(c.attemptTime())))
	defer cancel()

	var ids []string
	for _, s := range children {
		ids = append(ids, s.ID)
		err := c.store.retry(ctx, 3, func() error { return c.makeChild(ctx, l, s) })
		if err != nil {
			c.log.Warn("a child's lease could not be made; the next listing makes it", zap.String("lease", l.Key()), zap.Error(err))
		}
	}
	for attempt := 0; ; attempt++ {
		pending := l.pending()
		pending.release, pending.children = true, ids
		if finished {
			pending.checkpoint, pending.unreserve = &Checkpoint{Sequence: ShardEnd}, true
		}
		err := c.call(ctx, func(ctx context.Context) error {
			return c.store.write(ctx, l.Key(), c.id, l.counter, pending)
		})
		if err == nil {
			c.gaveUp(l, finished)
			return
		}
		if errors.Is(err, errRefused) {
			r, ok, getErr := c.store.get(ctx, l.Key())
			switch {
			case getErr != nil:
			case !ok:
				c.lose(l, errDeleted)
				return
			case r.counter != l.counter+1 || r.owner != "" && r.owner != c.id:
				c.lose(l, errTaken)
				return
			case r.owner == "": // an attempt of this loop
				c.gaveUp(l, finished)
				return
			default: // the last renewal
				l.mu.Lock()
				l.counter, l.written = r.counter, r.checkpoint
				l.mu.Unlock()
				continue
			}
		}
		if !sleep(ctx, backoff(attempt)) {
			c.log.Warn("lease could not be given up and will expire", zap.String("lease", l.Key()), zap.Error(err))
			return
		}
	}
}

// makeChild makes the lease of a child of a finished lease, unless another
// parent of it has none: that parent may not be listed yet, and Sync makes its lease first.
func (c *Coordinator) makeChild(ctx context.Context, l *Lease, child Shard) error {
	r := newRow(l.Stream(), child, TrimHorizon)
	r.of = l.taken.of
	for _, p := range r.parents {
		if p == l.Shard() {
			continue
		}
		_, ok, err := c.store.get(ctx, leaseKey(l.Stream(), p))
		if err != nil || !ok {
			return err
		}
	}
	_, err := c.store.create(ctx, r, identity{})
	return err
}

func (c *Coordinator) gaveUp(l *Lease, finished bool) {
	c.log.Info("lease given up", zap.String("lease", l.Key()), zap.Bool("finished", finished))
	if finished {
		c.metrics.finished.Inc()
		signal(c.wanted(l.Stream()))
		signal(c.kick)
	}
}

// call makes one call with a time limit, and waits for its turn before it.
func (c *Coordinator) call(ctx context.Context, f func(ctx context.Context) error) error {
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, c.attemptTime())
	defer cancel()
	return f(ctx)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// signal leaves a token unless there is one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
