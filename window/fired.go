package window

import "math"

// Firing is an episode that fired, as a match of another key.
type Firing struct {
	Key    string
	Serial ID    // with the key it names the episode
	Time   int64 // Change.FiredAt
}

// TakeFired appends to dst the episodes that fired since it was last called, in
// the order in which they did. It tells nothing of those before the last Drain.
func (s *Store) TakeFired(dst []Firing) []Firing {
	dst = append(dst, s.journal.fired...)
	clear(s.journal.fired)
	s.journal.fired = s.journal.fired[:0]
	return dst
}

// Reached is the watermark as keys of p know it: an earlier match of them would
// be late.
func (s *Store) Reached(p *Policy) int64 { return p.behind(s.watermark) }

// NextDue is a time up to which Advance finds nothing to do, and after which it
// may; math.MaxInt64 if there is none. live is as in Advance.
func (s *Store) NextDue(live bool) int64 {
	due := int64(math.MaxInt64)
	for _, sh := range s.shards {
		if len(sh.closing) > 0 {
			due = min(due, sh.closing[0].at)
		}
		if live && len(sh.silence) > 0 {
			due = min(due, sh.silence[0].at)
		}
	}
	return due
}
