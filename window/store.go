package window

import "time"

// Options of a Store. The zero value means the defaults.
type Options struct {
	Shards      int           // independent parts of the store; rounded up to a power of two; default 8, at most 1024
	MaxKeys     int           // keys held; default 2,000,000
	MaxBytes    int64         // approximate memory of keys and members; default 256 MiB
	MaxMembers  int           // matches remembered in one episode; default 4096, at most MaxN; a policy's N raises it
	ForgetAfter time.Duration // silence after which an absence key that fired is given up; default 7 days
}

// Stats are a store's gauges and, since it was made, its counters. A rollback
// takes the counters back too.
type Stats struct {
	Keys      int
	Members   int   // matches remembered
	Bytes     int64 // approximate memory
	Evictions int64 // threshold keys pushed out by the memory bound
	Refused   int64 // observations refused
	Conflicts int64 // duplicates whose bytes differed
}

// Store counts matches per key.
type Store struct{}

// NewStore validates o.
func NewStore(o Options) (*Store, error) { return &Store{}, nil }

// Observe counts one match.
func (s *Store) Observe(m *Match) Outcome { return Counted }

// Advance moves event time.
func (s *Store) Advance(watermark int64, live bool) {}

// Drain tells what happened since the last Drain.
func (s *Store) Drain(fn func(*Change)) {}

// Dirty calls fn for every key changed in this interval.
func (s *Store) Dirty(fn func(key, state []byte)) {}

// Commit ends the interval and keeps it.
func (s *Store) Commit() {}

// Rollback ends the interval and undoes it.
func (s *Store) Rollback() {}

// Load restores one key.
func (s *Store) Load(key, state []byte) error { return nil }

// Len is how many keys there are.
func (s *Store) Len() int { return 0 }

// Stats returns gauges and counters.
func (s *Store) Stats() Stats { return Stats{} }

// MaxN bounds Policy.N.
const MaxN = 65536

// Validate reports what is wrong with p.
func (p Policy) Validate() error { return nil }
