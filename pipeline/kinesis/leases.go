package kinesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

func (s *Source) leaseOptions() lease.Options {
	l := s.o.Leases
	return lease.Options{
		Table: s.conn.dynamo(l), TableName: l.Table, NoCreate: l.Create != nil && !*l.Create, Worker: l.Worker,
		FailoverTime: l.FailoverTime, RenewEvery: l.RenewEvery, TakeEvery: l.TakeEvery, SyncEvery: s.o.ListInterval,
		HandOver: l.HandOver, MaxLeases: l.MaxLeases, Log: s.o.Log.Named("lease"), Registerer: s.o.Registerer,
	}
}

// keyOfLeases is the stream's name in the lease table. A table of one stream
// needs none. The caller holds mu.
func (st *stream) keyOfLeases() string {
	if len(st.s.streams) == 1 {
		return ""
	}
	account := ""
	if a, err := arn.Parse(st.streamARN); err == nil {
		account = a.AccountID
	}
	return account + ":" + st.target.name + ":" + strconv.FormatInt(st.created/1000, 10)
}

// syncWanted yields when the coordinator wants the shards listed; never without one.
func (st *stream) syncWanted() <-chan struct{} {
	if st.s.leases == nil {
		return nil
	}
	return st.s.leases.SyncWanted(st.leaseKey)
}

// syncLeases tells the coordinator which shards there are.
func (st *stream) syncLeases(ctx context.Context, listed []types.Shard) error {
	s := st.s
	if s.leases == nil {
		return nil
	}
	if err := st.checkParents(ctx, listed); err != nil {
		return err
	}
	s.mu.Lock()
	l := lease.Listing{Stream: st.leaseKey, Start: lease.TrimHorizon}
	s.mu.Unlock()
	switch {
	case !s.o.startTime().IsZero():
		l.Start = lease.AtTimestamp
	case s.o.Start == startLatest:
		l.Start = lease.Latest
	}
	for i := range listed {
		sh := &listed[i]
		l.Shards = append(l.Shards, leaseShard(sh.ShardId, parents(sh), sh.HashKeyRange, isClosed(sh)))
	}
	if err := s.leases.Sync(ctx, l); err != nil {
		return fmt.Errorf("write leases for the shards: %w", err)
	}
	return nil
}

// errBehind is not told: the next list will be right.
var errBehind = errors.New("the list of shards is behind")

// probesAtOnce is how many shards are asked for at the same time.
const probesAtOnce = 16

// checkParents answers an error unless every parent that is not in the list is
// gone. A list that leaves out one that exists is behind, and would let its
// children be read too early.
func (st *stream) checkParents(ctx context.Context, listed []types.Shard) error {
	have := make(map[string]bool, len(listed))
	for i := range listed {
		if listed[i].ShardId != nil {
			have[*listed[i].ShardId] = true
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probesAtOnce)
	for i := range listed {
		for _, id := range parents(&listed[i]) {
			if have[id] {
				continue
			}
			have[id] = true // asked for once
			g.Go(func() error { return st.checkGone(ctx, id) })
		}
	}
	return g.Wait()
}

func (st *stream) checkGone(ctx context.Context, id string) error {
	st.s.mu.Lock()
	sh := st.shards[id]
	known := sh != nil && sh.state == stateDrained
	st.s.mu.Unlock()
	if known {
		return nil
	}
	in := &kinesis.GetShardIteratorInput{ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	in.StreamName, in.StreamARN = st.names()
	_, err := st.client.GetShardIterator(ctx, in)
	switch {
	case notFound(err):
		st.s.mu.Lock()
		defer st.s.mu.Unlock()
		sh, _ := st.add(id, nil)
		sh.state = stateDrained // gone, and never asked for again
		return nil
	case err != nil:
		return fmt.Errorf("ask for shard %s: %w", id, err)
	}
	return fmt.Errorf("%w: shard %s exists", errBehind, id)
}

// runLeases holds leases until ctx ends.
func (s *Source) runLeases(ctx context.Context) {
	err := s.leases.Run(ctx, s.serve)
	if err != nil && ctx.Err() == nil {
		s.o.Log.Error("the lease coordinator has stopped", zap.Error(err))
	}
}

// serve reads one shard while its lease is held.
func (s *Source) serve(ctx context.Context, l *lease.Lease) {
	st := s.leased(l.Stream())
	if st == nil {
		return
	}
	name := partition(st.label, l.Shard())
	pos, ok, err := s.take(ctx, st, name)
	if err != nil {
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
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	r.cancel = cancel
	s.mu.Lock()
	s.enter(r)
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
	children := r.children
	switch {
	case complete && r.inherited:
	case complete:
		s.leaving[name] = r
	default:
		s.out.Lost = append(s.out.Lost, name)
		s.out.Open = slices.DeleteFunc(s.out.Open, func(t pipeline.PartitionTime) bool { return t.Partition == name })
		s.out.Closed = slices.DeleteFunc(s.out.Closed, func(e pipeline.PartitionEnd) bool { return e.Partition == name })
		delete(s.out.Positions, name)
		delete(s.late, name)
	}
	s.mu.Unlock()
	s.wake()
	if complete {
		l.Finish(children...)
	}
	if complete && !r.inherited {
		s.work.Go(func() { s.leave(r) })
	} else {
		s.drop(name)
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

// leave closes the partition of a finished shard after its children's new
// holders have had time to open theirs: until then it holds the watermark.
func (s *Source) leave(r *reading) {
	defer s.drop(r.name)
	if !r.linger(s.t.linger) {
		return
	}
	s.mu.Lock()
	r.committed = position{}
	s.closePart(r.name, r.handed.encode())
	s.mu.Unlock()
	s.wake()
	for {
		s.mu.Lock()
		done := r.committed.kind == finished
		if done {
			delete(s.leaving, r.name)
		}
		s.mu.Unlock()
		if done || !r.pause(time.Hour) {
			return
		}
	}
}

// pause waits until d has passed or r is poked; false: the source is closing.
func (r *reading) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.touched:
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return !r.s.closing
}

// linger waits until d has passed; false: the source is closing.
func (r *reading) linger(d time.Duration) bool {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if !r.pause(time.Until(end)) {
			return false
		}
	}
	return true
}

// leased finds the stream of a lease.
func (s *Source) leased(key string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if st.listed && st.leaseKey == key {
			return st
		}
	}
	return nil
}

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
		pos.kind, pos.millis = atTime, s.o.Now().UnixMilli()
	case c.Sequence == lease.AtTimestamp && !t.IsZero():
		pos.kind, pos.millis = atTime, t.UnixMilli()
	}
	return pos
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

// take asks the ledger where a partition begins, until it answers or ctx ends.
func (s *Source) take(ctx context.Context, st *stream, name string) (pos position, ok bool, err error) {
	if s.ledger == nil {
		return position{}, false, ctx.Err()
	}
	b := backoff{t: &s.t}
	for {
		enc, err := s.ledger.Take(ctx, name)
		if err == nil {
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
