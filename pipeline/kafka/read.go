package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
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
	if fetches.NumRecords() == 0 { // what was taken from the client is handed out, whatever ctx says
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if fetches.IsClientClosed() {
			return nil, kgo.ErrClientClosed
		}
	}
	s.fetchErrors(fetches)
	return s.batch(fetches), nil
}

// fetchErrors notes what the client could not mend by itself so far. It keeps
// trying; nothing is skipped.
func (s *consumer) fetchErrors(fetches kgo.Fetches) {
	fetches.EachError(func(topic string, p int32, err error) {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		var loss *kgo.ErrDataLoss
		if errors.As(err, &loss) {
			s.truncated(topicPartition{topic, p}, loss)
			return
		}
		if topic == "" { // what concerns the client as a whole
			s.fail(fmt.Errorf("read: %w", err))
			return
		}
		if part := s.assigned[topicPartition{topic, p}]; part != nil && part.owner != 0 && !part.begun {
			part.dropped = true // the client could not learn its offset, and has given it up
		}
		s.fail(fmt.Errorf("read %s: %w", topicPartition{topic, p}, err))
	})
}

// truncated tells of a log that has lost records after they were read, or may
// have: reading goes on at an offset before, so that what was written since is
// read. The caller holds mu.
func (s *consumer) truncated(tp topicPartition, loss *kgo.ErrDataLoss) {
	lost := max(loss.ConsumedTo-loss.ResetTo, 0)
	s.metrics.truncated.Add(float64(lost))
	s.o.Log.Error("a partition's log may have lost what was read; reading goes on before",
		zap.Stringer("partition", tp), zap.Int64("records", lost), zap.Error(loss))
	if p := s.assigned[tp]; p != nil && !p.quiet && loss.ResetTo >= 0 {
		s.setPosition(tp, position{loss.ResetTo, loss.ResetToEpoch, s.topics[tp.topic]})
	}
}

// failed is fail for those who do not hold mu.
func (s *consumer) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail(err)
}

// fail notes a failure, logged once until it is over. The caller holds mu.
func (s *consumer) fail(err error) {
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
	b := &pipeline.Batch{}
	n := fetches.NumRecords()
	complete := s.completeLocked()
	if complete || n > 0 {
		*b, s.out = s.out, pipeline.Batch{}
	} else {
		// Partitions are opened all at once: those that come first must not
		// move the watermark past those that come later.
		b.Positions, s.out.Positions = s.out.Positions, nil
	}
	s.fill(b, fetches, n)
	if complete {
		s.times(b)
	}
	return b
}

// fill gives b the n records of fetches. The caller holds mu.
func (s *consumer) fill(b *pipeline.Batch, fetches kgo.Fetches, n int) {
	if n == 0 {
		return
	}
	mem := s.borrow(n)
	mem.places.topics = s.topics
	fetches.EachPartition(func(f kgo.FetchTopicPartition) { s.partition(mem, f) })
	b.Records, b.Places = mem.records, &mem.places
	b.Release = func() { s.giveBack(mem) }
}

// partition adds the records of one partition. The caller holds mu.
func (s *consumer) partition(mem *slab, f kgo.FetchTopicPartition) {
	tp := topicPartition{f.Topic, f.Partition}
	mem.fetched = append(mem.fetched, f.Records...)
	p := s.assigned[tp]
	if p == nil || p.quiet || len(f.Records) == 0 {
		return // taken away while it was polled: it is read again when it comes back
	}
	if first, want := f.Records[0].Offset, s.next[tp].offset; first != want {
		s.gap(tp, want, first, f.LogStartOffset)
	}
	bytes, control := 0, 0
	for _, r := range f.Records {
		if r.Attrs.IsControl() {
			control++
			continue
		}
		bytes += len(r.Value)
		mem.places.raw = append(mem.places.raw, r)
		mem.records = append(mem.records, pipeline.Record{Partition: p.name, Payload: r.Value, Index: -1, Arrived: r.Timestamp})
	}
	last := f.Records[len(f.Records)-1]
	s.next[tp] = position{last.Offset + 1, last.LeaderEpoch, s.topics[tp.topic]}
	s.metrics.bytes.Add(float64(bytes))
	s.metrics.records.Add(float64(len(f.Records) - control))
	if control < len(f.Records) {
		p.still = time.Time{}
		mem.places.own(tp, p.owner)
		p.hand(mem.places.raw[len(mem.places.raw)-1].Offset + 1)
	}
	delete(s.out.Positions, p.name)
	if last.Attrs.IsControl() {
		s.setPosition(tp, s.next[tp]) // no record carries it: the batch after this one does
	}
	s.metrics.controlRecordsSeen.Add(float64(control))
	if last.Offset+1 >= p.end && p.endAt.After(p.reached) {
		p.reached = p.endAt
	}
}

// gap tells of records that are not where reading should have gone on: the log
// begins later (retention), or goes on before (it was truncated, or made
// again). Offsets that compaction or a transaction left out are not a loss: the
// log begins before them.
func (s *consumer) gap(tp topicPartition, want, first, logStart int64) {
	if first < want {
		s.metrics.rewound.Inc()
		s.o.Log.Warn("a partition's log goes on before what was read last; that is read again",
			zap.Stringer("partition", tp), zap.Int64("stood_at", want), zap.Int64("goes_on_at", first))
		return
	}
	if lost := min(first, logStart) - want; lost > 0 {
		s.lost(tp, want, lost)
	}
}

func (s *consumer) lost(tp topicPartition, from, n int64) {
	s.metrics.lost.Add(float64(n))
	s.o.Log.Error("retention removed records before they were read; reading goes on at the log's start",
		zap.Stringer("partition", tp), zap.Int64("from", from), zap.Int64("records", n))
}

// times tells which partitions are idle and whether everything is read. The
// caller holds mu.
func (s *consumer) times(b *pipeline.Batch) {
	now := s.o.Now()
	fresh := now.Add(-3 * s.o.LagInterval)
	b.Live = len(s.assigned) > 0 && len(s.absent) == 0
	for _, p := range s.assigned {
		if p.quiet || p.reached.IsZero() || p.reached.Before(fresh) {
			b.Live = false
			continue
		}
		// The wall clock of the check, not of now: what came after it is not known.
		if !s.told.Equal(s.checked) && p.reached.Equal(s.checked) && !p.still.IsZero() && s.checked.Sub(p.still) >= s.o.IdleAfter {
			b.Idle = append(b.Idle, pipeline.PartitionTime{Partition: p.name, Time: s.checked.UnixNano()})
		}
	}
	s.told = s.checked
}

// places are where a batch's records stand.
type places struct {
	raw    []*kgo.Record
	topics map[string]kadm.TopicID
	owners map[topicPartition]uint64 // of shared partitions
}

func (r *places) own(tp topicPartition, owner uint64) {
	if owner == 0 {
		return
	}
	if r.owners == nil {
		r.owners = make(map[topicPartition]uint64)
	}
	r.owners[tp] = owner
}

func (r *places) Position(i int) []byte {
	rec := r.raw[i]
	pos := position{rec.Offset + 1, rec.LeaderEpoch, r.topics[rec.Topic]}
	if r.owners == nil {
		return pos.encode()
	}
	return pos.encodeHeld(r.owners[topicPartition{rec.Topic, rec.Partition}])
}

func (r *places) Label(i int) string {
	rec := r.raw[i]
	b := make([]byte, 0, len(rec.Topic)+24)
	b = append(append(b, rec.Topic...), '/')
	b = append(strconv.AppendInt(b, int64(rec.Partition), 10), '@')
	return string(strconv.AppendInt(b, rec.Offset, 10))
}
