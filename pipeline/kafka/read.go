package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline"
)

// Read returns the next records, or after LagInterval a batch that tells only
// how the partitions stand. While a partition is not ours nothing is read.
func (s *Source) Read(ctx context.Context) (*pipeline.Batch, error) {
	if !s.complete() {
		t := time.NewTimer(s.o.LagInterval)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.changed:
		case <-t.C:
		}
		return s.batch(nil), nil
	}
	poll, cancel := context.WithTimeout(ctx, s.o.LagInterval)
	defer cancel()
	fetches := s.cl.PollRecords(poll, s.o.MaxPollRecords)
	defer s.cl.AllowRebalance()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if fetches.IsClientClosed() {
		return nil, kgo.ErrClientClosed
	}
	s.fetchErrors(fetches)
	return s.batch(fetches), nil
}

// fetchErrors notes what the client could not mend by itself so far. It keeps
// trying; nothing is skipped.
func (s *Source) fetchErrors(fetches kgo.Fetches) {
	fetches.EachError(func(topic string, p int32, err error) {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		var loss *kgo.ErrDataLoss
		if errors.As(err, &loss) {
			lost := max(loss.ConsumedTo-loss.ResetTo, 0)
			s.metrics.truncated.Add(float64(lost))
			s.o.Log.Error("a partition's log was truncated; reading goes on at its new end",
				zap.String("topic", topic), zap.Int32("partition", p), zap.Int64("records", lost), zap.Error(err))
			return
		}
		s.fail(fmt.Errorf("read %s: %w", topicPartition{topic, p}, err))
	})
}

// fail notes a failure, logged once until it is over. The caller holds mu.
func (s *Source) fail(err error) {
	if s.problem.err == nil {
		s.o.Log.Error("Kafka cannot be read; trying on", zap.Error(err))
	}
	s.problem = problem{err, s.o.Now()}
	s.metrics.failures.Inc()
}

// batch makes a batch of what was fetched and of how the partitions stand.
func (s *Source) batch(fetches kgo.Fetches) *pipeline.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.out
	s.out = pipeline.Batch{}
	if n := fetches.NumRecords(); n > 0 {
		recs := &records{raw: make([]*kgo.Record, 0, n)}
		b.Records = make([]pipeline.Record, 0, n)
		fetches.EachPartition(func(f kgo.FetchTopicPartition) { s.partition(&b, recs, f) })
		b.Places = recs
	}
	s.times(&b)
	return &b
}

// partition adds the records of one partition. The caller holds mu.
func (s *Source) partition(b *pipeline.Batch, recs *records, f kgo.FetchTopicPartition) {
	tp := topicPartition{f.Topic, f.Partition}
	p := s.assigned[tp]
	if p == nil || len(f.Records) == 0 {
		return // taken away while it was polled; its new owner reads it
	}
	if first, want := f.Records[0].Offset, s.next[tp].Offset; first != want {
		s.gap(tp, want, first)
	}
	for _, r := range f.Records {
		s.next[tp] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
		if r.Attrs.IsControl() {
			continue
		}
		recs.raw = append(recs.raw, r)
		b.Records = append(b.Records, pipeline.Record{Partition: p.name, Payload: r.Value, Index: -1, Arrived: r.Timestamp})
	}
	if s.next[tp].Offset < s.ends[tp] {
		p.since = time.Time{}
	}
}

// gap tells of records that are not where reading should have gone on: the log
// begins later (retention) or began anew (the topic was made again). Offsets
// that compaction or a transaction left out look alike, so that this is counted
// and told only when the log's start says so.
func (s *Source) gap(tp topicPartition, want, first int64) {
	if first > want && want >= s.metrics.start(tp) {
		return
	}
	s.o.Log.Error("reading does not go on where it stood",
		zap.Stringer("partition", tp), zap.Int64("stood_at", want), zap.Int64("goes_on_at", first))
	if first > want {
		s.metrics.skipped.Add(float64(first - want))
	}
}

// times tells which partitions are idle and whether everything is read. The
// caller holds mu.
func (s *Source) times(b *pipeline.Batch) {
	now := s.o.Now()
	fresh := now.Sub(s.checked) <= 3*s.o.LagInterval
	b.Live = fresh && s.completeLocked() && len(s.assigned) > 0
	for _, p := range s.assigned {
		if p.since.IsZero() {
			b.Live = false
			continue
		}
		// The wall clock of the check, not of now: what came after it is not known.
		if fresh && s.checked.Sub(p.since) >= s.o.IdleAfter {
			b.Idle = append(b.Idle, pipeline.PartitionTime{Partition: p.name, Time: s.checked.UnixNano()})
		}
	}
}

// records are a batch's places.
type records struct{ raw []*kgo.Record }

func (r *records) Position(i int) []byte {
	return encodePosition(r.raw[i].Offset+1, r.raw[i].LeaderEpoch)
}

func (r *records) Label(i int) string {
	rec := r.raw[i]
	return topicPartition{rec.Topic, rec.Partition}.String() + "@" + strconv.FormatInt(rec.Offset, 10)
}
