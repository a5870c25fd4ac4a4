package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/trailtide/trailtide/pipeline/engine"
)

var errClosed = errors.New("engine is closed")

// Read implements engine.Outbox. A consumer that is not registered starts at
// the oldest entry. limit below 1 is 1.
func (e *Engine) Read(ctx context.Context, consumer string, limit int) ([]engine.Entry, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case <-e.closed:
			return nil, errClosed
		default:
		}
		entries, grown := e.unread(consumer, max(limit, 1))
		if len(entries) > 0 {
			return entries, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
		case <-e.closed:
		}
	}
}

func (s *Store) unread(consumer string, limit int) ([]engine.Entry, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.outbox[s.passed(s.places[consumer]):]
	entries := slices.Clone(rest[:min(len(rest), limit)])
	for i := range entries {
		own := *entries[i].Alert
		entries[i].Alert = &own
	}
	return entries, s.grown
}

// passed is how many of the kept entries have numbers up to seq.
func (s *Store) passed(seq int64) int {
	first := s.seq - int64(len(s.outbox)) // the number before the oldest kept entry
	return int(min(max(seq-first, 0), int64(len(s.outbox))))
}

// Done implements engine.Outbox. A place never moves back.
func (e *Engine) Done(ctx context.Context, consumer string, seq int64, dead []engine.DeadLetter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := e.Store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return fmt.Errorf("move the place of %s in the outbox: %w", consumer, s.failure)
	}
	s.places[consumer] = max(s.places[consumer], seq)
	s.dead = bounded(append(s.dead, dead...), e.o.DeadLettersMaxRows, &s.deadGone)
	gone := s.passed(slices.Min(slices.Collect(maps.Values(s.places))))
	clear(s.outbox[:gone])
	s.outbox = s.outbox[gone:]
	return nil
}

// Register implements engine.Consumers.
func (e *Engine) Register(_ context.Context, from engine.Start, consumers ...string) error {
	s := e.Store
	s.mu.Lock()
	defer s.mu.Unlock()
	start := s.seq
	if from != engine.FromNewest {
		start -= int64(len(s.outbox))
	}
	if t, ok := from.Time(); ok {
		for _, e := range s.outbox {
			if !e.Alert.DetectedAt.Before(t) {
				break
			}
			start = e.Seq
		}
	}
	for _, c := range consumers {
		if _, known := s.places[c]; !known {
			s.places[c] = start
		}
	}
	return nil
}

// Forget implements engine.Consumers.
func (e *Engine) Forget(_ context.Context, consumer string) (unread int64, err error) {
	s := e.Store
	s.mu.Lock()
	defer s.mu.Unlock()
	place, known := s.places[consumer]
	delete(s.places, consumer)
	if !known {
		return 0, nil
	}
	return int64(len(s.outbox) - s.passed(place)), nil
}

// Places implements engine.Consumers.
func (e *Engine) Places(context.Context) ([]engine.Place, error) {
	s := e.Store
	s.mu.Lock()
	defer s.mu.Unlock()
	var places []engine.Place
	for _, c := range slices.Sorted(maps.Keys(s.places)) {
		places = append(places, engine.Place{Consumer: c, Seq: s.places[c], Unread: int64(len(s.outbox) - s.passed(s.places[c]))})
	}
	return places, nil
}
