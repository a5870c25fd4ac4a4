package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// Producer makes the transactions of one transactional ID, one at a time. One
// goroutine uses it.
type Producer struct {
	o    Options
	opts []kgo.Opt

	cl        *kgo.Client // nil: to be made anew before the next transaction
	implicit  bool        // offsets need not be announced (transactions v2)
	describes bool        // brokers tell about transactions
	id        int64       // producer ID and epoch as they were last known
	epoch     int16
	begun     time.Time // of the transaction that may be open at the broker; zero: none
	silent    bool      // an end was asked for and not answered: it may have been made
	pending   *attempt
	closed    bool
}

// attempt is a transaction whose end was asked for without a clear answer.
type attempt struct {
	records []*kgo.Record
	offsets []*Offsets
	refused bool // the answer was that ID or epoch are not ours any more
}

func (a *attempt) same(records []*kgo.Record) bool {
	return len(a.records) == len(records) && a.records[0] == records[0]
}

// Open takes the ID: when it returns, whoever had it is fenced and its open
// transaction is ended. engine.ErrUnavailable: the brokers are away, or do not
// allow it.
func Open(ctx context.Context, o Options) (*Producer, error) {
	opts, err := o.defaulted()
	if err != nil {
		return nil, fmt.Errorf("open transactional producer: %w", err)
	}
	p := &Producer{o: o, opts: opts, id: -1}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Commit makes one whole transaction of records and offsets. Records are copied
// and may be given again; each names its topic and partition. At least one is
// needed. It blocks for Timeout at most, or a few times that long while the
// brokers come and go.
//
// nil: all of it is durable. engine.ErrAborted (ErrMembership is one): nothing
// is and nothing will be, the same or other records may be given. engine.ErrFenced:
// nothing is, and another producer has taken the ID. engine.ErrUnavailable:
// nothing is (save with ErrUnsettled), to be tried again later. Any other
// error is for good, and nothing is durable.
//
// Whether a transaction is durable whose end was not answered is told by the
// offsets: it is, if the group stands at them or beyond. So at least one of
// them must differ (in its metadata, if not in the offset) from what was
// committed before. Without offsets such a transaction counts as aborted though
// it may be durable: only records that may be written twice go without.
func (p *Producer) Commit(ctx context.Context, records []*kgo.Record, offsets ...*Offsets) error {
	switch {
	case p.closed:
		return errClosed
	case len(records) == 0:
		return errNoRecords
	}
	if last := p.pending; last != nil {
		durable, err := p.Settle(ctx)
		if err != nil {
			return err
		}
		if durable {
			if last.same(records) {
				return nil
			}
			return errOther
		}
	}
	if p.cl == nil {
		if err := p.reopen(ctx); err != nil {
			return err
		}
	}
	return p.transact(ctx, records, offsets)
}

func (p *Producer) transact(ctx context.Context, records []*kgo.Record, offsets []*Offsets) error {
	within, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	err := p.note(within)
	if err == nil {
		err = p.cl.BeginTransaction()
	}
	if err != nil {
		return p.failed(ctx, fmt.Errorf("begin transaction: %w", err))
	}
	p.begun = time.Now()
	if err := p.produce(within, records); err != nil {
		return p.failed(ctx, err)
	}
	for _, o := range offsets {
		if err := p.addOffsets(within, o); err != nil {
			return p.failed(ctx, fmt.Errorf("commit offsets of group %s: %w", o.Group, err))
		}
	}
	return p.end(ctx, records, offsets)
}

// note takes producer ID and epoch from the client: with transactions v2 each
// end changes them.
func (p *Producer) note(ctx context.Context) error {
	id, epoch, err := p.cl.ProducerID(ctx)
	if err == nil {
		p.id, p.epoch = id, epoch
	}
	return err
}

// produce writes records and waits until all replicas have them.
func (p *Producer) produce(ctx context.Context, records []*kgo.Record) error {
	copies := make([]kgo.Record, len(records))
	failed := make(chan error, 1) // the first one
	promise := func(r *kgo.Record, err error) {
		if err != nil {
			select {
			case failed <- fmt.Errorf("produce to %s/%d: %w", r.Topic, r.Partition, err):
			default:
			}
		}
	}
	for i, r := range records {
		copies[i] = kgo.Record{
			Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp, Topic: r.Topic, Partition: r.Partition,
		}
		p.cl.Produce(ctx, &copies[i], promise)
	}
	if err := Flush(ctx, p.cl); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Flush waits until the records of a client's transaction are answered, and
// until the client itself knows of every partition that they went to. It enters
// the partitions of a topic that is new to it only after it has let their
// records go: if all of them are answered before that, the end of the
// transaction finds that nothing was written, makes an abort of the commit, and
// says that all is well (franz-go 1.22). Whoever aborts buffered records, of
// which none are left here, waits for the lock under which partitions are
// entered.
func Flush(ctx context.Context, cl *kgo.Client) error {
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	return cl.AbortBufferedRecords(ctx)
}

// grace is how long an end of a transaction that was asked for is waited for
// after the caller's context has ended.
const grace = 2 * time.Second

// end asks the coordinator to make everything durable.
func (p *Producer) end(ctx context.Context, records []*kgo.Record, offsets []*Offsets) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.o.Timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	err := p.cl.EndTransaction(within, kgo.TryCommit)
	if err == nil {
		p.begun = time.Time{}
		_ = p.note(within) // the next transaction asks again
		return nil
	}
	err = fmt.Errorf("end transaction: %w", err)
	if notSent(err) {
		return p.failed(ctx, err)
	}
	p.pending = &attempt{records: records, offsets: offsets, refused: classify(err) == fenced}
	p.silent = !p.pending.refused
	p.o.Log.Warn("the end of a transaction was not confirmed; looking at what is durable", zap.Error(err))
	durable, unsettled := p.Settle(ctx)
	switch {
	case unsettled != nil:
		return errors.Join(unsettled, err)
	case durable:
		return nil
	}
	return fmt.Errorf("%w: %w", engine.ErrAborted, err)
}

// failed ends a transaction that can not be durable, and says what its error
// means to the caller.
func (p *Producer) failed(ctx context.Context, err error) error {
	p.o.Aborted()
	k := classify(err)
	if k == fenced {
		if err := p.whoFenced(ctx, err); err != nil {
			return err
		}
		k = aborted
	}
	// After most errors the client's producer ID is not to be used any more.
	if ended := k != away && p.abort(ctx); !ended || k != membership {
		p.drop()
	}
	switch {
	case k == membership:
		return fmt.Errorf("%w: %w", ErrMembership, err)
	case k == hopeless:
		return err
	case k == forbidden:
		return fmt.Errorf("%w: not allowed: %w", engine.ErrUnavailable, err)
	case k == aborted || ctx.Err() != nil:
		return errors.Join(fmt.Errorf("%w: %w", engine.ErrAborted, err), ctx.Err())
	}
	return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
}

// abort ends the open transaction, so that nobody need wait for its timeout.
func (p *Producer) abort(ctx context.Context) bool {
	if p.cl == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	if err := p.cl.EndTransaction(ctx, kgo.TryAbort); err != nil {
		p.o.Log.Debug("abort of a transaction", zap.Error(err))
		p.silent = true
		return false
	}
	p.begun = time.Time{}
	return p.note(ctx) == nil
}

// Close gives the ID up. A transaction that is open at the broker ends by its
// timeout, or when the ID is opened again.
func (p *Producer) Close() {
	p.closed = true
	p.drop()
}

func (p *Producer) drop() {
	if p.cl != nil {
		p.cl.Close()
		p.cl = nil
	}
}
