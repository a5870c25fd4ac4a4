package fleet

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/pipeline/repartition"
)

// step is an applied record, kept until it is durable.
type step struct {
	rec    repartition.Record
	offset int64
	bad    error // it cannot be read, for this reason
	raw    []byte
}

// drain applies what is queued.
func (o *owner) drain() error {
	for records := o.pop(); records != nil; records = o.pop() {
		for i, r := range records {
			if err := o.take(r); err != nil {
				o.unpop(records[i:])
				return err
			}
			if o.held >= maxHeld {
				if err := o.commit(); err != nil {
					o.unpop(records[i+1:])
					return err
				}
			}
		}
		due := o.matches && o.a.f.o.Now().Sub(o.opened) >= o.a.f.o.CommitEvery
		if o.open && (due || len(o.interval) >= maxInterval) {
			if err := o.commit(); err != nil {
				return err
			}
		}
		select {
		case <-o.leave.Done():
			return nil
		default:
		}
	}
	return nil
}

// take applies one record to the interval, which it begins if need be.
func (o *owner) take(r *kgo.Record) error {
	if r.Offset < o.next {
		return nil // read twice around an assignment
	}
	defer o.reached.Store(r.Offset + 1)
	if r.Attrs.IsControl() {
		if !o.open {
			return nil // nothing to commit for a transaction's end alone
		}
		o.next = r.Offset + 1
		return nil
	}
	if !o.open {
		if err := o.begin(); err != nil {
			return err
		}
	}
	rec, err := repartition.Decode(r.Value, o.stage.Rule)
	if errors.Is(err, repartition.ErrNewer) {
		return fmt.Errorf("record %s@%d: %w", o.name, r.Offset, err)
	}
	o.next = r.Offset + 1
	o.held += len(r.Value)
	if err != nil {
		o.log.Error("a record cannot be read and goes to the dead letter", zap.Int64("offset", r.Offset), zap.Error(err))
		st := step{offset: r.Offset, bad: err, raw: r.Value}
		o.interval = append(o.interval, st)
		o.apply(&st)
		return nil
	}
	if ev := rec.Event; ev != nil {
		ev.Archived, ev.Offset = true, r.Offset
		o.a.f.engine.Archive().Remember(o.p, r.Offset, r.Value)
	}
	st := step{rec: rec, offset: r.Offset}
	o.interval = append(o.interval, st)
	o.apply(&st)
	return nil
}

func (o *owner) begin() error {
	return o.retry("begin a transaction", func() error {
		err := o.stage.Begin(o.hold, o.a.f.o.Now())
		if err == nil {
			o.open, o.flushed, o.opened = true, false, o.a.f.o.Now()
		}
		return err
	})
}

// apply hands one record to the alert stage. Time moves only here, while a
// record of the partition is being applied: its commit proves that the
// partition is still ours.
func (o *owner) apply(st *step) {
	switch rec := &st.rec; {
	case st.bad != nil:
		o.stage.Txn().DeadLetter(fmt.Sprintf("%s@%d", o.name, st.offset), st.bad.Error(), st.raw)
	case rec.Event != nil:
		o.matches = true
		o.stage.Apply(rec.Event)
	case rec.Rule != nil:
		o.matches = true
		o.stage.Learn(rec.Rule)
	case rec.Marker != nil:
		o.times.apply(o.stage, rec.Marker)
		o.stage.Advance(o.times.live(o.stage))
	}
}

// commit makes the interval durable; it does not return before, unless the
// partition is given up.
func (o *owner) commit() error {
	if !o.open {
		return nil
	}
	for {
		err := o.try()
		if err == nil {
			break
		}
		switch {
		case errors.Is(err, engine.ErrAborted):
			say := o.log.Warn
			if errors.Is(err, txn.ErrMembership) { // as at every rebalance
				say = o.log.Debug
			}
			say("a commit was aborted; its records are applied again", zap.Error(err))
			o.stage.RolledBack()
			o.times.rolledBack()
			o.open = false
		default:
			return err
		}
		if err := o.wait.pause(o.hold); err != nil {
			return nil //nolint:nilerr // given up meanwhile
		}
		if err := o.begin(); err != nil {
			return err
		}
		for i := range o.interval {
			o.apply(&o.interval[i])
		}
	}
	o.wait = backoff{}
	counts := o.stage.Committed()
	o.times.committed()
	o.a.f.worker.RecordCounts(&counts)
	o.a.f.metrics.commits.Inc()
	clear(o.interval)
	o.interval, o.held, o.open, o.matches = o.interval[:0], 0, false, false
	o.show()
	return nil
}

// try makes one attempt to commit.
func (o *owner) try() error {
	return o.retry("commit", func() error {
		t := o.stage.Txn()
		if !o.flushed { // else Kafka was away for the commit itself
			o.times.leave(o.stage)
			if err := o.stage.Flush(o.hold); err != nil {
				if !errors.Is(err, engine.ErrUnavailable) {
					return err
				}
				return errors.Join(fmt.Errorf("%w: %w", engine.ErrAborted, err), t.Abort(o.hold))
			}
			t.Position(o.name, enginekafka.Position(o.next))
			o.flushed = true
		}
		return t.Commit(o.hold)
	})
}

// retry calls f until it answers anything but ErrUnavailable.
func (o *owner) retry(doing string, f func() error) error {
	failing := false
	var wait backoff
	for {
		err := f()
		if !errors.Is(err, engine.ErrUnavailable) || errors.Is(err, engine.ErrAborted) {
			if failing {
				o.log.Info("Kafka is back; the partition goes on", zap.String("doing", doing), zap.Error(err))
				o.a.f.trouble(o.name, nil)
			}
			return err
		}
		if !failing {
			failing = true
			o.log.Error("Kafka fails; the partition waits until it is back", zap.String("doing", doing), zap.Error(err))
			o.a.f.trouble(o.name, fmt.Errorf("%s: %w", doing, err))
		}
		if err := wait.pause(o.hold); err != nil {
			o.a.f.trouble(o.name, nil)
			return engine.ErrFenced
		}
	}
}
