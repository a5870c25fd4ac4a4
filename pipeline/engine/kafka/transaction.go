package kafka

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

// transaction collects in memory; Kafka hears of it at Commit.
type transaction struct {
	engine.Changes
	e     *Engine
	part  *part
	ended error // what a later call is answered; nil: open

	// What Commit has made of the changes; kept for when it is called again,
	// for a producer knows an unsettled transaction by its records.
	records   []*kgo.Record
	offsets   *txn.Offsets
	unsettled bool // it may be durable
}

var errEnded = errors.New("the transaction has ended")

// Commit implements engine.Txn. A transaction without any change writes
// nothing. After txn.ErrUnsettled, which is an engine.ErrUnavailable, it may
// also be that all is durable: it must be called again.
func (t *transaction) Commit(ctx context.Context) error {
	t.part.mu.Lock()
	defer t.part.mu.Unlock()
	if t.ended != nil {
		return t.ended
	}
	if t.records == nil {
		if t.Empty() {
			t.end(errEnded)
			return nil
		}
		if err := t.encode(); err != nil {
			return err
		}
	}
	offsets := t.offsets
	if t.e.o.Offsets != nil && len(t.Positions) > 0 {
		// The membership may have changed since the last try.
		if offsets = t.e.o.Offsets(int(t.part.p), t.Positions); offsets == nil {
			t.part.release()
			return engine.ErrFenced
		}
	}
	var err error
	if offsets == nil {
		err = t.part.producer.Commit(ctx, t.records)
	} else {
		err = t.part.producer.Commit(ctx, t.records, offsets)
	}
	switch {
	case err == nil:
		t.keep()
		t.end(errEnded)
	case errors.Is(err, engine.ErrFenced):
		t.part.release()
	case errors.Is(err, engine.ErrUnavailable):
		t.unsettled = errors.Is(err, txn.ErrUnsettled)
	default:
		t.end(errEnded)
	}
	return err
}

// encode makes the records, once the owner has collected all.
func (t *transaction) encode() error {
	var (
		o       = &t.e.o
		p       = t.part.p
		log     = o.Names.Changelog()
		now     = o.Now()
		records []*kgo.Record
	)
	if !t.part.layout {
		records = append(records, layoutRecord(log, p, o.Partitions))
	}
	for _, c := range t.Entries() {
		records = append(records, changelogRecord(log, p, c))
	}
	for _, c := range t.Alerts {
		to := xxhash.Sum64String(c.Alert.AlertID) % uint64(o.AlertsPartitions) //nolint:gosec // a count
		records = append(records, alertRecord(o.Names.Alerts(), int32(to), c)) //nolint:gosec // a partition
	}
	for _, letter := range t.Invalid {
		letter.Time = now
		r, err := InvalidRecord(o.Names.Invalid(), letter)
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	if o.Offsets == nil {
		for _, partition := range slices.Sorted(maps.Keys(t.Positions)) {
			records = append(records, PositionRecord(o.Names.Positions(), partition, t.Positions[partition]))
		}
		// No group reads here, but one tells how a transaction has ended.
		t.offsets = &txn.Offsets{Group: o.Names.AlertGroup() + "-outcome", Generation: -1}
		t.offsets.Add(log, p, txn.Offset{Epoch: -1, Metadata: rand.Text()})
	}
	if len(records) == 0 {
		records = append(records, commitRecord(log, p, now))
	}
	t.records = records
	return nil
}

// keep makes the changes part of what the engine holds in memory.
func (t *transaction) keep() {
	t.part.layout = true
	var whole []byte
	for _, c := range t.Entries() {
		if c.Table != engine.Evidence {
			continue
		}
		whole = append(append(whole[:0], byte(c.Table)), c.Key...)
		if c.Deleted {
			t.part.evidence.delete(whole)
		} else {
			t.part.evidence.put(whole, c.Value)
		}
	}
}

func (t *transaction) end(why error) {
	t.ended = why
	if t.part.open == t {
		t.part.open = nil
	}
}

// Abort implements engine.Txn. If the transaction may be durable all the same,
// the partition is given up, for only a restore tells what its state is.
func (t *transaction) Abort(context.Context) error {
	t.part.mu.Lock()
	defer t.part.mu.Unlock()
	switch {
	case t.ended != nil:
	case t.unsettled:
		t.part.release()
	default:
		t.end(errEnded)
	}
	return nil
}
