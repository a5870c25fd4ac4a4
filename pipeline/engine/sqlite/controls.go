package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/trailtide/trailtide/pipeline/control"
)

// Say writes what a person said about an alert into the state file at path,
// beside a running worker, which sees it within a second, or without one. It
// creates no file.
func Say(ctx context.Context, path string, r *control.Record) error {
	path, err := resolve(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open state file: there is no %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("open state file: %w", err)
	}
	w, err := newWriter(ctx, path, 0)
	if err != nil {
		return fmt.Errorf("open state file: %s: %w", path, classify(err))
	}
	return errors.Join(w.update(ctx, func(x *tx) error { return putControl(x, r) }), w.close())
}

// ControlChange is a record under its key; nil: the key is gone.
type ControlChange struct {
	Key    string
	Record *control.Record
}

// Control stores what people said, in its order, and how far the topics were
// read that this came from, in one step.
func (e *Engine) Control(ctx context.Context, changes []ControlChange, positions map[string][]byte) error {
	err := e.w.update(ctx, func(x *tx) error {
		for _, c := range changes {
			var err error
			if c.Record != nil {
				err = putControl(x, c.Record)
			} else {
				err = x.exec("DELETE FROM controls WHERE key = ?", c.Key)
			}
			if err != nil {
				return err
			}
		}
		for _, partition := range slices.Sorted(maps.Keys(positions)) {
			if err := x.exec(putPosition, partition, nonNil(positions[partition])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store what was said about alerts: %w", err)
	}
	return nil
}

// putControl enters a record. The old row goes, so that the number rises. An
// Unignore leaves the Ignore with an earlier end, so that the alerts which it
// kept still show why nobody was told.
func putControl(x *tx, r *control.Record) error {
	key := r.Key()
	if r.Action == control.Unignore {
		old, err := getControl(x, key)
		if err != nil {
			return err
		}
		if old != nil && old.Action == control.Ignore && r.At.After(old.At) && r.At.Before(old.Until) {
			old.Until = r.At
			r = old
		}
	}
	body, err := r.Append(nil)
	if err != nil {
		return err
	}
	if err := x.exec("DELETE FROM controls WHERE key = ?", key); err != nil {
		return err
	}
	return x.exec("INSERT INTO controls(key, body) VALUES(?, ?)", key, body)
}

func getControl(x *tx, key string) (*control.Record, error) {
	s, err := x.stmt("SELECT body FROM controls WHERE key = ?")
	if err != nil {
		return nil, err
	}
	var body []byte
	err = s.QueryRowContext(context.Background(), key).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	return control.Parse(body)
}

// Controls returns what people said since the record with number after, oldest
// first, and the newest record's number. 0: everything. A record of a newer
// version is left out. A file of the first format has none.
func (r *Reader) Controls(ctx context.Context, after int64) (records []*control.Record, last int64, err error) {
	last = after
	var there int64
	if err := r.db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'controls'").Scan(&there); err != nil {
		return nil, after, fmt.Errorf("read what was said about alerts: %w", classify(err))
	}
	if there == 0 {
		return nil, after, nil
	}
	type row struct {
		id   int64
		body []byte
	}
	rows, err := queryAll(ctx, r.db, func(rows *sql.Rows) (x row, err error) {
		return x, rows.Scan(&x.id, &x.body)
	}, "SELECT id, body FROM controls WHERE id > ? ORDER BY id", after)
	if err != nil {
		return nil, after, fmt.Errorf("read what was said about alerts: %w", err)
	}
	for _, x := range rows {
		c, err := control.Parse(x.body)
		switch {
		case errors.Is(err, control.ErrNewer):
		case err != nil:
			return nil, after, fmt.Errorf("%w: %w", ErrDamaged, err)
		default:
			records = append(records, c)
		}
		last = x.id
	}
	return records, last, nil
}
