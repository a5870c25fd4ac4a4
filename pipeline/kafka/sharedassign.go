package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
)

// onAssigned begins new stays. The client calls it at the begin of each session
// of the group, also with nothing new, and looks for offsets after it.
//
// A member that was put out while it joined again (stopped for a minute, say) is
// let in under another ID, without the client noticing that its partitions may
// have been somebody else's meanwhile. That is noticed here: such partitions
// begin another stay, too, at the group's offset.
func (s *Shared) onAssigned(ctx context.Context, got map[string][]int32) {
	var again []topicPartition
	fresh := 0
	s.step(func() {
		member, generation := s.cl.GroupMetadata()
		s.joined = true
		s.confirm(member, generation)
		for topic, parts := range got {
			for _, p := range parts {
				s.stay(topicPartition{topic, p}, member, generation)
				fresh++
			}
		}
		for tp, p := range s.assigned {
			if p.goesOn(member, generation, s.static()) {
				continue
			}
			if p.begun {
				again = append(again, tp)
			}
			s.stay(tp, member, generation)
		}
		s.metrics.assigned.Set(float64(len(s.assigned)))
		if fresh > 0 {
			s.o.Log.Info("partitions assigned", zap.Int("new", fresh), zap.Int("all", len(s.assigned)))
		}
		if len(again) > 0 {
			s.o.Log.Warn("the group had put this worker out; what it had not committed is read again", zap.Int("partitions", len(again)))
		}
	})
	if len(again) > 0 {
		s.resume(ctx, again)
	}
}

// confirm notes the newest membership of the stays that it goes on with. The
// caller holds mu.
func (s *Shared) confirm(member string, generation int32) {
	for _, p := range s.assigned {
		if p.goesOn(member, generation, s.static()) {
			p.member, p.generation = member, generation
		}
	}
}

// stay begins a stay of a partition. The caller holds mu.
func (s *Shared) stay(tp topicPartition, member string, generation int32) {
	if s.assigned[tp] != nil {
		s.lose(tp)
	}
	s.stays++
	s.assigned[tp] = &part{
		name: tp.String(), seen: -1, quiet: true,
		ownership: ownership{owner: s.stays, member: member, generation: generation},
	}
	if !s.opened[tp] {
		s.opened[tp] = true
		s.openPart(tp.String())
	}
}

// lose ends a stay. The partition's time keeps holding the watermark. The caller
// holds mu.
func (s *Shared) lose(tp topicPartition) {
	p := s.assigned[tp]
	if !p.settled() {
		s.metrics.undrained.Inc()
	}
	delete(s.assigned, tp)
	delete(s.next, tp)
	delete(s.out.Positions, p.name)
	s.out.Lost = append(s.out.Lost, p.name)
	s.metrics.assigned.Set(float64(len(s.assigned)))
	s.metrics.dropLag(tp)
}

// onRevoked gives partitions up, once what was handed out of them is committed
// or DrainWithin has passed. Nobody else gets them before it returns. While it
// waits, the client goes on with heartbeats and with fetching the others. At the
// end of every session it is called with nothing.
func (s *Shared) onRevoked(gone map[string][]int32) {
	var draining []topicPartition
	n := 0
	s.step(func() {
		member, generation := s.cl.GroupMetadata()
		s.confirm(member, generation)
		for topic, parts := range gone {
			for _, i := range parts {
				tp := topicPartition{topic, i}
				p := s.assigned[tp]
				if p == nil {
					continue
				}
				n++
				if s.closing || !p.goesOn(member, generation, s.static()) {
					s.lose(tp)
					continue
				}
				p.quiet = true
				delete(s.out.Positions, p.name) // nobody has seen it
				draining = append(draining, tp)
			}
		}
	})
	if n == 0 {
		return
	}
	drained := s.drain(draining)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tp := range draining {
		if s.assigned[tp] != nil {
			s.lose(tp)
		}
	}
	s.o.Log.Info("partitions given up", zap.Int("gone", n), zap.Int("left", len(s.assigned)), zap.Bool("drained", drained))
	s.wake()
}

// drain waits until everything that was handed out of parts is durable.
func (s *Shared) drain(parts []topicPartition) bool {
	deadline := time.NewTimer(s.o.DrainWithin)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		settled := true
		for _, tp := range parts {
			settled = settled && s.assigned[tp].settled()
		}
		closing := s.closing
		s.mu.Unlock()
		if settled || closing {
			return settled
		}
		select {
		case <-s.progress:
		case <-deadline.C:
			return false
		}
	}
}

// onLost is called when the group has put this member out: others may have its
// partitions already.
func (s *Shared) onLost() {
	s.step(func() {
		n := len(s.assigned)
		for tp := range s.assigned {
			s.lose(tp)
		}
		s.joined = false
		if n > 0 {
			s.o.Log.Warn("partitions lost", zap.Int("gone", n))
		}
	})
}

// resume has the client go on at the group's offsets in partitions that it did
// not know to have lost. What it has fetched of them until then is dropped.
func (s *Shared) resume(ctx context.Context, parts []topicPartition) {
	ctx, cancel := context.WithTimeout(ctx, s.o.DrainWithin)
	defer cancel()
	found, err := s.offsets(ctx, parts)
	s.step(func() {
		set := make(map[string]map[int32]kgo.EpochOffset)
		for _, tp := range parts {
			pos, ok := found[tp]
			if err != nil || !ok {
				s.assigned[tp].dropped = true // the client is made to take the topic up anew
				continue
			}
			s.begun(tp, pos)
			if set[tp.topic] == nil {
				set[tp.topic] = make(map[int32]kgo.EpochOffset)
			}
			set[tp.topic][tp.partition] = kgo.EpochOffset{Epoch: pos.epoch, Offset: pos.offset}
		}
		s.cl.SetOffsets(set)
	})
}
