package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
)

// Reader answers questions about a state file. Safe for concurrent use.
type Reader struct {
	db *sql.DB
}

var _ alertstore.Store = (*Reader)(nil)

// OpenReader opens a state file for reading, beside a running worker or
// without one. It creates nothing and changes nothing. Of a copy without its
// write-ahead log it sees the main file alone; no worker may start on that
// copy meanwhile.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	path, err := resolve(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open state file: there is no %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("open state file: %w", err)
	}
	db, err := openReader(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open state file: %s: %w", path, classify(err))
	}
	return &Reader{db: db}, nil
}

// Close ends it.
func (r *Reader) Close() error { return r.db.Close() }

// Stats are counts over the file's whole life, and what it holds now.
type Stats struct {
	AlertsSaved     int64 // different alerts that were saved
	AlertsExpired   int64 // of them, deleted by retention
	Invalid         int64 // dead letters of invalid events
	InvalidExpired  int64 // of them, deleted by retention
	DeadLetters     int64 // alerts that a sink could not deliver
	DeadExpired     int64 // of them, deleted by retention
	Commits         int64
	OutboxRows      int64 // entries that are kept
	StateFormat     int64
	StateFileOwners int64 // how often a worker took the file over
}

// Stats reads the counters.
func (r *Reader) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	into := map[string]*int64{
		metaAlertsSaved: &s.AlertsSaved, metaAlertsExpired: &s.AlertsExpired, metaInvalid: &s.Invalid, metaInvalidGone: &s.InvalidExpired,
		metaDead: &s.DeadLetters, metaDeadGone: &s.DeadExpired, metaCommits: &s.Commits, metaFormat: &s.StateFormat, metaEpoch: &s.StateFileOwners,
		"outbox": &s.OutboxRows,
	}
	_, err := queryAll(ctx, r.db, func(rows *sql.Rows) (struct{}, error) {
		var name string
		var value int64
		err := rows.Scan(&name, &value)
		if p := into[name]; p != nil {
			*p = value
		}
		return struct{}{}, err
	}, "SELECT name, value FROM meta UNION ALL SELECT 'outbox', count(*) FROM outbox")
	if err != nil {
		return Stats{}, fmt.Errorf("read counters: %w", err)
	}
	return s, nil
}

const pageRows = 256

// InvalidEvents streams the dead letters of invalid events, oldest first.
func (r *Reader) InvalidEvents(ctx context.Context) iter.Seq2[engine.InvalidEvent, error] {
	type row struct {
		id int64
		engine.InvalidEvent
	}
	return func(yield func(engine.InvalidEvent, error) bool) {
		var after int64
		for {
			page, err := queryAll(ctx, r.db, func(rows *sql.Rows) (d row, err error) {
				var at int64
				err = rows.Scan(&d.id, &d.Position, &d.Reason, &d.Raw, &d.Size, &at)
				d.Time = time.Unix(0, at).UTC()
				return d, err
			}, "SELECT id, position, reason, raw, size, time FROM event_dead_letters WHERE id > ? ORDER BY id LIMIT ?", after, pageRows)
			if err != nil {
				yield(engine.InvalidEvent{}, fmt.Errorf("read dead letters: %w", err))
				return
			}
			for _, d := range page {
				if !yield(d.InvalidEvent, nil) {
					return
				}
				after = d.id
			}
			if len(page) < pageRows {
				return
			}
		}
	}
}

// DeadLetters streams the alerts that sinks could not deliver, oldest first.
func (r *Reader) DeadLetters(ctx context.Context) iter.Seq2[engine.DeadLetter, error] {
	type row struct {
		id int64
		engine.DeadLetter
	}
	return func(yield func(engine.DeadLetter, error) bool) {
		var after int64
		for {
			page, err := queryAll(ctx, r.db, func(rows *sql.Rows) (d row, err error) {
				return d, rows.Scan(&d.id, &d.Seq, &d.AlertID, &d.Sink, &d.Reason, &d.Body)
			}, "SELECT id, seq, alert_id, sink, reason, body FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?", after, pageRows)
			if err != nil {
				yield(engine.DeadLetter{}, fmt.Errorf("read dead letters: %w", err))
				return
			}
			for _, d := range page {
				if !yield(d.DeadLetter, nil) {
					return
				}
				after = d.id
			}
			if len(page) < pageRows {
				return
			}
		}
	}
}
