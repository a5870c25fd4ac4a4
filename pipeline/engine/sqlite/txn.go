package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
)

type txn struct {
	engine.Changes
	e      *Engine
	epoch  int64
	number int64 // what "commits" is once it is durable
	ended  error // guarded by e.mu; not nil: it must not be used any more

	encode  sync.Once
	encoded []encoded // of Changes.Alerts
}

var errEnded = errors.New("transaction is over")

// Commit implements engine.Txn. ctx bounds the wait for another transaction of
// the file; the transaction itself is not interrupted.
func (t *txn) Commit(ctx context.Context) error {
	if err := t.state(); err != nil {
		return err
	}
	if t.Empty() {
		return t.end(errEnded)
	}
	t.encode.Do(func() {
		t.encoded = make([]encoded, len(t.Alerts))
		for i, a := range t.Alerts {
			t.encoded[i] = encode(a.Alert)
		}
	})
	var grown bool
	err := t.e.w.update(ctx, func(x *tx) (err error) {
		durable, err := t.check(x)
		if err != nil || durable {
			grown = durable // perhaps: a ring too many costs a look
			return err
		}
		grown, err = t.apply(x)
		return err
	})
	switch {
	case errors.Is(err, engine.ErrFenced):
		_ = t.end(engine.ErrFenced) // answered below
		return err
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return fmt.Errorf("commit: %w: %w", engine.ErrUnavailable, err)
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	if err := t.end(errEnded); err != nil {
		return err
	}
	if grown {
		t.e.wake.ring()
	}
	t.e.retain(ctx)
	return nil
}

// Abort implements engine.Txn.
func (t *txn) Abort(context.Context) error {
	if err := t.state(); err != nil {
		if errors.Is(err, engine.ErrFenced) {
			return nil
		}
		return err
	}
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	t.ended, t.e.open = errEnded, nil
	return nil
}

func (t *txn) state() error {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	return t.ended
}

// end closes the transaction after its commit was decided: durable when why is
// errEnded, else lost together with the partition.
func (t *txn) end(why error) error {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	if t.ended != nil { // released meanwhile
		return nil
	}
	t.ended, t.e.open = why, nil
	if errors.Is(why, engine.ErrFenced) {
		t.e.owned = false
	} else if !t.Empty() {
		t.e.commits = t.number
	}
	return nil
}

// check fences, and finds out whether an earlier attempt that seemed to fail is
// durable after all (the log was written, its sync failed, and the connection
// was opened anew).
func (t *txn) check(x *tx) (durable bool, err error) {
	epoch, err := x.meta(metaEpoch)
	if err != nil {
		return false, err
	}
	commits, err := x.meta(metaCommits)
	if err != nil {
		return false, err
	}
	switch {
	case epoch != t.epoch:
		return false, fmt.Errorf("%w: the state was restored elsewhere", engine.ErrFenced)
	case commits == t.number:
		return true, nil
	case commits != t.number-1:
		return false, fmt.Errorf("%w: the state was written elsewhere", engine.ErrFenced)
	}
	return false, x.add(metaCommits, 1)
}

const putPosition = "INSERT INTO positions(partition, position) VALUES(?, ?) ON CONFLICT DO UPDATE SET position = excluded.position"

// apply writes everything; grown says that the outbox has new entries.
func (t *txn) apply(x *tx) (grown bool, err error) {
	for _, c := range t.Entries() {
		if err := applyEntry(x, c); err != nil {
			return false, err
		}
	}
	for _, partition := range slices.Sorted(maps.Keys(t.Positions)) {
		if err := x.exec(putPosition, partition, nonNil(t.Positions[partition])); err != nil {
			return false, err
		}
	}
	now := nanos(t.e.o.Now())
	for _, d := range t.Invalid {
		const q = "INSERT INTO event_dead_letters(position, reason, raw, size, time) VALUES(?, ?, ?, ?, ?)"
		if err := x.exec(q, d.Position, d.Reason, nonNil(d.Raw), d.Size, now); err != nil {
			return false, err
		}
	}
	if err := x.add(metaInvalid, int64(len(t.Invalid))); err != nil {
		return false, err
	}
	return t.applyAlerts(x, now)
}

func applyEntry(x *tx, c engine.EntryChange) error {
	switch {
	case c.Table == engine.Evidence && c.Deleted:
		return x.exec("DELETE FROM evidence WHERE key = ?", nonNil(c.Key))
	case c.Table == engine.Evidence:
		return x.exec("INSERT INTO evidence(key, value) VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
			nonNil(c.Key), nonNil(c.Value))
	case c.Deleted:
		return x.exec("DELETE FROM state WHERE tbl = ? AND key = ?", c.Table, nonNil(c.Key))
	default:
		return x.exec("INSERT INTO state(tbl, key, value) VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
			c.Table, nonNil(c.Key), nonNil(c.Value))
	}
}

func (t *txn) applyAlerts(x *tx, now int64) (grown bool, err error) {
	newest := map[string]int{}
	for i, a := range t.Alerts {
		if a.Save {
			newest[a.Alert.AlertID] = i
		}
	}
	var saved int64
	for i, a := range t.Alerts {
		if a.Save && newest[a.Alert.AlertID] == i {
			isNew, err := save(x, a, t.encoded[i], now)
			if err != nil {
				return false, err
			}
			if isNew {
				saved++
			}
		}
		if a.Notify && !t.e.o.NoOutbox {
			enc := t.encoded[i]
			if err := x.exec("INSERT INTO outbox(body, event, events) VALUES(?, ?, ?)", enc.body, enc.event, enc.events); err != nil {
				return false, err
			}
			grown = true
		}
	}
	return grown, x.add(metaAlertsSaved, saved)
}

// save writes an alert's newest state; isNew says that there was none.
func save(x *tx, c engine.AlertChange, enc encoded, now int64) (isNew bool, err error) {
	a := c.Alert
	args := []any{
		a.RuleID, alertstore.Rank(a.Severity), string(a.Status), a.Account, a.Region, a.User, a.EventName, a.EventSource,
		nanos(a.Time), nanos(a.FirstTime), nanos(a.LastTime), a.Count, now, enc.body, enc.event, enc.events, a.AlertID,
	}
	const update = `UPDATE alerts SET rule_id = ?, severity = ?, status = ?, account = ?, region = ?, user = ?, event_name = ?, event_source = ?,
		time = ?, first_time = ?, last_time = ?, count = ?, saved_at = ?, body = ?, event = ?, events = ? WHERE alert_id = ?`
	n, err := x.execCount(update, args...)
	if err != nil || n > 0 {
		return false, err
	}
	const insert = `INSERT INTO alerts(rule_id, severity, status, account, region, user, event_name, event_source,
		time, first_time, last_time, count, saved_at, body, event, events, alert_id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	return true, x.exec(insert, args...)
}
