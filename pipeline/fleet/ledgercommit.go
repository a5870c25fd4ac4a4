package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/repartition"
)

// orphanedAtMost is for how long a source may read on what another worker has
// taken, before this one gives up: the source has to learn of it by itself.
const orphanedAtMost = time.Minute

// transactionsAtOnce bounds how many leases commit at the same time.
const transactionsAtOnce = 8

// commit makes each lease's part of the interval durable by itself. What belongs
// to a lease that is lost goes: its new holder reads it again.
func (l *ledger) commit(ctx context.Context, s *matchStage) error {
	var wait backoff
	for {
		parts := l.split(s)
		if err := l.orphaned(s.now); err != nil {
			return err
		}
		again := false
		g := errgroup.Group{}
		g.SetLimit(transactionsAtOnce)
		var mu sync.Mutex // over s and again
		for lease, part := range parts {
			g.Go(func() error {
				retry, err := l.commitLease(ctx, s, lease, part, &mu)
				mu.Lock()
				defer mu.Unlock()
				again = again || retry
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if !again {
			return nil
		}
		if err := wait.pause(ctx); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
}

// split gives every lease its bundles, without those of lost leases.
func (l *ledger) split(s *matchStage) map[string][]*bundle {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeOld()
	for lease, u := range l.units {
		if u.gone {
			u.close()
			delete(l.units, lease)
		}
	}
	parts := make(map[string][]*bundle)
	for name, b := range s.bundles {
		lease := l.leaseOf(name)
		u := l.units[lease]
		if u != nil && !l.one && u.stay != b.stay {
			s.drop(name) // of a stay before: what came between may be dropped already
			continue
		}
		if u == nil {
			if _, known := l.orphans[lease]; !known && b.position != nil {
				l.orphans[lease] = s.now
			}
			s.drop(name)
			continue
		}
		parts[lease] = append(parts[lease], b)
	}
	for name := range s.times {
		if l.units[l.leaseOf(name)] == nil {
			delete(s.times, name)
		}
	}
	for lease, u := range l.units {
		if _, ok := parts[lease]; !ok && s.now.Sub(u.told) >= markersEvery {
			parts[lease] = nil // its times are told though it has brought nothing
		}
	}
	return parts
}

// orphaned answers an error when this worker cannot go on: what it reads another
// one reads too, and the source does not stop.
func (l *ledger) orphaned(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for lease, since := range l.orphans {
		if now.Sub(since) > orphanedAtMost {
			return fmt.Errorf("%s has another reader for %s, and is read here all the same: %w", lease, now.Sub(since).Round(time.Second), engine.ErrFenced)
		}
	}
	return nil
}

// outcome finds out about the transaction before, of which it is not known
// whether it is durable: it is if the positions are.
func (l *ledger) outcome(ctx context.Context, u *unit) (durable bool, err error) {
	if _, err := u.p.Settle(ctx); errors.Is(err, engine.ErrUnavailable) {
		return false, err
	}
	if err := l.read(ctx); err != nil {
		return false, err
	}
	l.readMu.Lock()
	defer l.readMu.Unlock()
	for _, b := range u.flying.bundles {
		if b.position == nil {
			continue
		}
		if !bytes.Equal(l.known[b.name], b.position) {
			return false, nil
		}
		durable = true
	}
	return durable, nil
}

// commitLease makes one lease's part durable. again: it was aborted and has to be
// written anew.
func (l *ledger) commitLease(ctx context.Context, s *matchStage, lease string, bundles []*bundle, mu *sync.Mutex) (again bool, err error) {
	l.mu.Lock()
	u := l.units[lease]
	l.mu.Unlock()
	if u == nil {
		return false, nil
	}
	if u.flying != nil {
		durable, err := l.outcome(ctx, u)
		if err != nil {
			return false, err
		}
		mu.Lock()
		l.done(s, u, durable)
		mu.Unlock()
		return !durable, nil
	}
	slices.SortFunc(bundles, func(a, b *bundle) int { return strings.Compare(a.name, b.name) })
	fl := &flight{bundles: bundles, now: s.now}
	var extra []*kgo.Record
	for _, b := range bundles {
		if b.position != nil {
			extra = append(extra, enginekafka.PositionRecord(l.f.o.Names.Positions(), b.name, b.position))
		}
	}
	mu.Lock()
	times := make(map[string]*partTime)
	for name := range s.exists {
		if l.leaseOf(name) == lease { // one that has brought nothing yet may be read to its end
			times[name] = &partTime{part: repartition.Part{Name: name, Reached: repartition.NoTime}}
		}
	}
	for name, t := range s.times {
		if l.leaseOf(name) == lease {
			times[name] = t
		}
	}
	records := u.records(s, fl, times, extra)
	mu.Unlock()
	if len(records) > 0 {
		err = u.p.Commit(ctx, records)
	}
	mu.Lock()
	defer mu.Unlock()
	switch {
	case err == nil:
		u.flying = fl
		l.done(s, u, true)
		return false, nil
	case errors.Is(err, engine.ErrFenced) && l.one:
		return false, fmt.Errorf("another worker reads the source: %w", err)
	case errors.Is(err, engine.ErrFenced):
		l.f.log.Info("a shard has a new holder", zap.String("lease", lease), zap.Error(err))
		l.mu.Lock()
		held := l.units[lease] == u && !u.gone // else it was this worker itself, or the source knows
		u.gone = true
		l.mu.Unlock()
		if src, ok := l.f.o.Source.(pipeline.Leased); ok && held {
			src.Fenced(lease)
		}
		return true, nil
	}
	if len(extra) > 0 {
		u.flying = fl // it may be durable, if the answer to its end was lost
	}
	if errors.Is(err, engine.ErrAborted) {
		return true, nil
	}
	return false, err
}

// done ends what u has in flight. What is durable is done, whatever becomes of
// the other leases.
func (*ledger) done(s *matchStage, u *unit, durable bool) {
	fl := u.flying
	u.flying = nil
	if !durable {
		return
	}
	u.durable(s, fl)
	for _, b := range fl.bundles {
		delete(s.bundles, b.name)
	}
}
