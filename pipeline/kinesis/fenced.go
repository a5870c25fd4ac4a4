package kinesis

// Fenced gives a shard up whose position another worker has taken, as one does
// that was halted while it took the lease. The lease goes back to the table: who
// takes it next, this worker or another, fences whoever took the position.
func (s *Source) Fenced(partition string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.readings[partition]; r != nil && r.lease != nil {
		r.fence()
	}
}
