package kinesis

import (
	"slices"

	"github.com/trailtide/trailtide/pipeline"
)

// Fenced gives a shard up whose position another worker has taken, as one does
// that was halted while it took the lease. The lease goes back to the table: who
// takes it next, this worker or another, fences whoever took the position.
func (s *Source) Fenced(partition string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.readings[partition]; r != nil && r.lease != nil {
		r.fence()
		return
	}
	if _, taken := s.stays[partition]; taken {
		s.refused[partition] = true // its reading begins in a moment
		return
	}
	if r := s.leaving[partition]; r != nil { // who has it will see that it is finished, and close it
		delete(s.leaving, partition)
		s.lose(partition)
		r.left = true
		r.poke()
		s.wake()
	}
}

// lose tells that nothing more comes of a partition that another worker has. The
// caller holds mu.
func (s *Source) lose(name string) {
	s.out.Lost = append(s.out.Lost, name)
	s.out.Open = slices.DeleteFunc(s.out.Open, func(t pipeline.PartitionTime) bool { return t.Partition == name })
	s.out.Closed = slices.DeleteFunc(s.out.Closed, func(e pipeline.PartitionEnd) bool { return e.Partition == name })
	delete(s.out.Positions, name)
	delete(s.late, name)
}
