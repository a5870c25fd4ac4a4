package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

// maxPages bounds one listing: a million shards. A list that does not end is
// not one.
const maxPages = 1000

var errMissing = errors.New("the stream does not exist")

// watch looks at the stream each ListInterval, and when asked to, until ctx ends.
func (st *stream) watch(ctx context.Context) {
	s := st.s
	b, behind := backoff{t: &s.t}, 0
	for {
		s.mu.Lock()
		st.begun++
		n := st.begun
		s.mu.Unlock()
		err := st.lookOnce(ctx, n)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		if err == nil {
			st.done = n
		}
		close(st.looked)
		st.looked = make(chan struct{})
		st.settle()
		s.mu.Unlock()
		s.wake()
		if err != nil {
			switch {
			case throttled(err):
				s.metrics.throttles.WithLabelValues("ListShards").Inc()
			case errors.Is(err, errBehind) && behind+1 < behindAfter:
				behind++
			default:
				st.trouble(st, fmt.Errorf("look at stream %s: %w", st.label, err))
			}
			if b.pause(ctx) != nil {
				return
			}
			continue
		}
		st.fine(st)
		b.reset()
		behind = 0
		// A jittered while, so that many workers do not list at once.
		if sleep(ctx, s.t.lookGap/2+rand.N(s.t.lookGap/2+1)) != nil {
			return
		}
		every := s.o.ListInterval
		t := time.NewTimer(every - every/10 + rand.N(every/5))
		select {
		case <-st.asked:
		case <-st.syncWanted():
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// lookOnce asks what stream it is and which shards it has.
func (st *stream) lookOnce(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, st.s.t.call)
	defer cancel()
	now, err := st.describe(ctx)
	if err != nil {
		return err
	}
	shards, err := st.list(ctx)
	if err != nil {
		return fmt.Errorf("list the shards: %w", err)
	}
	if st.s.o.Mode == modeFanOut {
		if err := st.findConsumer(ctx); err != nil {
			return err
		}
	}
	st.merge(shards, n, now)
	return st.syncLeases(ctx, shards)
}

// describe notes which stream has the name, and returns the service's time.
func (st *stream) describe(ctx context.Context) (time.Time, error) {
	s := st.s
	in := &kinesis.DescribeStreamSummaryInput{}
	in.StreamName, in.StreamARN = st.names()
	out, err := st.client.DescribeStreamSummary(ctx, in)
	if notFound(err) {
		st.absent()
		return time.Time{}, errMissing
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("describe the stream: %w", err)
	}
	d := out.StreamDescriptionSummary
	if d == nil || d.StreamCreationTimestamp == nil || d.StreamARN == nil {
		return time.Time{}, errors.New("describe the stream: the answer lacks its ARN or its creation time")
	}
	if d.StreamStatus == types.StreamStatusCreating {
		return time.Time{}, errors.New("the stream is being made")
	}
	now, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !ok {
		now = s.o.Now()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.missing = 0
	created := d.StreamCreationTimestamp.UnixMilli()
	if st.created == created {
		return now, nil
	}
	another := st.created != 0
	st.forgetLeases()
	st.created, st.streamARN = created, *d.StreamARN
	st.leaseKey = st.keyOfLeases()
	for id, pos := range st.committed {
		st.known = true
		if !pos.sameStream(created) {
			delete(st.committed, id)
			another = true
		}
	}
	if another {
		s.metrics.remade.Inc()
		st.log.Warn("a stream was deleted and made again; it is read from its start")
		st.forget()
		st.known = true
	}
	return now, nil
}

// absent notes that the stream was not found.
func (st *stream) absent() {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.missing++; st.missing != goneAfter {
		return
	}
	st.log.Warn("a stream does not exist; it holds nothing back until there is one")
	st.known = st.known || st.created != 0
	st.forgetLeases()
	st.forget()
}

// names are the stream's name or its ARN, for a request.
func (st *stream) names() (name, streamARN *string) {
	if st.target.arn != "" {
		return nil, &st.target.arn
	}
	return &st.target.name, nil
}

// list returns all shards, page by page; one may come twice. A token that has
// expired begins the list anew.
func (st *stream) list(ctx context.Context) ([]types.Shard, error) {
	var all []types.Shard
	var token *string
	b := backoff{t: &st.s.t}
	for page := 0; page < maxPages; page++ {
		in := &kinesis.ListShardsInput{NextToken: token}
		if token == nil {
			in.StreamName, in.StreamARN = st.names()
		}
		out, err := st.client.ListShards(ctx, in)
		switch {
		case err == nil:
		case throttled(err), inUse(err):
			st.s.metrics.throttles.WithLabelValues("ListShards").Inc()
			if err := b.pause(ctx); err != nil {
				return nil, err
			}
			continue
		case expired(err) && token != nil:
			all, token = nil, nil
			continue
		default:
			return nil, err
		}
		all = append(all, out.Shards...)
		if token = out.NextToken; token == nil {
			return all, nil
		}
	}
	return nil, errors.New("the list does not end")
}

// merge notes the shards of a complete list.
func (st *stream) merge(listed []types.Shard, n int, now time.Time) {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range listed {
		l := &listed[i]
		if l.ShardId == nil {
			continue
		}
		sh, added := st.add(*l.ShardId, parents(l))
		sh.seen, sh.left, sh.wanted = n, 0, true
		if added {
			st.place(sh, isClosed(l), now)
		}
	}
	if s.leases == nil {
		// Those that were read and are in no list: the service is asked for them.
		for id, pos := range st.committed {
			if st.shards[id] == nil && pos.sameStream(st.created) {
				st.unlisted(id)
			}
		}
	}
	st.listed, st.known, st.asOf = true, true, now.UnixMilli()
}

func isClosed(l *types.Shard) bool {
	return l.SequenceNumberRange != nil && l.SequenceNumberRange.EndingSequenceNumber != nil
}

func parents(l *types.Shard) []string {
	var ids []string
	for _, p := range []*string{l.ParentShardId, l.AdjacentParentShardId} {
		if p != nil && *p != "" && !slices.Contains(ids, *p) {
			ids = append(ids, *p)
		}
	}
	return ids
}

func leaseShard(id *string, parents []string, r *types.HashKeyRange, closed bool) lease.Shard {
	sh := lease.Shard{Parents: parents, Closed: closed}
	if id != nil {
		sh.ID = *id
	}
	if r != nil && r.StartingHashKey != nil && r.EndingHashKey != nil {
		sh.StartingHashKey, sh.EndingHashKey = *r.StartingHashKey, *r.EndingHashKey
	}
	return sh
}

func childShards(children []types.ChildShard) []lease.Shard {
	var out []lease.Shard
	for _, c := range children {
		if c.ShardId != nil {
			out = append(out, leaseShard(c.ShardId, c.ParentShards, c.HashKeyRange, false))
		}
	}
	return out
}
