package memory

import (
	"context"
	"errors"
	"fmt"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

type txn struct {
	engine.Changes
	e     *Engine
	ended error // guarded by e.mu; not nil: it must not be used any more
}

var errEnded = errors.New("transaction is over")

// Commit implements engine.Txn.
func (t *txn) Commit(ctx context.Context) error {
	e := t.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.ended != nil {
		return t.ended
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w: %w", engine.ErrUnavailable, err)
	}
	if err := e.apply(e, t); err != nil {
		if errors.Is(err, engine.ErrFenced) {
			t.ended, e.open, e.owned = engine.ErrFenced, nil, false
		}
		return fmt.Errorf("commit: %w", err)
	}
	t.ended, e.open = errEnded, nil
	return nil
}

// Abort implements engine.Txn.
func (t *txn) Abort(context.Context) error {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	switch {
	case errors.Is(t.ended, engine.ErrFenced):
		return nil
	case t.ended != nil:
		return t.ended
	}
	t.ended, t.e.open = errEnded, nil
	return nil
}

// apply makes t durable.
func (s *Store) apply(e *Engine, t *txn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.epoch != e.epoch:
		return engine.ErrFenced
	case s.failure != nil:
		return s.failure
	}
	for _, c := range t.Entries() {
		if s.state[c.Table] == nil {
			s.state[c.Table] = map[string][]byte{}
		}
		if c.Deleted {
			delete(s.state[c.Table], string(c.Key))
		} else {
			s.state[c.Table][string(c.Key)] = append([]byte{}, c.Value...)
		}
	}
	for partition, position := range t.Positions {
		s.positions[partition] = append([]byte{}, position...)
	}
	now := e.o.Now().UTC()
	for _, d := range t.Invalid {
		d.Time = now
		if e.o.OnDeadLetter != nil {
			e.o.OnDeadLetter(d)
		} else {
			s.invalid = bounded(append(s.invalid, d), e.o.DeadLettersMaxRows, &s.invalidGone)
		}
	}
	grown := false
	for _, c := range t.Alerts {
		switch {
		case e.o.OnAlert != nil:
			e.o.OnAlert(c.Alert)
			continue
		case c.Save:
			s.save(c.Alert, e.o.AlertsMaxRows)
		}
		if c.Notify && !e.o.NoOutbox {
			s.seq++
			s.outbox = append(s.outbox, engine.Entry{Seq: s.seq, Alert: c.Alert})
			grown = true
		}
	}
	if grown {
		close(s.grown)
		s.grown = make(chan struct{})
	}
	return nil
}

// save keeps an alert's newest state at the place of its first.
func (s *Store) save(a *sinks.Alert, maxRows int) {
	if i, ok := s.alertAt[a.AlertID]; ok {
		s.alerts[i-s.alertsGone] = a
		return
	}
	s.alertAt[a.AlertID] = s.alertsGone + len(s.alerts)
	s.alerts = append(s.alerts, a)
	if maxRows > 0 && len(s.alerts) > maxRows {
		delete(s.alertAt, s.alerts[0].AlertID)
		s.alerts[0] = nil
		s.alerts = s.alerts[1:]
		s.alertsGone++
	}
}

// bounded drops from the front what is over the bound, and counts it.
func bounded[T any](all []T, bound int, gone *int) []T {
	if bound < 0 || len(all) <= bound {
		return all
	}
	over := len(all) - bound
	*gone += over
	clear(all[:over])
	return all[over:]
}
