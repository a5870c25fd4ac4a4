package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// Store is what lasts: state, positions, alerts, outbox and dead letters. Safe
// for concurrent use.
type Store struct {
	mu        sync.Mutex
	epoch     int64 // raised by every Restore: an older owner is fenced
	failure   error // what every commit answers; nil: it works
	state     map[engine.Table]map[string][]byte
	positions map[string][]byte

	alerts     []*sinks.Alert // in the order of their first saves; each is never changed
	alertAt    map[string]int // alert ID → index in alerts, plus alertsGone
	alertsGone int

	outbox []engine.Entry
	seq    int64 // of the newest entry there ever was
	places map[string]int64
	grown  chan struct{} // closed when the outbox grows

	invalid     []engine.InvalidEvent
	invalidGone int
	dead        []engine.DeadLetter
	deadGone    int
}

var _ alertstore.Store = (*Store)(nil)

// NewStore returns an empty Store.
func NewStore() *Store {
	return &Store{
		state: map[engine.Table]map[string][]byte{}, positions: map[string][]byte{},
		alertAt: map[string]int{}, places: map[string]int64{}, grown: make(chan struct{}),
	}
}

// Fail makes every commit, Done and Restore answer an error that wraps
// ErrUnavailable and err; nil heals the store.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = nil
	if err != nil {
		s.failure = fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
}

// InvalidEvents returns the dead letters of invalid events that are kept,
// oldest first, and how many were dropped for the bound.
func (s *Store) InvalidEvents() (kept []engine.InvalidEvent, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.invalid), s.invalidGone
}

// DeadLetters returns the alerts that sinks could not deliver and that are
// kept, oldest first, and how many were dropped for the bound.
func (s *Store) DeadLetters() (kept []engine.DeadLetter, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dead), s.deadGone
}

// List implements alertstore.Store, over the alerts that there are now.
func (s *Store) List(ctx context.Context, f alertstore.Filter) iter.Seq2[*sinks.Alert, error] {
	return func(yield func(*sinks.Alert, error) bool) {
		if err := f.Validate(); err != nil {
			yield(nil, err)
			return
		}
		s.mu.Lock()
		found := slices.Clone(s.alerts)
		s.mu.Unlock()
		slices.SortStableFunc(found, func(a, b *sinks.Alert) int { return a.Time.Compare(b.Time) })
		if !f.OldestFirst {
			slices.Reverse(found)
		}
		left := f.Limit
		for _, a := range found {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !f.Match(a) {
				continue
			}
			own := *a
			if !yield(&own, nil) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// Get implements alertstore.Store.
func (s *Store) Get(_ context.Context, id string) (*sinks.Alert, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.alertAt[id]; ok {
		own := *s.alerts[i-s.alertsGone]
		return &own, nil
	}
	var ids []string
	var found *sinks.Alert
	for _, a := range s.alerts {
		if id != "" && strings.HasPrefix(a.AlertID, id) {
			ids = append(ids, a.AlertID)
			found = a
		}
	}
	switch len(ids) {
	case 0:
		return nil, fmt.Errorf("%w: %q", alertstore.ErrNotFound, id)
	case 1:
		own := *found
		return &own, nil
	}
	slices.Sort(ids)
	return nil, &alertstore.AmbiguousError{Prefix: id, IDs: ids[:min(len(ids), 5)]}
}

// Count implements alertstore.Store.
func (s *Store) Count(ctx context.Context, f alertstore.Filter, by alertstore.Field) ([]alertstore.Group, error) {
	if err := by.Validate(); err != nil {
		return nil, err
	}
	limit := f.Limit
	f.Limit = 0
	counts := by.NoCounts()
	for a, err := range s.List(ctx, f) {
		if err != nil {
			return nil, err
		}
		counts[by.Of(a)]++
	}
	return alertstore.Groups(counts, limit), nil
}
