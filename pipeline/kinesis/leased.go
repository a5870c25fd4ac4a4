package kinesis

import (
	"context"
	"errors"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

// serve reads one shard while its lease is held.
func (s *Source) serve(ctx context.Context, l *lease.Lease) {
	st, created := s.leased(l.Stream())
	if st == nil || l.Created() != 0 && l.Created() != created {
		return
	}
	name := partition(st.label, l.Shard())
	pos, ok, err := s.take(ctx, st, name)
	if err != nil {
		if errors.Is(err, errPosition) {
			s.keep(ctx, l)
		}
		s.untake(st, name)
		return
	}
	switch {
	case !ok:
		pos = st.leasedPosition(l)
	case pos.kind == atRecord: // the last holder may have died before it wrote this
		l.Checkpoint(pos.sequence, int64(pos.sub))
	}
	r := newReading(st, l.Shard(), pos)
	r.lease = l
	ctx, r.fence = context.WithCancel(ctx)
	defer r.fence()
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	r.cancel = cancel
	s.mu.Lock()
	if !st.listed || st.created != created { // it is gone, or another since
		s.mu.Unlock()
		s.untake(st, name)
		return
	}
	s.enter(r)
	if s.refused[name] {
		r.fence()
	}
	if pos.kind == atTime {
		s.setPosition(name, pos)
	}
	s.mu.Unlock()
	s.wake()

	read := make(chan struct{})
	go func() {
		defer close(read)
		r.run(run, nil)
	}()
	select {
	case <-read:
	case <-l.Draining():
		cancel()
		<-read
		s.discard(r)
	}
	complete := r.waitCommitted(ctx)

	s.mu.Lock()
	s.end(r)
	alone := complete && !r.inherited
	switch {
	case alone:
		s.leaving[name] = r
	case !complete:
		s.lose(name)
	}
	s.mu.Unlock()
	s.wake()
	if alone {
		complete = s.leave(ctx, r)
	}
	if complete {
		l.Finish(r.children...)
	}
	s.drop(name)
}

// keep holds a lease whose shard cannot be read for a while, lest it is taken
// all the time, or until another worker asks for it.
func (s *Source) keep(ctx context.Context, l *lease.Lease) {
	t := time.NewTimer(s.t.keep)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.Draining():
	case <-ctx.Done():
	}
}

// heirs are the partitions of the shard's children, as the service told at its
// end or listed. The caller holds mu.
func (r *reading) heirs() (names []string) {
	for _, c := range r.children {
		names = append(names, partition(r.st.label, c.ID))
	}
	if names == nil {
		for _, id := range r.st.children[r.shard] {
			names = append(names, partition(r.st.label, id))
		}
	}
	return names
}

func (s *Source) drop(name string) {
	if s.ledger != nil {
		s.ledger.Drop(name)
	}
}

// leave closes the partition of a finished shard whose children were not known at
// its end, as soon as they are, or after there was time to hear of them: until
// then it holds the watermark. The lease is held meanwhile: whoever takes it
// begins anew with this. It answers whether the partition is closed, durably.
func (s *Source) leave(ctx context.Context, r *reading) (closed bool) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.leaving[r.name] == r {
			delete(s.leaving, r.name)
			if !closed {
				s.lose(r.name)
				s.wake()
			}
		}
	}()
	for end := time.Now().Add(s.t.linger); time.Now().Before(end) && !r.succeeded(); {
		if !r.pause(ctx, min(s.t.tick, time.Until(end))) {
			return false
		}
	}
	s.mu.Lock()
	if !r.left {
		r.committed = position{}
		s.closePart(r.name, r.handed.encode(), r.heirs()...)
	}
	s.mu.Unlock()
	s.wake()
	for {
		s.mu.Lock()
		durable, left := r.committed.kind == finished, r.left
		s.mu.Unlock()
		if durable || left || !r.pause(ctx, time.Hour) {
			return durable
		}
	}
}

// succeeded says whether it is known who holds the watermark after r.
func (r *reading) succeeded() bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return len(r.heirs()) > 0
}

// pause waits until d has passed or r is poked; false: the source is closing, or
// the stay is over.
func (r *reading) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.touched:
	case <-ctx.Done():
		return false
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return !r.s.closing && !r.left
}

// discard gives up what was read and not handed out. The caller does not hold mu.
func (s *Source) discard(r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.queue[:0]
	for _, c := range s.queue {
		if c.r == r {
			s.budget.change(-c.bytes)
			r.queued--
			continue
		}
		kept = append(kept, c)
	}
	clear(s.queue[len(kept):])
	s.queue = kept
}

// waitCommitted blocks until all that was handed out is committed, ctx ends or
// nothing is committed any more. It says whether the shard is committed to its
// end.
func (r *reading) waitCommitted(ctx context.Context) bool {
	s := r.s
	for {
		s.mu.Lock()
		over := r.over || s.closing
		done := r.done() && r.queued == 0
		complete := r.ended && r.committed.kind == finished
		s.mu.Unlock()
		if complete || over || done {
			return complete
		}
		select {
		case <-r.touched:
		case <-ctx.Done():
			return false
		}
	}
}
