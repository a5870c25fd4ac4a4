package fleet

import (
	"context"
	"fmt"
	"strconv"
	"sync"
)

// slot is the transactional ID of a worker's match stage: that of a repartition
// partition which the worker owns, so that whoever takes the partition over
// fences what the dead left. A worker without any uses an ID of its own.
type slot struct {
	f *Fleet

	mu    sync.Mutex // held while a transaction is made
	unit  *unit
	at    int // the partition that unit is named after; none: an ID of its own
	owned ownedSet
}

// ownedSet are the repartition partitions that this worker owns.
type ownedSet struct {
	mu   sync.Mutex
	set  map[int]bool
	bad  map[int]bool // fenced while they counted as owned
	none int          // how many IDs of its own were used
}

const none = -1

func newSlot(f *Fleet) *slot {
	return &slot{f: f, at: none, owned: ownedSet{set: make(map[int]bool), bad: make(map[int]bool)}}
}

func (f *Fleet) matchID(p int) string {
	return f.o.Names.TransactionalIDs() + "match-" + strconv.Itoa(p)
}

// add notes an owned partition, whose ID nobody else uses.
func (s *slot) add(p int) {
	s.owned.mu.Lock()
	defer s.owned.mu.Unlock()
	s.owned.set[p] = true
	delete(s.owned.bad, p)
}

// remove gives a partition up: when it returns, its ID is not in use here. It
// waits for a transaction that is being made.
func (s *slot) remove(ctx context.Context, p int) {
	s.owned.mu.Lock()
	delete(s.owned.set, p)
	s.owned.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.unit != nil && s.at == p {
			s.drop()
		}
	}()
	select {
	case <-done:
	case <-ctx.Done(): // the next owner fences it
	}
}

func (s *slot) pick() int {
	s.owned.mu.Lock()
	defer s.owned.mu.Unlock()
	best := none
	for p := range s.owned.set {
		if !s.owned.bad[p] && (best == none || p < best) {
			best = p
		}
	}
	return best
}

// take returns the unit, opened if need be, and locks it.
func (s *slot) take(ctx context.Context) (*unit, func(), error) {
	s.mu.Lock()
	if s.unit == nil {
		at := s.pick()
		id := s.f.matchID(at)
		if at == none {
			s.owned.none++
			id = fmt.Sprintf("%smatch-%s-%d", s.f.o.Names.TransactionalIDs(), s.f.o.Worker, s.owned.none)
		}
		u, err := s.f.openUnit(ctx, id)
		if err != nil {
			s.mu.Unlock()
			return nil, nil, err
		}
		s.unit, s.at = u, at
	} else if s.at == none && s.unit.flying == nil && s.pick() != none {
		// An ID that a successor can fence is better than one of its own.
		s.drop()
		s.mu.Unlock()
		return s.take(ctx)
	}
	return s.unit, s.mu.Unlock, nil
}

// fenced gives the ID up that another producer has taken.
func (s *slot) fenced() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unit == nil {
		return
	}
	if s.at != none {
		s.owned.mu.Lock()
		s.owned.bad[s.at] = true
		s.owned.mu.Unlock()
	}
	s.drop()
}

// drop closes the unit. The caller holds mu.
func (s *slot) drop() {
	s.unit.close()
	s.unit, s.at = nil, none
}

func (s *slot) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unit != nil {
		s.drop()
	}
}
