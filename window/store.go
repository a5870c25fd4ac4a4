package window

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Defaults of Options.
const (
	DefaultMaxKeys  = 2_000_000
	DefaultMaxBytes = 256 << 20
)

// Options of a Store. The zero value means the defaults.
type Options struct {
	Shards      int           // independent parts of the store; rounded up to a power of two; default 8, at most 1024
	MaxKeys     int           // keys held; default 2,000,000, at most 1<<30
	MaxBytes    int64         // approximate memory of keys and members, without the undo log of an interval; default 256 MiB
	MaxMembers  int           // matches remembered in one episode; default 4096, at most MaxN; a policy's N raises it
	ForgetAfter time.Duration // silence after which an absence key that fired is given up; default 7 days
}

func (o *Options) complete() error {
	if o.Shards < 0 || o.MaxKeys < 0 || o.MaxBytes < 0 || o.MaxMembers < 0 || o.ForgetAfter < 0 {
		return errors.New("a bound is negative")
	}
	o.Shards = cmp.Or(o.Shards, 8)
	o.MaxKeys = cmp.Or(o.MaxKeys, DefaultMaxKeys)
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.MaxMembers = cmp.Or(o.MaxMembers, 4096)
	o.ForgetAfter = cmp.Or(o.ForgetAfter, 7*24*time.Hour)
	var errs []error
	if o.Shards > 1024 {
		errs = append(errs, fmt.Errorf("%d shards are more than 1024", o.Shards))
	}
	if o.MaxKeys > 1<<30 {
		errs = append(errs, fmt.Errorf("%d keys are more than %d", o.MaxKeys, 1<<30))
	}
	if o.MaxMembers > MaxN {
		errs = append(errs, fmt.Errorf("%d members are more than %d", o.MaxMembers, MaxN))
	}
	return errors.Join(errs...)
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

func (s Stats) plus(o Stats) Stats {
	return Stats{
		Keys: s.Keys + o.Keys, Members: s.Members + o.Members, Bytes: s.Bytes + o.Bytes,
		Evictions: s.Evictions + o.Evictions, Refused: s.Refused + o.Refused, Conflicts: s.Conflicts + o.Conflicts,
	}
}

// Store counts matches per key in exact windows over event time. It belongs to
// one goroutine. Nothing in it blocks.
//
// Time is cut into intervals. An interval ends with Commit, which keeps what
// happened in it, or with Rollback, which undoes it. The order of a commit is
// Drain, Dirty, make durable, Commit: what is not drained by then is not in the
// encoded state.
type Store struct {
	opts      Options
	shards    []*shard
	mask      uint64
	journal   *journal
	keys      int   // over all shards
	bytes     int64 // over all shards
	watermark int64
	kept      int64 // the watermark at the interval's beginning
	due       []appointment
	buf       []byte
	members   []Member
}

// NewStore makes an empty store. A zero option means its default.
func NewStore(o Options) (*Store, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("making a window store: %w", err)
	}
	n := 1 << bits.Len(uint(o.Shards-1))
	s := &Store{
		opts: o, mask: uint64(n - 1), journal: newJournal(),
		watermark: math.MinInt64, kept: math.MinInt64,
	}
	for range n {
		s.shards = append(s.shards, newShard(o.MaxMembers, s.journal))
	}
	return s, nil
}

// Observe counts one match. m is only read, and its key copied when it is new.
//
// The policy is that of the key's first match as long as the key lives: whoever
// changes a rule's threshold changes its keys. A match that is not remembered
// yet and older than the watermark is Late; a policy that Validate rejects is
// Refused. Absence keys know no Late.
func (s *Store) Observe(m *Match) Outcome {
	hash := hashOf(m.Key)
	sh := s.shards[hash&s.mask]
	n, e := lookup(sh, hash, m.Key)
	if e == nil {
		if m.Policy.Validate() != nil {
			sh.stats.Refused++
			return Refused
		}
		if m.Policy.Kind != Absence && m.Time < m.Policy.behind(s.watermark) {
			return Late
		}
		if !s.admit(&m.Policy) {
			sh.stats.Refused++
			return Refused
		}
		n, e = sh.create(string(m.Key), hash, m.Policy)
		sh.weigh(e, 1)
		s.keys++
		s.bytes += e.size()
	}
	size, members := e.size(), len(e.recs)
	var out Outcome
	switch p := &sh.policies[e.policy]; p.Kind {
	case Absence:
		out = sh.meet(n, e, m)
	case Tumbling:
		out = sh.tally(n, e, m, s.watermark, s.opts.ForgetAfter)
	default:
		out = sh.count(n, e, m, p.behind(s.watermark))
	}
	if grown := e.size() - size; grown != 0 {
		sh.stats.Bytes += grown
		s.bytes += grown
	}
	sh.stats.Members += len(e.recs) - members
	if out == Conflict {
		sh.stats.Conflicts++
	}
	if s.bytes > s.opts.MaxBytes {
		s.shrink(sh, n)
	}
	return out
}

// Len is how many keys there are.
func (s *Store) Len() int { return s.keys }

// Stats returns gauges and counters.
func (s *Store) Stats() Stats {
	var sum Stats
	for _, sh := range s.shards {
		sum = sum.plus(sh.stats)
	}
	return sum
}

// Dirty calls fn with the encoded state of every key that changed in this
// interval, nil for a key that is gone. Both slices are valid during the call.
func (s *Store) Dirty(fn func(key, state []byte)) {
	for _, sh := range s.shards {
		s.buf = sh.dirty(s.buf, fn)
	}
}

// Commit ends the interval and keeps what happened in it.
func (s *Store) Commit() {
	for _, sh := range s.shards {
		sh.commit()
	}
	s.journal.commit()
	s.kept = s.watermark
}

// Rollback ends the interval and puts everything, what is to be drained and
// the counters too, back to where it was when the interval began.
func (s *Store) Rollback() {
	for _, sh := range s.shards {
		sh.rollback()
	}
	s.journal.rollback()
	s.watermark = s.kept
	s.recount()
}

func (s *Store) recount() {
	sum := s.Stats()
	s.keys, s.bytes = sum.Keys, sum.Bytes
}

// Load restores one key from what Dirty wrote; an empty state removes it. Of
// several states of a key the last holds. Loading belongs to the time before
// the first Observe: it is not undone by Rollback. A state that a newer version
// has written is refused.
func (s *Store) Load(key, state []byte) error {
	hash := hashOf(key)
	sh := s.shards[hash&s.mask]
	var (
		e entry
		p Policy
	)
	if len(state) > 0 {
		var err error
		if p, err = decodeState(state, &e); err != nil {
			return fmt.Errorf("loading the window of key %q: %w", key, err)
		}
	}
	if n, old := lookup(sh, hash, key); old != nil {
		sh.weigh(old, -1)
		s.bytes -= old.size()
		s.keys--
		sh.displace(n, old)
	}
	if len(state) > 0 {
		e.key, e.hash, e.policy = string(key), hash, sh.intern(p)
		n, placed := sh.place(e)
		sh.weigh(placed, 1)
		s.bytes += placed.size()
		s.keys++
		sh.schedule(n, placed, sh.nextDue(placed, s.opts.ForgetAfter))
	}
	sh.idle = nil
	sh.kept = sh.stats
	return nil
}

// appointment is an entry that Advance found due.
type appointment struct {
	at int64
	sh *shard
	n  uint32
}

// Advance moves event time to watermark, never back. It closes the chains
// whose last match it has passed by more than Within, in the order in which
// they end, keys in byte order among equals. live says that the source is
// connected and read to its end: only then silence counts, so absence fires
// and absence keys are forgotten.
//
// It costs in proportion to what is due.
func (s *Store) Advance(watermark int64, live bool) {
	s.watermark = max(s.watermark, watermark)
	s.due = s.due[:0]
	for _, sh := range s.shards {
		s.due = sh.ripe(s.due, s.watermark, s.opts.ForgetAfter)
		if live {
			s.due = sh.silent(s.due, s.watermark, s.opts.ForgetAfter)
		}
	}
	if len(s.due) == 0 {
		return
	}
	slices.SortFunc(s.due, func(a, b appointment) int {
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		return cmp.Compare(a.sh.entries.at(a.n).key, b.sh.entries.at(b.n).key)
	})
	for _, d := range s.due {
		e := d.sh.entries.at(d.n)
		e.due = d.at // what a rollback comes back to
		switch d.sh.policies[e.policy].Kind {
		case Absence:
			d.sh.miss(d.n, e, s.watermark, s.opts.ForgetAfter)
		case Tumbling:
			d.sh.evaluate(d.n, e, s.watermark, s.opts.ForgetAfter)
		default:
			d.sh.close(d.n, e, s.watermark)
		}
	}
	s.recount()
}
