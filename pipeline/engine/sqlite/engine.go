// Package sqlite is the embedded engine: one SQLite file holds positions,
// window state, alerts and the outbox, and one transaction changes them
// together. One worker at a time uses a file; any number of readers may look
// at its alerts meanwhile.
//
// Nothing in a process may open a state file by other means while an engine is
// open on it: closing any descriptor of the file drops SQLite's POSIX locks.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// Options of Open. The zero value is the defaults.
type Options struct {
	// NoOutbox drops notifications instead of keeping them for delivery: for a
	// worker that has no sinks.
	NoOutbox bool
	// AlertsMaxAge is how long after its last change a saved alert is kept, by
	// the wall clock; 0: for ever.
	AlertsMaxAge time.Duration
	// AlertsMaxRows is how many saved alerts are kept, the oldest go first; 0: all.
	AlertsMaxRows int64
	// DeadLettersMaxRows is how many dead letters of each kind are kept, the
	// oldest go first; default 1,000,000, below 0: all.
	DeadLettersMaxRows int64
	// DeadLetterMaxBytes is how much of an invalid event is kept; default 4 KiB.
	DeadLetterMaxBytes int
	// Now is the wall clock; default time.Now.
	Now func() time.Time

	maxPages int // tests: the size in pages at which the disk is full
}

func (o Options) withDefaults() Options {
	if o.DeadLettersMaxRows == 0 {
		o.DeadLettersMaxRows = 1_000_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Engine is an open state file. It has one partition of state. The Reader's
// methods see what is committed.
type Engine struct {
	*Reader
	o    Options
	lock *os.File
	w    *writer
	wake *bell // rung when the outbox has grown

	evidence *sql.Stmt

	mu      sync.Mutex // guards what follows
	owned   bool
	closed  bool
	epoch   int64
	commits int64
	open    *txn

	retention retention
}

var (
	_ engine.Engine    = (*Engine)(nil)
	_ engine.Outbox    = (*Engine)(nil)
	_ engine.Consumers = (*Engine)(nil)
)

// Open opens the state file at path, creating it when it is not there.
// ErrInUse: another worker has it. ErrDamaged: it is broken. A file of another
// program or of a newer format is refused.
func Open(ctx context.Context, path string, o Options) (_ *Engine, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open state file: %w", err)
		}
	}()
	if path, err = resolve(path); err != nil {
		return nil, err
	}
	e := &Engine{o: o.withDefaults(), wake: newBell()}
	if e.lock, err = lockFile(path, e.o.Now()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.w, err = newWriter(ctx, path, o.maxPages); err != nil {
		return nil, fmt.Errorf("%s: %w", path, classify(err))
	}
	db, err := openReader(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, classify(err))
	}
	e.Reader = &Reader{db: db}
	if e.evidence, err = db.PrepareContext(ctx, "SELECT value FROM evidence WHERE key = ?"); err != nil {
		return nil, classify(err)
	}
	return e, nil
}

// Partitions is 1.
func (e *Engine) Partitions() int { return 1 }

// Restore implements engine.Engine.
func (e *Engine) Restore(ctx context.Context, p int, each func(t engine.Table, key, value []byte) error) error {
	if err := e.Release(ctx, p); err != nil {
		return err
	}
	var epoch, commits int64
	err := e.w.update(ctx, func(x *tx) (err error) {
		if err := x.add(metaEpoch, 1); err != nil {
			return err
		}
		if epoch, err = x.meta(metaEpoch); err != nil {
			return err
		}
		commits, err = x.meta(metaCommits)
		return err
	})
	if err != nil {
		return fmt.Errorf("take ownership of the state: %w", err)
	}
	if err := e.entries(ctx, each); err != nil {
		return fmt.Errorf("restore state: %w", classify(err))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.owned, e.epoch, e.commits = true, epoch, commits
	return nil
}

func (e *Engine) entries(ctx context.Context, each func(t engine.Table, key, value []byte) error) error {
	rows, err := e.db.QueryContext(ctx, "SELECT tbl, key, value FROM state")
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has told
	var t engine.Table
	var key, value sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&t, &key, &value); err != nil {
			return err
		}
		if err := each(t, key, value); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Positions implements engine.Engine.
func (e *Engine) Positions(ctx context.Context) (map[string][]byte, error) {
	positions := map[string][]byte{}
	rows, err := e.db.QueryContext(ctx, "SELECT partition, position FROM positions")
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", classify(err))
	}
	defer rows.Close() //nolint:errcheck // rows.Err has told
	for rows.Next() {
		var partition string
		var position []byte
		if err := rows.Scan(&partition, &position); err != nil {
			return nil, fmt.Errorf("read positions: %w", classify(err))
		}
		positions[partition] = position
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read positions: %w", classify(err))
	}
	return positions, nil
}

var errPartition = errors.New("the embedded engine has one partition, 0")

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
	e.open = &txn{e: e, epoch: e.epoch, number: e.commits + 1, Changes: engine.Changes{MaxRaw: e.o.DeadLetterMaxBytes}}
	return e.open, nil
}

// Evidence implements engine.Engine.
func (e *Engine) Evidence(ctx context.Context, p int, keys [][]byte) ([][]byte, error) {
	if p != 0 {
		return nil, errPartition
	}
	e.mu.Lock()
	open := e.open
	e.mu.Unlock()
	values := make([][]byte, len(keys))
	for i, key := range keys {
		if open != nil {
			if v, known := open.EvidenceOf(key); known {
				values[i] = v
				continue
			}
		}
		err := e.evidence.QueryRowContext(ctx, nonNil(key)).Scan(&values[i])
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("read evidence: %w", classify(err))
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

// Close waits for a transaction that is being written, ends blocked Reads, and
// lets another worker have the file. An open transaction is dropped.
func (e *Engine) Close() error {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	if closed {
		return nil
	}
	_ = e.Release(context.Background(), 0) // cannot fail for partition 0
	e.wake.close()
	var errs []error
	if e.evidence != nil {
		errs = append(errs, e.evidence.Close())
	}
	if e.Reader != nil {
		errs = append(errs, e.Reader.Close())
	}
	if e.w != nil {
		errs = append(errs, e.w.close()) // last: it empties the log
	}
	return errors.Join(append(errs, e.lock.Close())...)
}

// nonNil keeps an empty key or value from becoming NULL.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
