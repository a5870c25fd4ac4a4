package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// Archive looks values of the repartition topic's records up by their offsets:
// in a bounded cache of those that passed lately, else in the log. Safe for
// concurrent use.
type Archive struct {
	topic string
	opts  []kgo.Opt
	m     *metrics

	mu     sync.Mutex // guards what follows
	cache  cache
	cl     *kgo.Client // nil: nothing was read yet
	leader map[int32]int32
	id     [16]byte // the topic's
	closed bool
}

func newArchive(opts []kgo.Opt, topic string, bytes int, m *metrics) *Archive {
	return &Archive{topic: topic, opts: opts, m: m, cache: cache{limit: bytes}}
}

// Remember keeps a copy of a record's value in the cache. The oldest go first.
func (a *Archive) Remember(p int, offset int64, value []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cache.put(cacheKey{int32(p), offset}, value) //nolint:gosec // a partition
}

// Fetch returns the values of the records at offsets of partition p, nil for
// those that retention has removed. The caller owns them.
func (a *Archive) Fetch(ctx context.Context, p int, offsets []int64) ([][]byte, error) {
	values := make([][]byte, len(offsets))
	var missing []int
	a.mu.Lock()
	for i, offset := range offsets {
		if value, ok := a.cache.get(cacheKey{int32(p), offset}); ok { //nolint:gosec // a partition
			values[i] = append([]byte{}, value...)
		} else {
			missing = append(missing, i)
		}
	}
	a.mu.Unlock()
	a.m.cacheHits.Add(float64(len(offsets) - len(missing)))
	a.m.cacheMisses.Add(float64(len(missing)))
	slices.SortFunc(missing, func(i, j int) int { return int(offsets[i] - offsets[j]) })
	for len(missing) > 0 {
		batch, err := a.read(ctx, int32(p), offsets[missing[0]]) //nolint:gosec // a partition
		if err != nil {
			return nil, fmt.Errorf("read evidence from %s/%d@%d: %w", a.topic, p, offsets[missing[0]], err)
		}
		// One answer may hold several of them; what it has passed is not there.
		for len(missing) > 0 && offsets[missing[0]] < batch.next {
			values[missing[0]] = batch.values[offsets[missing[0]]]
			missing = missing[1:]
		}
	}
	return values, nil
}

// stretch is a piece of the log: values by offset, up to next.
type stretch struct {
	values map[int64][]byte
	next   int64
}

// stretchBytes is how much is asked for at once. A broker answers with one
// whole batch at least.
const stretchBytes = 64 << 10

// read reads the log from offset on. What it answers passes offset.
func (a *Archive) read(ctx context.Context, p int32, offset int64) (stretch, error) {
	var last error
	for n := range 8 {
		if n > 0 {
			select {
			case <-ctx.Done():
				return stretch{}, errors.Join(last, ctx.Err())
			case <-time.After(10 * time.Millisecond << n):
			}
		}
		var s stretch
		if s, last = a.try(ctx, p, offset); last == nil {
			return s, nil
		}
		if ctx.Err() != nil || errors.Is(last, kgo.ErrClientClosed) {
			return stretch{}, last
		}
		a.mu.Lock()
		a.leader = nil // ask again who leads
		a.mu.Unlock()
	}
	return stretch{}, fmt.Errorf("%w: %w", engine.ErrUnavailable, last)
}

func (a *Archive) try(ctx context.Context, p int32, offset int64) (stretch, error) {
	cl, leader, id, err := a.connect(ctx, p)
	if err != nil {
		return stretch{}, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MinBytes, req.MaxBytes, req.MaxWaitMillis = -1, 1, stretchBytes, 100
	req.SessionEpoch = -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = a.topic, id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p, offset, stretchBytes
	rp.CurrentLeaderEpoch = -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	raw, err := cl.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		return stretch{}, err
	}
	resp := raw.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return stretch{}, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return stretch{}, errors.New("no partition in the answer")
	}
	part := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(part.ErrorCode); errors.Is(err, kerr.OffsetOutOfRange) {
		if first := part.LogStartOffset; first > offset {
			return stretch{next: first}, nil
		}
		return stretch{next: offset + 1}, nil
	} else if err != nil {
		return stretch{}, err
	}
	// What was consumed once was committed, so that markers need not be looked at.
	fetched, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: offset, IsolationLevel: kgo.ReadUncommitted(), Topic: a.topic, Partition: p,
	}, part, kgo.DefaultDecompressor(), nil)
	if fetched.Err != nil {
		return stretch{}, fetched.Err
	}
	s := stretch{values: make(map[int64][]byte, len(fetched.Records)), next: offset + 1}
	for _, r := range fetched.Records {
		s.values[r.Offset] = slices.Clone(r.Value)
		s.next = max(s.next, r.Offset+1)
	}
	return s, nil
}

// connect makes the client once, and answers who leads a partition.
func (a *Archive) connect(ctx context.Context, p int32) (cl *kgo.Client, leader int32, id [16]byte, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, 0, id, kgo.ErrClientClosed
	}
	if a.cl == nil {
		if a.cl, err = kgo.NewClient(a.opts...); err != nil {
			return nil, 0, id, err
		}
	}
	if leader, ok := a.leader[p]; ok {
		return a.cl, leader, a.id, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &a.topic
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, a.cl)
	if err != nil {
		return nil, 0, id, err
	}
	if len(resp.Topics) != 1 {
		return nil, 0, id, errors.New("no topic in the answer")
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return nil, 0, id, err
	}
	a.leader, a.id = map[int32]int32{}, resp.Topics[0].TopicID
	for _, rp := range resp.Topics[0].Partitions {
		if rp.Leader >= 0 {
			a.leader[rp.Partition] = rp.Leader
		}
	}
	leader, ok := a.leader[p]
	if !ok {
		return nil, 0, id, kerr.LeaderNotAvailable
	}
	return a.cl, leader, a.id, nil
}

// Close ends the client.
func (a *Archive) Close() {
	a.mu.Lock()
	cl := a.cl
	a.cl, a.closed = nil, true
	a.mu.Unlock()
	if cl != nil {
		cl.Close()
	}
}
