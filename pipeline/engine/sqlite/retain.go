package sqlite

import (
	"context"
	"sync"
	"time"
)

const (
	retainEvery = time.Second // wall clock between two looks
	retainChunk = 500         // rows that go at once: a commit behind it waits some 30 ms
)

// retention remembers when it looked last. What it deletes is counted in meta.
type retention struct {
	mu   sync.Mutex
	next time.Time
}

// retain deletes one chunk of each thing that is over its bound. It rides on
// commits, so that it needs no goroutine; when it fails, the next one tries
// again: that too much is kept harms nobody, and a store that is failing shows in the commits.
func (e *Engine) retain(ctx context.Context) {
	e.retention.mu.Lock()
	now := e.o.Now()
	due := !now.Before(e.retention.next)
	if due {
		e.retention.next = now.Add(retainEvery)
	}
	e.retention.mu.Unlock()
	if !due {
		return
	}
	var more bool
	err := e.w.update(ctx, func(x *tx) (err error) {
		more, err = e.retainChunks(x, now)
		return err
	})
	if err == nil && more {
		e.retention.mu.Lock()
		e.retention.next = now // go on at the next commit
		e.retention.mu.Unlock()
	}
}

func (e *Engine) retainChunks(x *tx, now time.Time) (more bool, err error) {
	for _, r := range []struct {
		on       bool
		counter  string
		del      string
		args     []any
		added    string
		maxAlive int64
	}{
		{
			on: e.o.AlertsMaxAge > 0, counter: metaAlertsExpired,
			del:  "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE saved_at < ? ORDER BY saved_at LIMIT ?)",
			args: []any{nanos(now.Add(-e.o.AlertsMaxAge)), retainChunk},
		},
		{
			on: e.o.AlertsMaxRows > 0, counter: metaAlertsExpired, added: metaAlertsSaved, maxAlive: e.o.AlertsMaxRows,
			del: "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts ORDER BY id LIMIT ?)",
		},
		{
			on: e.o.DeadLettersMaxRows > 0, counter: metaInvalidGone, added: metaInvalid, maxAlive: e.o.DeadLettersMaxRows,
			del: "DELETE FROM event_dead_letters WHERE id IN (SELECT id FROM event_dead_letters ORDER BY id LIMIT ?)",
		},
		{
			on: e.o.DeadLettersMaxRows > 0, counter: metaDeadGone, added: metaDead, maxAlive: e.o.DeadLettersMaxRows,
			del: "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters ORDER BY id LIMIT ?)",
		},
	} {
		if !r.on {
			continue
		}
		if r.added != "" {
			over, err := overBound(x, r.added, r.counter, r.maxAlive)
			if err != nil {
				return false, err
			}
			if over <= 0 {
				continue
			}
			r.args = []any{min(over, retainChunk)}
		}
		n, err := x.execCount(r.del, r.args...)
		if err != nil {
			return false, err
		}
		if err := x.add(r.counter, n); err != nil {
			return false, err
		}
		more = more || n == retainChunk
	}
	return more, nil
}

// overBound is how many rows there are above the bound, from the counters: a
// count of the rows would read them all.
func overBound(x *tx, added, gone string, bound int64) (int64, error) {
	a, err := x.meta(added)
	if err != nil {
		return 0, err
	}
	g, err := x.meta(gone)
	return a - g - bound, err
}
