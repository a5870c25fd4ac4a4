package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline"
)

// Read returns the next records, or after LagInterval at the latest a batch that
// tells only how the partitions stand. No record comes before all partitions
// that there are have been opened.
func (s *Shared) Read(ctx context.Context) (*pipeline.Batch, error) {
	s.mu.Lock()
	known := !s.checked.IsZero()
	s.mu.Unlock()
	if !known {
		t := time.NewTimer(s.o.LagInterval)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.changed:
		case <-t.C:
		}
		return s.batch(nil), nil
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.turn }()
	fetches := s.poll(ctx)
	if fetches.NumRecords() == 0 { // what was taken from the client is handed out, whatever ctx says
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if fetches.IsClientClosed() {
			return nil, kgo.ErrClientClosed
		}
	}
	s.fetchErrors(fetches)
	return s.batch(fetches), nil
}

// poll waits for records until LagInterval has passed or a callback wants its
// turn.
func (s *Shared) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithTimeout(ctx, s.o.LagInterval)
	defer cancel()
	s.mu.Lock()
	s.interrupt = cancel
	if s.waiting > 0 {
		cancel()
	}
	s.mu.Unlock()
	fetches := s.cl.PollRecords(ctx, s.o.MaxPollRecords)
	s.mu.Lock()
	s.interrupt = nil
	s.mu.Unlock()
	return fetches
}

// step calls f with mu held between two polls: everything that was polled is
// handed out by then. The client's callbacks use it; they may come before Start
// has the client in hand.
func (s *Shared) step(f func()) {
	<-s.started
	s.mu.Lock()
	s.waiting++
	if s.interrupt != nil {
		s.interrupt()
	}
	s.mu.Unlock()
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	f()
	s.wake()
}

// batch makes a batch of what was fetched and of how the partitions stand.
func (s *Shared) batch(fetches kgo.Fetches) *pipeline.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &pipeline.Batch{}
	if s.checked.IsZero() {
		return b
	}
	*b, s.out = s.out, pipeline.Batch{}
	for name, pos := range b.Positions {
		tp, err := parsePartition(name)
		if p := s.assigned[tp]; err == nil && p != nil {
			if at, _, err := decodeHeld(pos); err == nil {
				p.hand(at.offset)
			}
		}
	}
	s.fill(b, fetches, fetches.NumRecords())
	s.times(b)
	return b
}

// watch asks every LagInterval how the partitions stand, until ctx ends.
func (s *Shared) watch(ctx context.Context) {
	s.repeat(ctx, func(call context.Context) {
		err := s.survey(call, func(details kadm.TopicDetails, asked time.Time) {
			s.appeared()
			s.disappeared(details)
			if len(s.purged) > 0 {
				s.refresh() // the client finds them again by their pattern
			}
			calm := 2 * s.o.LagInterval
			if !s.joined {
				calm = 10 * s.o.LagInterval // the client waits between its tries to join
			}
			if s.failing == 0 {
				s.mendAfter(asked, calm)
			}
		})
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
				s.failed(err)
			}
			return
		}
		s.mu.Lock()
		eager := s.o.Now().Before(s.eager)
		s.mu.Unlock()
		if eager {
			s.cl.ForceMetadataRefresh()
		}
	})
}

// refresh has the client look for new partitions and topics for a while: by
// itself it does every few minutes only. The caller holds mu.
func (s *Shared) refresh() {
	s.eager = s.o.Now().Add(10 * max(s.o.LagInterval, s.o.MetadataMinAge))
}

// appeared opens partitions that are new, whoever reads them. The caller holds
// mu.
func (s *Shared) appeared() {
	for tp := range s.exist {
		delete(s.missing, tp)
		if !s.opened[tp] {
			s.opened[tp] = true
			s.openPart(tp.String())
			s.refresh()
		}
	}
}

// disappeared closes partitions that were not found for a while. The caller
// holds mu.
func (s *Shared) disappeared(details kadm.TopicDetails) {
	for topic := range s.topics {
		if _, there := details[topic]; there {
			s.unseen[topic] = 0
		} else if s.unseen[topic] < goneAfter {
			s.unseen[topic]++
		}
	}
	for tp := range s.opened {
		if s.exist[tp] {
			continue
		}
		if s.missing[tp]++; s.missing[tp] < goneAfter {
			continue
		}
		s.o.Log.Warn("a partition is gone; it holds nothing back any more", zap.Stringer("partition", tp))
		delete(s.opened, tp)
		delete(s.missing, tp)
		s.closePart(tp.String())
		s.metrics.dropLag(tp)
	}
}
