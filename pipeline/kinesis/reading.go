package kinesis

import (
	"context"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

// reading is a shard while this worker reads it. Fields up to mu belong to its
// goroutine.
type reading struct {
	s       *Source
	st      *stream
	shard   string
	name    string       // of the partition
	created int64        // of the stream
	lease   *lease.Lease // nil: none is needed
	cancel  context.CancelFunc
	fence   context.CancelFunc // ends the stay under a lease
	next    position           // of what was queued last
	guess   int                // bytes that the next read may bring
	split   [][]byte           // scratch
	touched chan struct{}

	atEnd time.Time // when the last read began that reached the shard's end; zero: the last did not

	// Guarded by Source.mu.
	over      bool     // nothing of it is handed out any more
	queued    int      // chunks in the queue
	handed    position // of the last record that was handed out, or the shard's end
	committed position
	since     time.Time // when the oldest that is not committed was handed out; zero: all is
	behind    int64     // milliseconds; -1: not known yet
	seenEnd   time.Time // the shard's end was seen then, perhaps not handed out yet
	reached   time.Time // everything up to seenEnd was handed out
	still     time.Time // nothing came since; zero: something did
	told      time.Time // reached, of the last time it was told to be idle
	left      bool      // another worker has it, and closes its partition
	ended     bool      // its end was handed out (under a lease: it is not committed yet)
	children  []lease.Shard
	inherited bool // its partition was closed with its end: its children's hold the watermark
}

// newReading makes a reading of shard from pos on.
func newReading(st *stream, shard string, pos position) *reading {
	return &reading{
		s: st.s, st: st, shard: shard, name: partition(st.label, shard), created: pos.created, cancel: func() {}, fence: func() {},
		next: pos, guess: 64 << 10, handed: pos, committed: pos, behind: -1, touched: make(chan struct{}, 1),
	}
}

// begin reads a shard whose parents are drained. The caller holds mu.
func (s *Source) begin(sh *shard) {
	sh.state = stateReading
	r := newReading(sh.st, sh.id, sh.pos)
	s.enter(r)
	if _, ok := sh.st.committed[sh.id]; !ok && sh.pos.kind == atHorizon && s.ledger == nil {
		// After a restart it is known by this, though its parents are finished
		// and the first list may leave it out.
		s.setPosition(r.name, sh.pos)
	}
	for _, id := range sh.parents {
		if s.out.From == nil {
			s.out.From = make(map[string][]string)
		}
		s.out.From[r.name] = append(s.out.From[r.name], partition(sh.st.label, id))
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	s.work.Go(func() {
		defer cancel()
		s.own(ctx, sh, r)
	})
}

// enter makes r known, and opens its partition. The caller holds mu.
func (s *Source) enter(r *reading) {
	s.readings[r.name] = r
	s.openPart(r.name)
	s.metrics.taken.Inc()
	s.metrics.reading.Set(float64(len(s.readings)))
}

// end lets nothing of r be handed out any more. The caller holds mu.
func (s *Source) end(r *reading) {
	r.over = true
	r.cancel()
	r.st.fineLocked(r)
	if s.readings[r.name] == r {
		delete(s.readings, r.name)
		s.metrics.behind.DeleteLabelValues(r.st.label, r.shard)
		s.metrics.reading.Set(float64(len(s.readings)))
	}
}

// own reads a shard that needs no lease.
func (s *Source) own(ctx context.Context, sh *shard, r *reading) {
	if s.ledger != nil {
		pos, ok, err := s.take(ctx, r.st, r.name)
		if err != nil {
			if ctx.Err() != nil {
				s.untake(r.st, r.name)
			}
			return
		}
		if ok {
			r.begins(pos)
		}
	}
	r.run(ctx, sh)
}

// begins makes pos the place where reading begins.
func (r *reading) begins(pos position) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	pos.created = r.created
	r.next, r.handed, r.committed = pos, pos, pos
}

// run reads until the shard's end, which is queued, or ctx ends. sh is nil
// under leases.
func (r *reading) run(ctx context.Context, sh *shard) {
	if r.next.kind == finished {
		if r.findChildren(ctx) == nil {
			r.push(nil, &chunk{r: r, end: true}, position{}, -1, time.Time{})
		}
		return
	}
	var last *chunk
	if r.s.o.Mode == modeFanOut {
		last = r.subscribe(ctx)
	} else {
		last = r.poll(ctx)
	}
	if last == nil {
		return
	}
	if last.gone {
		r.s.mu.Lock()
		r.st.lost(&shard{id: r.shard, wanted: sh == nil || sh.wanted})
		r.s.mu.Unlock()
	}
	if len(last.childs) == 0 && r.findChildren(ctx) != nil {
		return
	}
	r.push(nil, last, r.next, -1, time.Time{})
}

// findChildren waits, under a lease, until the children are listed that the
// shard's end did not tell, for they are to hold the watermark after it: there
// may be none. An error is that of ctx.
func (r *reading) findChildren(ctx context.Context) error {
	s := r.s
	s.mu.Lock()
	known := r.lease == nil || len(r.st.children[r.shard]) > 0
	s.mu.Unlock()
	if known {
		return nil
	}
	_, err := r.st.nextLook(ctx)
	return err
}

// poke lets who waits for r look again. The caller holds mu.
func (r *reading) poke() {
	select {
	case r.touched <- struct{}{}:
	default:
	}
}

// settled notes a committed position. The caller holds mu.
func (r *reading) settled(pos position) {
	r.committed = pos
	if r.done() {
		r.since = time.Time{}
	} else if !r.since.IsZero() {
		r.since = r.s.o.Now()
	}
	if r.lease != nil && pos.kind == atRecord {
		r.lease.Checkpoint(pos.sequence, int64(pos.sub))
	}
	r.poke()
}

// done says whether everything that was handed out is committed. The caller holds mu.
func (r *reading) done() bool {
	if r.handed.kind != r.committed.kind {
		return r.handed.kind != finished && r.handed.kind != atRecord
	}
	return r.handed.kind != atRecord || r.committed.covers(r.handed.sequence, r.handed.sub)
}
