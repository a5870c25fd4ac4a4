//go:build unix

package chaos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
)

func (r *trial) names() topics.Names { return topics.Names{Prefix: prefix} }

// cluster is the trial's own access to the brokers.
type cluster struct {
	brokers []string
	cl      *kgo.Client
	adm     *kadm.Client
}

func connect(brokers []string) (*cluster, error) {
	c := &cluster{brokers: brokers}
	var err error
	if c.cl, err = c.client(kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		return nil, err
	}
	c.adm = kadm.NewClient(c.cl)
	return c, nil
}

func (c *cluster) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.brokers...), kgo.MetadataMinAge(100 * time.Millisecond)}, opts...)...)
}

func (c *cluster) close() { c.cl.Close() }

func (c *cluster) create(ctx context.Context, topic string, partitions, replication int) error {
	made, err := c.adm.CreateTopics(ctx, int32(partitions), int16(replication), nil, topic)
	return errors.Join(err, made.Error())
}

// lag is how many records of a topic the group has not committed.
func (c *cluster) lag(ctx context.Context, group, topic string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	lags, err := c.adm.Lag(ctx, group)
	if err = errors.Join(err, lags.Error()); err != nil {
		return 0, err
	}
	if len(lags[group].Lag[topic]) == 0 {
		return 0, errors.New("the group has committed nothing")
	}
	sum := int64(0)
	for _, p := range lags[group].Lag[topic] {
		if p.Commit.At < 0 {
			return 0, fmt.Errorf("nothing is committed of partition %d", p.Partition)
		}
		sum += p.Lag
	}
	return sum, nil
}

// content is all that a topic holds.
type content struct {
	records []*kgo.Record // as the reader sees them, each partition in order
	commits int           // ends of transactions
	aborts  int
}

// read reads a topic to its present end.
func (c *cluster) read(ctx context.Context, topic string, isolation kgo.IsolationLevel) (*content, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	ends, err := c.adm.ListCommittedOffsets(ctx, topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return nil, err
	}
	left := make(map[int32]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	cl, err := c.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	out := &content{}
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			switch {
			case !r.Attrs.IsControl():
				out.records = append(out.records, r)
			case len(r.Key) >= 4 && binary.BigEndian.Uint16(r.Key[2:]) == 0: // version, type; type 0 aborts
				out.aborts++
			default:
				out.commits++
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return out, nil
}

// follower reads a topic as a read_committed reader does that is there all the time.
type follower struct {
	cancel  context.CancelFunc
	reading sync.WaitGroup

	mu      sync.Mutex
	records []*kgo.Record
}

func (c *cluster) follow(ctx context.Context, topic string) *follower {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &follower{cancel: cancel}
	f.reading.Go(func() {
		cl, err := c.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		if err != nil {
			return // the missing alerts tell
		}
		defer cl.Close()
		for ctx.Err() == nil {
			fetches := cl.PollFetches(ctx)
			f.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) { f.records = append(f.records, r) })
			f.mu.Unlock()
		}
	})
	return f
}

func (f *follower) stop() {
	f.cancel()
	f.reading.Wait()
}

func (f *follower) seen() []*kgo.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.records[:len(f.records):len(f.records)]
}
