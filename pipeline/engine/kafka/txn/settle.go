package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// notSent says that a commit was not asked for, or was answered with a plain no.
func notSent(err error) bool {
	return errors.Is(err, kerr.OperationNotAttempted) || errors.Is(err, kerr.TransactionAbortable)
}

// open makes a client and takes the ID with it.
func (p *Producer) open(ctx context.Context) error {
	cl, err := kgo.NewClient(p.opts...)
	if err != nil {
		return fmt.Errorf("open transactional producer: %w", err)
	}
	return p.take(ctx, cl)
}

// take takes the ID with a new client, and closes it if that fails.
func (p *Producer) take(ctx context.Context, cl *kgo.Client) error {
	id, epoch, err := cl.ProducerID(ctx)
	if err == nil {
		err = p.learn(ctx, cl)
	}
	if err != nil {
		cl.Close()
		err = fmt.Errorf("take transactional ID %s: %w", p.o.ID, err)
		switch classify(err) {
		case hopeless:
			return err
		case forbidden:
			return fmt.Errorf("%w: not allowed: %w", engine.ErrUnavailable, err)
		default:
		}
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	p.cl, p.id, p.epoch, p.begun, p.silent = cl, id, epoch, time.Time{}, false
	return nil
}

// learn asks what kind of transactions the cluster makes (KIP-890 part 2), and
// whether it can tell about them (KIP-664, from 3.0).
func (p *Producer) learn(ctx context.Context, cl *kgo.Client) error {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "trailtide", "1"
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	p.implicit = slices.ContainsFunc(resp.FinalizedFeatures, func(f kmsg.ApiVersionsResponseFinalizedFeature) bool {
		return f.Name == "transaction.version" && f.MaxVersionLevel >= 2
	})
	p.describes = slices.ContainsFunc(resp.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		return k.ApiKey == int16(kmsg.DescribeTransactions)
	})
	return nil
}

// reopen takes the ID again after the client was dropped, unless somebody else
// has taken it.
func (p *Producer) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	cl, err := kgo.NewClient(p.opts...)
	if err != nil {
		return fmt.Errorf("open transactional producer: %w", err)
	}
	taken, err := p.taken(ctx, cl)
	if err == nil && taken {
		err = p.lost(errors.New("another producer holds the ID"))
	}
	if err != nil {
		cl.Close()
		return err
	}
	return p.take(ctx, cl)
}

func (p *Producer) lost(why error) error {
	p.o.Fenced()
	return fmt.Errorf("%w: transactional ID %s: %w", engine.ErrFenced, p.o.ID, why)
}

// whoFenced answers nil when it was the coordinator who ended our transaction,
// for its age, and else that the ID is lost. It drops the client.
func (p *Producer) whoFenced(ctx context.Context, why error) error {
	defer p.drop()
	if !p.aged() || !p.describes {
		return p.lost(why)
	}
	within, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	if taken, err := p.taken(within, p.cl); err != nil || taken {
		return p.lost(why)
	}
	p.o.Log.Warn("a transaction took longer than its timeout and was ended by the broker", zap.Duration("timeout", p.o.Timeout))
	return nil
}

// taken says whether another producer has taken the ID since we had it, by the
// epoch: each that takes it raises it. The coordinator itself raises it by one
// when it ends a transaction for its age and, with transactions v2, at each end.
// Brokers older than 3.0 cannot be asked, and false is assumed.
func (p *Producer) taken(ctx context.Context, cl *kgo.Client) (bool, error) {
	if !p.describes {
		return false, nil
	}
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{p.o.ID}
	var state kmsg.DescribeTransactionsResponseTransactionState
	err := again(ctx, func() error {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		if len(resp.TransactionStates) != 1 {
			return errors.New("no state in the answer")
		}
		state = resp.TransactionStates[0]
		return kerr.ErrorForCode(state.ErrorCode)
	})
	switch {
	case errors.Is(err, kerr.TransactionalIDNotFound): // forgotten, for it was not used for days
		return false, nil
	case err != nil:
		return false, fmt.Errorf("%w: describe transactional ID %s: %w", engine.ErrUnavailable, p.o.ID, err)
	}
	switch {
	case state.ProducerID != p.id:
		return p.epoch < 1<<15-10, nil // near its end the ID itself changes
	case state.ProducerEpoch == p.epoch+1:
		return !p.aged() && (!p.silent || !p.implicit), nil
	}
	return state.ProducerEpoch != p.epoch, nil
}

// aged says that the transaction may have been ended for its age: its begin at
// the coordinator is not before ours.
func (p *Producer) aged() bool {
	return !p.begun.IsZero() && time.Since(p.begun) >= p.o.Timeout
}

// Settle finds out whether the transaction is durable of which Commit said
// ErrUnsettled: after it, nothing of that kind is open. Without one it answers
// false.
func (p *Producer) Settle(ctx context.Context) (durable bool, err error) {
	a := p.pending
	if a == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	p.drop()
	cl, err := kgo.NewClient(p.opts...)
	if err != nil {
		return false, fmt.Errorf("open transactional producer: %w", err)
	}
	unsettled := func(err error) (bool, error) {
		p.drop()
		return false, fmt.Errorf("%w: %w", ErrUnsettled, err)
	}
	taken, err := p.taken(ctx, cl)
	if err != nil {
		cl.Close()
		return unsettled(err)
	}
	if a.refused && !p.describes {
		taken = true
	}
	if taken {
		defer cl.Close() // the new holder has ended the transaction
	} else if err := p.take(ctx, cl); err != nil {
		return unsettled(err)
	}
	a.refused = a.refused && taken
	durable, err = standAt(ctx, cl, a.offsets)
	if err != nil {
		return unsettled(err)
	}
	p.pending = nil
	if !durable {
		p.o.Aborted()
	}
	if taken && !durable {
		return false, p.lost(errors.New("another producer has taken the ID"))
	}
	return durable, nil
}
