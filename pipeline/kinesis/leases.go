package kinesis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

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
	return st.fullName() + ":" + strconv.FormatInt(st.created/1000, 10)
}

// fullName is the stream's name with its account. The caller holds mu.
func (st *stream) fullName() string {
	account := ""
	if a, err := arn.Parse(st.streamARN); err == nil {
		account = a.AccountID
	}
	return account + ":" + st.target.name
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
	l := lease.Listing{Stream: st.leaseKey, Name: st.fullName(), Created: st.created, Start: lease.TrimHorizon, AsOf: st.asOf}
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

// errBehind is not told at once: the next list should be right.
var errBehind = errors.New("the list of shards is behind")

// probesAtOnce is how many shards are asked for at the same time.
const probesAtOnce = 16

// checkParents answers an error unless every parent that is not in the list is
// gone. A list that leaves out one that exists is behind, and would let its
// children be read too early; but not for ever.
func (st *stream) checkParents(ctx context.Context, listed []types.Shard) error {
	have := make(map[string]bool, len(listed))
	for i := range listed {
		if listed[i].ShardId != nil {
			have[*listed[i].ShardId] = true
		}
	}
	var g errgroup.Group // each of them is asked for, whatever the others answer
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
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	sh, _ = st.add(id, nil)
	if sh.left++; sh.left < manyLooks {
		return fmt.Errorf("%w: shard %s exists", errBehind, id)
	}
	sh.state = stateDrained
	st.log.Warn("a shard exists that no list has; its children are read without it", zap.String("shard", id))
	return nil
}

// runLeases holds leases until ctx ends.
func (s *Source) runLeases(ctx context.Context) {
	err := s.leases.Run(ctx, s.serve)
	if err != nil && ctx.Err() == nil {
		s.o.Log.Error("the lease coordinator has stopped", zap.Error(err))
	}
}

// leased finds the stream of a lease, and when it was made.
func (s *Source) leased(key string) (*stream, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if st.listed && st.leaseKey == key {
			return st, st.created
		}
	}
	return nil, 0
}

// forgetLeases has no leases taken of a stream that is gone or another now,
// before it is listed. The caller holds mu.
func (st *stream) forgetLeases() {
	if st.s.leases != nil && st.created != 0 {
		st.s.leases.Forget(st.leaseKey)
	}
}
