// Package memory is an engine that keeps everything in maps: for runs that keep
// nothing, and as the plain reference that the other engines are compared with.
// What is "durable" here lives in a Store, which outlasts the engines on it.
package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// Options of New. The zero value is the defaults.
type Options struct {
	// Store to work on, perhaps one that another engine has used; default a new one.
	Store *Store
	// OnAlert, if set, gets every alert state in order, once it is committed,
	// instead of the alert store and the outbox: for a run that streams its
	// alerts out. It is called inside Commit and must not call the engine.
	OnAlert func(*sinks.Alert)
	// OnDeadLetter, if set, gets every invalid event as OnAlert gets alerts,
	// instead of the Store.
	OnDeadLetter func(engine.InvalidEvent)
	// NoOutbox drops notifications instead of keeping them for delivery.
	NoOutbox bool
	// AlertsMaxRows is how many alerts are kept, the oldest go first; 0: all.
	AlertsMaxRows int
	// DeadLettersMaxRows is how many dead letters of each kind are kept, the
	// oldest go first; default 10,000, below 0: all.
	DeadLettersMaxRows int
	// DeadLetterMaxBytes is how much of an invalid event is kept; default 4 KiB.
	DeadLetterMaxBytes int
	// Now is the wall clock; default time.Now.
	Now func() time.Time
}

// Engine works on a Store. It has one partition of state.
type Engine struct {
	*Store
	o Options

	mu     sync.Mutex // guards what follows; taken before the Store's
	owned  bool
	epoch  int64
	open   *txn
	closed chan struct{}
	once   sync.Once
}

var (
	_ engine.Engine    = (*Engine)(nil)
	_ engine.Outbox    = (*Engine)(nil)
	_ engine.Consumers = (*Engine)(nil)
)

// New returns an engine.
func New(o Options) *Engine {
	if o.Store == nil {
		o.Store = NewStore()
	}
	if o.DeadLettersMaxRows == 0 {
		o.DeadLettersMaxRows = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Engine{Store: o.Store, o: o, closed: make(chan struct{})}
}

// Partitions is 1.
func (e *Engine) Partitions() int { return 1 }

// Restore implements engine.Engine. each may not call the engine.
func (e *Engine) Restore(ctx context.Context, p int, each func(t engine.Table, key, value []byte) error) error {
	if err := e.Release(ctx, p); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.Store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return fmt.Errorf("restore state: %w", s.failure)
	}
	s.epoch++
	for t, entries := range s.state {
		if t == engine.Evidence {
			continue
		}
		for key, value := range entries {
			if err := each(t, []byte(key), bytes.Clone(value)); err != nil {
				return fmt.Errorf("restore state: %w", err)
			}
		}
	}
	e.owned, e.epoch = true, s.epoch
	return nil
}

// Positions implements engine.Engine.
func (e *Engine) Positions(context.Context) (map[string][]byte, error) {
	e.Store.mu.Lock()
	defer e.Store.mu.Unlock()
	positions := maps.Clone(e.positions)
	for k, v := range positions {
		positions[k] = bytes.Clone(v)
	}
	return positions, nil
}

var errPartition = errors.New("the memory engine has one partition, 0")

// Begin implements engine.Engine.
func (e *Engine) Begin(_ context.Context, p int) (engine.Txn, error) {
	if p != 0 {
		return nil, errPartition
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !e.owned:
		return nil, engine.ErrFenced
	case e.open != nil:
		return nil, errors.New("a transaction of the partition is open")
	}
	e.open = &txn{e: e, Changes: engine.Changes{MaxRaw: e.o.DeadLetterMaxBytes}}
	return e.open, nil
}

// Evidence implements engine.Engine.
func (e *Engine) Evidence(_ context.Context, p int, keys [][]byte) ([][]byte, error) {
	if p != 0 {
		return nil, errPartition
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Store.mu.Lock()
	defer e.Store.mu.Unlock()
	values := make([][]byte, len(keys))
	for i, key := range keys {
		known := false
		if e.open != nil {
			values[i], known = e.open.EvidenceOf(key)
		}
		if !known {
			values[i] = bytes.Clone(e.state[engine.Evidence][string(key)])
		}
	}
	return values, nil
}

// Release implements engine.Engine.
func (e *Engine) Release(_ context.Context, p int) error {
	if p != 0 {
		return errPartition
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open != nil {
		e.open.ended = engine.ErrFenced
		e.open = nil
	}
	e.owned = false
	return nil
}

// Close ends blocked Reads and drops an open transaction. The Store lives on.
func (e *Engine) Close() error {
	e.once.Do(func() { close(e.closed) })
	return e.Release(context.Background(), 0)
}
