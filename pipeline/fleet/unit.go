package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/pipeline/repartition"
)

// writer makes an interval of the match stage durable together with the
// source's positions.
type writer interface {
	// commit returns nil once everything is durable that still is this worker's
	// to write. engine.ErrUnavailable: nothing is lost, to be called again.
	commit(ctx context.Context, s *matchStage) error
	close()
}

// unit is one transactional ID of the match stage.
type unit struct {
	f    *Fleet
	p    *txn.Producer
	sent map[ruleAt]*alerting.Rule // rules that the partitions were told of by this producer
	// flying are the bundles of a transaction of which it is not known whether it
	// is durable.
	flying *flight
	gone   bool      // given up or taken over: to be closed
	stay   int64     // of the lease that it is for
	told   time.Time // when it last told times
}

// flight is what a transaction carries.
type flight struct {
	bundles []*bundle
	opening bool
	now     time.Time
}

func (f *Fleet) openUnit(ctx context.Context, id string) (*unit, error) {
	p, err := txn.Open(ctx, f.txnOptions(id))
	if err != nil {
		return nil, err
	}
	return &unit{f: f, p: p, sent: make(map[ruleAt]*alerting.Rule)}, nil
}

func (u *unit) close() { u.p.Close() }

// settled finds out about the transaction before, if that is open. done: it is
// durable, and nothing is left to do.
func (u *unit) settled(ctx context.Context, s *matchStage) (done bool, err error) {
	if u.flying == nil {
		return false, nil
	}
	durable, err := u.p.Settle(ctx)
	if err != nil {
		return false, err
	}
	fl := u.flying
	u.flying = nil
	if durable {
		u.durable(s, fl)
	}
	return durable, nil
}

// transact writes bundles in one transaction. parts are the partitions whose
// times the marker tells besides.
func (u *unit) transact(
	ctx context.Context, s *matchStage, bundles []*bundle, parts map[string]*partTime, extra []*kgo.Record, offsets ...*txn.Offsets,
) error {
	fl := &flight{bundles: bundles, now: s.now}
	records := u.records(s, fl, parts, extra)
	if len(records) == 0 {
		return nil
	}
	err := u.p.Commit(ctx, records, offsets...)
	switch {
	case err == nil:
		u.durable(s, fl)
	case errors.Is(err, txn.ErrUnsettled):
		u.flying = fl
	}
	return err
}

// records are those of a transaction: which partitions there are before anything
// moves one of them, rules before their matches, and how far everything has
// come at the end.
func (u *unit) records(s *matchStage, fl *flight, parts map[string]*partTime, extra []*kgo.Record) (out []*kgo.Record) {
	if m := s.opening(); m != nil {
		fl.opening = true
		out = s.everywhere(out, repartition.AppendMarker(nil, m))
	}
	out = u.tellRules(out, fl.bundles)
	for _, b := range fl.bundles {
		out = append(out, b.events...)
		out = append(out, b.dead...)
	}
	out = append(out, extra...)
	if m := s.heirs(fl.bundles); m != nil {
		out = s.everywhere(out, repartition.AppendMarker(nil, m))
	}
	if m := s.marker(fl.bundles, parts); len(m.Parts)+len(m.Closed) > 0 {
		out = s.everywhere(out, repartition.AppendMarker(nil, m))
	}
	return out
}

// tellRules adds records of the rules that the partitions do not know yet.
func (u *unit) tellRules(dst []*kgo.Record, bundles []*bundle) []*kgo.Record {
	told := make(map[ruleAt]*alerting.Rule)
	for _, b := range bundles {
		for at, r := range b.rules {
			if u.sent[at] != r && told[at] != r {
				told[at] = r
				dst = append(dst, &kgo.Record{
					Topic: u.f.o.Names.Repartition(), Partition: at.partition, Value: repartition.AppendRule(nil, r),
				})
			}
		}
	}
	return dst
}

func (u *unit) durable(s *matchStage, fl *flight) {
	for _, b := range fl.bundles {
		maps.Copy(u.sent, b.rules)
	}
	if fl.opening {
		s.changed, s.told = false, fl.now
	}
	u.told = fl.now
	s.settle(fl.bundles)
}

// sharedWriter commits the offsets of a consumer group with the interval.
type sharedWriter struct {
	f     *Fleet
	claim func(positions map[string][]byte) (*txn.Offsets, []string)
}

func (w *sharedWriter) close() { w.f.slot.close() }

func (w *sharedWriter) commit(ctx context.Context, s *matchStage) error {
	wait := backoff{}
	for {
		err := w.try(ctx, s)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, engine.ErrFenced):
			w.f.log.Info("the match stage's transactional ID was taken over; another one is used", zap.Error(err))
			w.f.slot.fenced()
		case errors.Is(err, txn.ErrMembership): // as at every rebalance
			w.f.log.Debug("the group's membership changed during a transaction of the match stage; it is made again", zap.Error(err))
		case errors.Is(err, engine.ErrAborted):
			w.f.log.Warn("a transaction of the match stage was aborted; what is still ours is written again", zap.Error(err))
		default:
			return err
		}
		if err := wait.pause(ctx); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
}

// try makes one attempt. Results of partitions that are not ours any more go:
// whoever has them reads them again.
func (w *sharedWriter) try(ctx context.Context, s *matchStage) error {
	u, unlock, err := w.f.slot.take(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if done, err := u.settled(ctx, s); done || err != nil {
		return err
	}
	positions := make(map[string][]byte, len(s.times)+len(s.bundles))
	for name, t := range s.times {
		if t.position != nil {
			positions[name] = t.position
		}
	}
	for name, b := range s.bundles {
		if b.position != nil {
			positions[name] = b.position
		}
	}
	offsets, lost := w.claim(positions)
	for _, name := range lost {
		s.drop(name)
		delete(positions, name)
	}
	var bundles []*bundle
	for _, name := range slices.Sorted(maps.Keys(s.bundles)) {
		// Only the offset proves that the partition is ours: without one nothing
		// is said of it.
		if b := s.bundles[name]; positions[name] != nil || b.closed {
			bundles = append(bundles, b)
		}
	}
	times := make(map[string]*partTime, len(s.times))
	for name, t := range s.times {
		if positions[name] != nil {
			times[name] = t
		}
	}
	if offsets == nil || len(offsets.At) == 0 {
		return u.transact(ctx, s, bundles, times, nil)
	}
	return u.transact(ctx, s, bundles, times, nil, offsets)
}

// backoff paces tries that are sure to become possible soon.
type backoff struct{ last time.Duration }

func (b *backoff) pause(ctx context.Context) error {
	b.last = min(max(2*b.last, 10*time.Millisecond), time.Second)
	t := time.NewTimer(b.last)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
