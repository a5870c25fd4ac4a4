package window

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
)

// Seen remembers identities, each until its time. It is bounded: over the bound
// the one that would be forgotten next goes first, and is counted. It belongs
// to one goroutine, and knows intervals as Store does.
type Seen struct {
	limit     int
	watermark int64
	table     index
	entries   slab[seenEntry]
	expiry    timers
	overflow  int64

	log           []seenStep
	keptWatermark int64
	keptOverflow  int64
}

type seenEntry struct {
	id       ID
	forgetAt int64
	sum      uint32
	used     bool
}

// seenStep is one identity that came or went.
type seenStep struct {
	entry seenEntry
	came  bool
}

// NewSeen makes a Seen that holds at most limit identities; 0 means 1,000,000.
func NewSeen(limit int) *Seen {
	return &Seen{limit: cmp.Or(limit, 1_000_000), watermark: math.MinInt64, keptWatermark: math.MinInt64}
}

// Observe remembers id until the watermark passes forgetAt, event time in Unix
// nanoseconds. It answers Counted the first time, then Duplicate, or Conflict
// if sum is another than the first time. What is to be forgotten already is
// Counted and not remembered.
func (s *Seen) Observe(id ID, sum uint32, forgetAt int64) Outcome {
	_, e := s.lookup(&id)
	switch {
	case e != nil && e.sum != sum:
		return Conflict
	case e != nil:
		return Duplicate
	case forgetAt < s.watermark:
		return Counted
	}
	s.log = append(s.log, seenStep{entry: s.place(seenEntry{id: id, forgetAt: forgetAt, sum: sum}), came: true})
	for s.table.n > s.limit {
		if s.forget(s.expiry.pop()) {
			s.overflow++
		}
	}
	return Counted
}

// Advance forgets what the watermark has passed. It never goes back.
func (s *Seen) Advance(watermark int64) {
	s.watermark = max(s.watermark, watermark)
	for len(s.expiry) > 0 && s.expiry[0].at < s.watermark {
		s.forget(s.expiry.pop())
	}
}

// Dirty calls fn with the encoded state of every identity that came in this
// interval, nil for one that is gone. Both slices are valid during the call.
func (s *Seen) Dirty(fn func(key, state []byte)) {
	known := make(map[ID]bool, len(s.log)) // value: it was there before the interval
	for i := range s.log {
		if id := s.log[i].entry.id; !contains(known, id) {
			known[id] = !s.log[i].came
		}
	}
	var buf []byte
	for i := range s.log {
		id := s.log[i].entry.id
		before, ok := known[id]
		if !ok {
			continue // told
		}
		delete(known, id)
		if _, e := s.lookup(&id); e != nil {
			buf = append(append(buf[:0], id[:]...), stateVersion)
			buf = binary.AppendVarint(buf, e.forgetAt)
			buf = binary.LittleEndian.AppendUint32(buf, e.sum)
			fn(buf[:16:16], buf[16:])
		} else if before {
			buf = append(buf[:0], id[:]...)
			fn(buf, nil)
		}
	}
}

func contains(m map[ID]bool, id ID) bool {
	_, ok := m[id]
	return ok
}

// Commit ends the interval and keeps what happened in it.
func (s *Seen) Commit() {
	s.log = s.log[:0]
	if cap(s.log) > 1<<16 {
		s.log = nil
	}
	s.keptWatermark, s.keptOverflow = s.watermark, s.overflow
}

// Rollback ends the interval and undoes what happened in it.
func (s *Seen) Rollback() {
	for i := len(s.log) - 1; i >= 0; i-- {
		step := &s.log[i]
		if step.came {
			n, _ := s.lookup(&step.entry.id)
			s.displace(n)
		} else {
			s.place(step.entry)
		}
	}
	if len(s.log) > 0 {
		s.reorder()
	}
	s.watermark, s.overflow = s.keptWatermark, s.keptOverflow
	s.log = s.log[:0]
}

// Load restores one identity from what Dirty wrote; an empty state removes it.
// As with Store.Load, it is not undone by Rollback.
func (s *Seen) Load(key, state []byte) error {
	if len(key) != len(ID{}) {
		return fmt.Errorf("loading a seen identity: its key has %d bytes, not %d", len(key), len(ID{}))
	}
	e := seenEntry{id: ID(key)}
	if len(state) > 0 {
		r := &reader{b: state}
		r.version(stateVersion)
		e.forgetAt = r.varint()
		e.sum = binary.LittleEndian.Uint32(r.take(4))
		if r.err == nil && len(r.b) > 0 {
			r.fail(fmt.Errorf("%d bytes too many", len(r.b)))
		}
		if r.err != nil {
			return fmt.Errorf("loading seen identity %x: %w", key, r.err)
		}
	}
	if n, old := s.lookup(&e.id); old != nil {
		s.displace(n)
	}
	if len(state) > 0 {
		s.place(e)
	}
	return nil
}

// Len is how many identities are remembered.
func (s *Seen) Len() int { return s.table.n }

// Overflowed counts the identities forgotten before their time. A rollback takes it back.
func (s *Seen) Overflowed() int64 { return s.overflow }

func (s *Seen) lookup(id *ID) (uint32, *seenEntry) {
	if s.table.n == 0 {
		return 0, nil
	}
	x, tag := &s.table, tagOf(xxhash.Sum64(id[:]))
	for pos := x.home(tag); x.slots[pos] != 0; pos = x.next(pos) {
		if slotTag(x.slots[pos]) != tag {
			continue
		}
		n := slotNumber(x.slots[pos])
		if e := s.entries.at(n); e.id == *id {
			return n, e
		}
	}
	return 0, nil
}

func (s *Seen) place(e seenEntry) seenEntry {
	n := s.entries.alloc()
	e.used = true
	*s.entries.at(n) = e
	tag := tagOf(xxhash.Sum64(e.id[:]))
	s.table.insert(tag, n)
	s.expiry.push(timer{at: e.forgetAt, tie: binary.BigEndian.Uint32(e.id[:]), n: n})
	return e
}

// displace takes n out. Its timer stays and holds no longer.
func (s *Seen) displace(n uint32) {
	e := s.entries.at(n)
	s.table.remove(tagOf(xxhash.Sum64(e.id[:])), n)
	s.entries.release(n)
}

// forget drops the identity that t was made for, if it is still there.
func (s *Seen) forget(t timer) bool {
	e := s.entries.at(t.n)
	if !e.used || e.forgetAt != t.at || binary.BigEndian.Uint32(e.id[:]) != t.tie {
		return false
	}
	s.log = append(s.log, seenStep{entry: *e})
	s.displace(t.n)
	return true
}

// reorder makes the timers anew.
func (s *Seen) reorder() {
	s.expiry = s.expiry[:0]
	for n := range s.entries.used {
		if e := s.entries.at(n); e.used {
			s.expiry = append(s.expiry, timer{at: e.forgetAt, tie: binary.BigEndian.Uint32(e.id[:]), n: n})
		}
	}
	s.expiry.order()
}
