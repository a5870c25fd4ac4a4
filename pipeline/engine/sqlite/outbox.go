package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// trimChunk is how many outbox rows that everybody has passed go in one Done: more
// than a Done moves on, so that trimming keeps up.
const trimChunk = 2000

// Read implements engine.Outbox. A consumer that is not registered starts at
// the oldest entry. limit below 1 is 1.
func (e *Engine) Read(ctx context.Context, consumer string, limit int) ([]engine.Entry, error) {
	for {
		// The channel comes first: a commit after the look is not missed.
		grown, open := e.wake.wait()
		if !open {
			return nil, errClosed
		}
		entries, err := e.unread(ctx, consumer, max(limit, 1))
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (e *Engine) unread(ctx context.Context, consumer string, limit int) ([]engine.Entry, error) {
	const q = `SELECT seq, body, event, events FROM outbox
		WHERE seq > coalesce((SELECT seq FROM consumers WHERE consumer = ?), 0) ORDER BY seq LIMIT ?`
	rows, err := e.db.QueryContext(ctx, q, consumer, limit)
	if err != nil {
		return nil, e.readError(ctx, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err has told
	var entries []engine.Entry
	for rows.Next() {
		var seq int64
		var enc encoded
		if err := rows.Scan(&seq, &enc.body, &enc.event, &enc.events); err != nil {
			return nil, e.readError(ctx, err)
		}
		a, err := decode(enc)
		if err != nil {
			return nil, fmt.Errorf("read outbox entry %d: %w", seq, err)
		}
		entries = append(entries, engine.Entry{Seq: seq, Alert: a})
	}
	if err := rows.Err(); err != nil {
		return nil, e.readError(ctx, err)
	}
	return entries, nil
}

// readError prefers the reason to its symptom: an interrupted statement.
func (e *Engine) readError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, open := e.wake.wait(); !open {
		return errClosed
	}
	return fmt.Errorf("read outbox: %w", classify(err))
}

// Done implements engine.Outbox. A place never moves back. After an error
// wrapping ErrUnavailable the same call may be repeated.
func (e *Engine) Done(ctx context.Context, consumer string, seq int64, dead []engine.DeadLetter) error {
	err := e.w.update(ctx, func(x *tx) error {
		const move = "INSERT INTO consumers(consumer, seq) VALUES(?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)"
		if err := x.exec(move, consumer, seq); err != nil {
			return err
		}
		now := nanos(e.o.Now())
		var added int64
		for _, d := range dead {
			const put = `INSERT INTO dead_letters(consumer, seq, alert_id, sink, reason, body, time) VALUES(?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT DO NOTHING`
			n, err := x.execCount(put, consumer, d.Seq, d.AlertID, d.Sink, d.Reason, d.Body, now)
			if err != nil {
				return err
			}
			added += n
		}
		if err := x.add(metaDead, added); err != nil {
			return err
		}
		return trim(x)
	})
	if err != nil {
		return fmt.Errorf("move the place of %s in the outbox: %w", consumer, err)
	}
	e.retain(ctx)
	return nil
}

// trim deletes a chunk of what every consumer has passed.
func trim(x *tx) error {
	return x.exec(`DELETE FROM outbox WHERE seq <= (SELECT min(seq) FROM consumers)
		AND seq < (SELECT min(seq) FROM outbox) + ?`, trimChunk)
}

// Register implements engine.Consumers.
func (e *Engine) Register(ctx context.Context, from engine.Start, consumers ...string) error {
	err := e.w.update(ctx, func(x *tx) error {
		// Before the oldest entry: what was trimmed is not unread. AUTOINCREMENT
		// keeps the newest number, trimmed or not.
		start := "SELECT coalesce((SELECT min(seq) - 1 FROM outbox), (SELECT max(seq) FROM sqlite_sequence WHERE name = 'outbox'), 0)"
		if from == engine.FromNewest {
			start = "SELECT coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'outbox'), 0)"
		}
		seq, err := x.queryInt(start)
		if err != nil {
			return err
		}
		if t, ok := from.Time(); ok {
			if seq, err = numberAt(x, seq, t); err != nil {
				return err
			}
		}
		for _, c := range consumers {
			if err := x.exec("INSERT INTO consumers(consumer, seq) VALUES(?, ?) ON CONFLICT DO NOTHING", c, seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("register consumers of the outbox: %w", err)
	}
	return nil
}

// numberAt returns the number before the first entry after seq that was
// committed at t or later. It looks at the entries one by one: few are kept.
func numberAt(x *tx, seq int64, t time.Time) (int64, error) {
	const next = "SELECT seq, body FROM outbox WHERE seq > ? ORDER BY seq LIMIT 1"
	s, err := x.stmt(next)
	if err != nil {
		return 0, err
	}
	for {
		var at int64
		var body []byte
		err := s.QueryRowContext(context.Background(), seq).Scan(&at, &body)
		if errors.Is(err, sql.ErrNoRows) {
			return seq, nil
		}
		if err != nil {
			return 0, err
		}
		a, err := sinks.ParseAlert(body)
		if err != nil {
			return 0, fmt.Errorf("%w: outbox entry %d: %w", ErrDamaged, at, err)
		}
		if !a.DetectedAt.Before(t) {
			return at - 1, nil
		}
		seq = at
	}
}

// Forget implements engine.Consumers.
func (e *Engine) Forget(ctx context.Context, consumer string) (unread int64, err error) {
	err = e.w.update(ctx, func(x *tx) (err error) {
		unread, err = x.queryInt("SELECT count(*) FROM outbox WHERE seq > (SELECT seq FROM consumers WHERE consumer = ?)", consumer)
		if err != nil {
			return err
		}
		return x.exec("DELETE FROM consumers WHERE consumer = ?", consumer)
	})
	if err != nil {
		return 0, fmt.Errorf("forget consumer %s of the outbox: %w", consumer, err)
	}
	return unread, nil
}

// Places implements engine.Consumers.
func (r *Reader) Places(ctx context.Context) ([]engine.Place, error) {
	const q = "SELECT consumer, seq, (SELECT count(*) FROM outbox o WHERE o.seq > c.seq) FROM consumers c ORDER BY consumer"
	return queryAll(ctx, r.db, func(rows *sql.Rows) (p engine.Place, err error) {
		return p, rows.Scan(&p.Consumer, &p.Seq, &p.Unread)
	}, q)
}

// queryAll collects all rows of a short answer.
func queryAll[T any](ctx context.Context, db *sql.DB, scan func(*sql.Rows) (T, error), query string, args ...any) (_ []T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, classify(err)
		}
		all = append(all, v)
	}
	return all, classify(rows.Err())
}
