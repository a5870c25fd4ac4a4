package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Sync makes leases for the listed shards that need one, parents before
// children, and deletes those that are finished and whose children have
// checkpoints, and those of a stream that was deleted and made again since. Any worker may call it at any time; two at once do no harm.
// Every worker must call it once for each stream, or it takes nothing of it; of
// one stream one call at a time, each with a listing begun after the call before.
// An error is also that the table holds leases of another stream under the same
// key, or that the stream was made again since it was listed.
// It waits for a random part of TakeEvery first, lest all do the same at once.
func (c *Coordinator) Sync(ctx context.Context, l Listing) error {
	switch l.Start {
	case "":
		l.Start = TrimHorizon
	case TrimHorizon, Latest, AtTimestamp:
	default:
		return fmt.Errorf("lease: start %q: want %s, %s or %s", l.Start, TrimHorizon, Latest, AtTimestamp)
	}
	shards := shardsByID(l.Shards)
	if len(shards) == 0 {
		return fmt.Errorf("lease: the listing of stream %q has no shard", l.Stream)
	}
	if err := c.sync(ctx, l, shards); err != nil {
		return fmt.Errorf("making the leases of stream %q: %w", l.Stream, err)
	}
	c.mu.Lock()
	// One goroutine lists and calls: this listing was begun after the last call.
	c.listings[l.Stream] = listing{shards: shards, of: l.identity(), after: c.synced[l.Stream]}
	c.synced[l.Stream] = time.Now()
	c.mu.Unlock()
	signal(c.kick)
	return nil
}

// syncAttempts bounds how often another worker may be met that does the same.
const syncAttempts = 20

func (c *Coordinator) sync(ctx context.Context, l Listing, shards map[string]Shard) error {
	for range syncAttempts {
		if !sleep(ctx, rand.N(c.o.TakeEvery/4+1)) {
			return ctx.Err()
		}
		all, err := c.store.scan(ctx)
		if err != nil {
			return err
		}
		rows, old, err := l.sort(all)
		if err != nil {
			return err
		}
		c.sign(ctx, l, rows)
		start := l.Start
		if len(old) > 0 && start == Latest {
			start = TrimHorizon // it was read before: all of it is new
		}
		f := newFamily(l.Stream, start, shards, rows)
		f.of, f.asOf = l.identity(), l.AsOf
		f.adopt(rows)
		missing := f.missing()
		if len(missing) == 0 {
			c.clean(ctx, f.over())
			c.discard(ctx, old)
			return nil
		}
		met := false
		for _, generation := range missing {
			if met, err = c.replace(ctx, generation, old); err != nil {
				return err
			}
			if met {
				break
			}
		}
		if !met && len(old) == 0 {
			return nil
		}
	}
	return errors.New("other workers make them all the time")
}

// create makes leases at once. met: another worker was quicker with one.
func (c *Coordinator) create(ctx context.Context, rows []row, old map[string]row) (met bool, err error) {
	var others atomic.Bool
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxTakes)
	for _, r := range rows {
		g.Go(func() error {
			if others.Load() {
				return nil
			}
			return c.store.retry(ctx, 5, func() error {
				made, err := c.store.create(ctx, r, old[r.key].of)
				if err == nil && !made {
					others.Store(true)
				}
				if made {
					c.log.Info("lease made", zap.String("lease", r.key), zap.String("start", r.checkpoint.Sequence))
				}
				return err
			})
		})
	}
	err = g.Wait()
	return others.Load(), err
}

// clean deletes finished leases. What fails is there the next time.
func (c *Coordinator) clean(ctx context.Context, rows []row) {
	for _, r := range rows {
		if err := c.store.remove(ctx, r); err != nil {
			if !errors.Is(err, errRefused) {
				c.log.Warn("finished lease could not be deleted", zap.Error(err))
			}
			continue
		}
		c.log.Info("finished lease deleted", zap.String("lease", r.key))
	}
}

// Forget has no lease of a stream taken before the next Sync of it, as where the
// stream is not there: they count in nobody's fair share. Those that are
// held go on until their readers return.
func (c *Coordinator) Forget(stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.listings, stream)
	delete(c.synced, stream)
}

// jitter is d, a fifth more or less.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d*2/5+1)
}
