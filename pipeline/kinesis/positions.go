package kinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

// leasedPosition is where a shard begins whose position no ledger knows: where
// the lease's checkpoint says, which another application may have written.
func (st *stream) leasedPosition(l *lease.Lease) position {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if pos, ok := st.committed[l.Shard()]; ok && s.ledger == nil {
		return pos
	}
	c := l.Start()
	if !c.Sentinel() {
		return position{kind: atRecord, created: st.created, sequence: c.Sequence, sub: int32(c.SubSequence)} //nolint:gosec // an index in a record
	}
	pos := position{kind: atHorizon, created: st.created}
	switch t := s.o.startTime(); {
	case c.Sequence == lease.ShardEnd:
		pos.kind = finished
	case c.Sequence == lease.Latest:
		pos.kind, pos.millis = atTime, cmp.Or(l.Since(), st.asOf)
	case c.Sequence == lease.AtTimestamp && !t.IsZero():
		pos.kind, pos.millis = atTime, t.UnixMilli()
	}
	return pos
}

// take asks the ledger where a partition begins, until it answers or ctx ends.
func (s *Source) take(ctx context.Context, st *stream, name string) (pos position, ok bool, err error) {
	if s.ledger == nil {
		return position{}, false, ctx.Err()
	}
	b := backoff{t: &s.t}
	for {
		enc, stay, err := s.ledger.Take(ctx, name)
		if err == nil {
			s.mu.Lock()
			s.stays[name] = stay
			delete(s.refused, name)
			s.mu.Unlock()
			st.fine(name)
			return s.taken(st, name, enc)
		}
		if ctx.Err() != nil {
			return position{}, false, ctx.Err()
		}
		st.trouble(name, fmt.Errorf("take the position of %s: %w", name, err))
		if err := b.pause(ctx); err != nil {
			return position{}, false, err
		}
	}
}

// untake forgets a partition that was taken, or was to be, and is not read: its
// trouble is over here, and nobody waits for its commits.
func (s *Source) untake(st *stream, name string) {
	st.fine(name)
	s.mu.Lock()
	delete(s.stays, name)
	s.mu.Unlock()
	s.drop(name)
}

var errPosition = errors.New("a committed position cannot be read")

func (s *Source) taken(st *stream, name string, enc []byte) (position, bool, error) {
	if enc == nil {
		return position{}, false, nil
	}
	pos, err := decodePosition(enc)
	if err != nil {
		st.trouble(name, fmt.Errorf("committed position of %s: %w", name, err))
		return position{}, false, errors.Join(errPosition, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !pos.sameStream(st.created) {
		return position{kind: atHorizon, created: st.created}, true, nil
	}
	return pos, true, nil
}
