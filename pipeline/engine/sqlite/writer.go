package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// writer is the one connection that writes, with its prepared statements. Its
// transactions come one after the other. After an error that may lie in the
// connection it opens a new one for the next transaction.
type writer struct {
	path     string
	maxPages int           // tests: the size at which the disk is full; 0: none
	turn     chan struct{} // holds one token: the right to write
	closed   bool

	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

var errClosed = errors.New("engine is closed")

func newWriter(ctx context.Context, path string, maxPages int) (*writer, error) {
	w := &writer{path: path, maxPages: maxPages, turn: make(chan struct{}, 1)}
	w.turn <- struct{}{}
	if err := w.open(ctx, true); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *writer) open(ctx context.Context, create bool) (err error) {
	w.db, w.conn, err = openWriter(ctx, w.path, create, w.maxPages)
	w.stmts = map[string]*sql.Stmt{}
	return err
}

// update runs f in a transaction. ctx bounds the wait for the turn only: once
// begun, a transaction is short and is not interrupted. Errors are classified;
// after one nothing of f is durable, unless it came from the very last step:
// then it may be.
func (w *writer) update(ctx context.Context, f func(tx *tx) error) error {
	select {
	case <-w.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { w.turn <- struct{}{} }()
	if w.closed {
		return errClosed
	}
	ctx = context.Background()
	if w.conn == nil {
		if err := w.open(ctx, false); err != nil {
			return classify(err)
		}
	}
	x := &tx{w: w}
	err := x.exec("BEGIN IMMEDIATE")
	if err == nil {
		if err = f(x); err == nil {
			err = x.exec("COMMIT")
		}
		if err != nil {
			// SQLite has rolled back itself after some errors; then this one fails, as it may.
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
		}
	}
	if err != nil && needsReopen(err) {
		_ = w.drop() // what it says is less than what we have
	}
	return classify(err)
}

func (w *writer) drop() error {
	if w.conn == nil {
		return nil
	}
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	errs = append(errs, w.conn.Close(), w.db.Close())
	w.conn, w.db, w.stmts = nil, nil, nil
	return errors.Join(errs...)
}

// close waits for the transaction that is running.
func (w *writer) close() error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	w.closed = true
	return w.drop()
}

// tx is an open transaction of the writer.
type tx struct {
	w *writer
}

func (x *tx) stmt(query string) (*sql.Stmt, error) {
	if s := x.w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := x.w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	x.w.stmts[query] = s
	return s, nil
}

func (x *tx) exec(query string, args ...any) error {
	_, err := x.execCount(query, args...)
	return err
}

// execCount returns how many rows changed.
func (x *tx) execCount(query string, args ...any) (int64, error) {
	s, err := x.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (x *tx) queryInt(query string, args ...any) (n int64, err error) {
	s, err := x.stmt(query)
	if err != nil {
		return 0, err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(&n)
	return n, err
}

// add raises a counter in meta.
func (x *tx) add(name string, n int64) error {
	if n == 0 {
		return nil
	}
	return x.exec("UPDATE meta SET value = value + ? WHERE name = ?", n, name)
}

func (x *tx) meta(name string) (int64, error) {
	return x.queryInt("SELECT value FROM meta WHERE name = ?", name)
}
