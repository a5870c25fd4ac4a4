package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
)

// goneAfter is how many looks in a row must not find a topic before it counts
// as deleted: a broker that has just started may not know it for a moment.
const goneAfter = 5

// watch asks how the partitions stand, and writes durable positions to the
// group, every LagInterval until ctx ends.
func (s *Source) watch(ctx context.Context) {
	s.repeat(ctx, func(call context.Context) {
		if err := s.look(call); err != nil && ctx.Err() == nil {
			s.failed(err)
		}
		if err := s.report(call); err != nil && ctx.Err() == nil {
			// The engine's positions count; this only keeps other tools from seeing the newest lag.
			s.metrics.commitFailures.Inc()
			s.o.Log.Debug("positions were not written to the group yet", zap.Error(err))
		}
	})
}

// repeat calls do every LagInterval until ctx ends, with a deadline for each call.
func (s *consumer) repeat(ctx context.Context, do func(ctx context.Context)) {
	tick := time.NewTicker(s.o.LagInterval)
	defer tick.Stop()
	for {
		call, cancel := context.WithTimeout(ctx, max(5*s.o.LagInterval, 5*time.Second))
		do(call)
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look finds every partition that there is, its end, and who holds it.
func (s *Source) look(ctx context.Context) error {
	err := s.survey(ctx, func(details kadm.TopicDetails, asked time.Time) {
		s.disappeared(details)
		s.mend(asked)
	})
	if err != nil {
		return err
	}
	if s.complete() {
		return nil
	}
	s.cl.ForceMetadataRefresh() // it may not know of new partitions yet
	holders := s.whoHolds(ctx)
	s.mu.Lock()
	s.holders = holders
	s.mu.Unlock()
	return nil
}

// survey finds every partition that there is and its end. also is called with mu
// held once they are known.
func (s *consumer) survey(ctx context.Context, also func(details kadm.TopicDetails, asked time.Time)) error {
	asked := s.o.Now()
	details, err := s.find(ctx)
	if err != nil {
		return err
	}
	s.remade(details)
	// High watermarks, also for read_committed: while a transaction is open, not
	// everything is read.
	ends, err := s.list(ctx, s.adm.ListEndOffsets, details.Names())
	if err != nil {
		return fmt.Errorf("ask for the ends of the partitions: %w", err)
	}
	s.mu.Lock()
	stuck := s.stand(asked, details, ends)
	also(details, asked)
	s.wake()
	s.mu.Unlock()
	if len(stuck) > 0 && s.cl.BufferedFetchRecords() == 0 {
		starts, err := s.list(ctx, s.adm.ListStartOffsets, stuck)
		if err != nil {
			return fmt.Errorf("ask for the starts of the partitions: %w", err)
		}
		s.removed(starts)
	}
	return nil
}

// list asks for offsets of topics; of none, nothing.
func (s *consumer) list(
	ctx context.Context, ask func(context.Context, ...string) (kadm.ListedOffsets, error), topics []string,
) (kadm.ListedOffsets, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	listed, err := ask(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	return listed, err
}

// find returns the topics to read that there are, and notes those that there
// are not.
func (s *consumer) find(ctx context.Context) (kadm.TopicDetails, error) {
	var named []string
	if s.regex == nil {
		named = s.o.Topics
	}
	details, err := s.adm.ListTopics(ctx, named...)
	if err != nil {
		return nil, fmt.Errorf("list the topics: %w", err)
	}
	var absent []string
	for name, d := range details {
		switch {
		case !s.wanted(name):
			delete(details, name)
		case errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			delete(details, name)
		case d.Err != nil:
			return nil, fmt.Errorf("list topic %s: %w", name, d.Err)
		}
	}
	for _, name := range named {
		if _, ok := details[name]; !ok {
			absent = append(absent, name)
		}
	}
	if s.regex != nil && len(details) == 0 {
		absent = []string{s.o.TopicRegex}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(absent) > 0 && !slices.Equal(absent, s.absent) {
		s.o.Log.Error("topics to read do not exist; waiting for them", zap.Strings("topics", absent))
	}
	s.absent = absent
	if s.first == nil {
		s.first = make(map[string]bool)
		for name := range details {
			s.first[name] = true
		}
	}
	return details, nil
}

// remade has the client forget topics that were deleted or made again, since
// it never takes up another topic of the same name by itself, and lets it take
// them up again once it has given their partitions up.
func (s *consumer) remade(details kadm.TopicDetails) {
	var purge, add []string
	s.mu.Lock()
	for topic := range s.purged {
		if !s.holds(topic) {
			add = append(add, topic)
			delete(s.purged, topic)
		}
	}
	for topic, id := range s.topics {
		d, there := details[topic]
		again := there && !(position{topic: id}).sameTopic(d.ID)
		if (again || s.unseen[topic] == goneAfter) && s.holds(topic) && !s.purged[topic] {
			purge = append(purge, topic)
			s.purged[topic] = true
		}
	}
	for tp, p := range s.assigned {
		if _, there := details[tp.topic]; there && p.dropped && !s.purged[tp.topic] {
			purge = append(purge, tp.topic)
			s.purged[tp.topic] = true
		}
	}
	s.mu.Unlock()
	s.cl.PurgeTopicsFromConsuming(purge...)
	if s.regex == nil && len(add) > 0 {
		s.cl.AddConsumeTopics(add...)
	}
}

// stand notes how the partitions stood when it was asked. It returns the topics
// that have a partition with something to read and of which nothing was read
// since the last look. The caller holds mu.
func (s *consumer) stand(asked time.Time, details kadm.TopicDetails, ends kadm.ListedOffsets) (stuck []string) {
	s.checked = asked
	clear(s.exist)
	for name, d := range details {
		for p := range d.Partitions {
			s.exist[topicPartition{name, p}] = true
		}
	}
	for tp, p := range s.assigned {
		pos, known := s.next[tp]
		end, listed := ends.Lookup(tp.topic, tp.partition)
		if !known || !listed {
			continue
		}
		behind := pos.offset < end.Offset
		s.metrics.setLag(tp, max(end.Offset-pos.offset, 0))
		if behind && p.seen == pos.offset && !slices.Contains(stuck, tp.topic) {
			stuck = append(stuck, tp.topic)
		}
		p.seen = pos.offset
		// An end that was not reached yet stays the aim, else a reader that is
		// always a little behind would never be seen to arrive.
		if pos.offset >= p.end && p.endAt.After(p.reached) {
			p.reached = p.endAt
		}
		if p.reached.Equal(p.endAt) {
			p.end, p.endAt = end.Offset, asked
		}
		if !behind {
			p.reached, p.endAt, p.end = asked, asked, end.Offset
			if p.still.IsZero() {
				p.still = asked
			}
		}
	}
	return stuck
}

// mend ends the problem when nothing has failed for a while: for longer while
// partitions are missing, since the client waits between its tries to join. The
// caller holds mu.
func (s *Source) mend(now time.Time) {
	calm := 2 * s.o.LagInterval
	if !s.completeLocked() {
		calm = 10 * s.o.LagInterval
	}
	s.mendAfter(now, calm)
}

func (s *consumer) mendAfter(now time.Time, calm time.Duration) {
	if s.problem.err != nil && now.Sub(s.problem.at) > calm {
		s.o.Log.Info("Kafka can be read again")
		s.problem = problem{}
	}
}

// disappeared closes the partitions of topics that were not found for a while:
// they hold the watermark no more. Their positions stay, so that a topic of the
// same name is known to be another. The caller holds mu.
func (s *Source) disappeared(details kadm.TopicDetails) {
	gone := make(map[string]bool)
	for tp := range s.next {
		if _, there := details[tp.topic]; !there {
			gone[tp.topic] = true
		}
	}
	for topic := range s.unseen {
		if !gone[topic] {
			s.unseen[topic] = 0
		}
	}
	for topic := range gone {
		if s.unseen[topic] >= goneAfter {
			continue
		}
		if s.unseen[topic]++; s.unseen[topic] < goneAfter {
			continue
		}
		s.o.Log.Warn("a topic is gone; its partitions hold nothing back any more", zap.String("topic", topic))
		for tp := range s.next {
			if tp.topic == topic {
				s.closePart(tp.String())
				s.metrics.dropLag(tp)
			}
		}
	}
}

// removed moves partitions to the log's start whose unread records retention
// has removed without leaving any.
func (s *consumer) removed(starts kadm.ListedOffsets) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tp, p := range s.assigned {
		pos, known := s.next[tp]
		start, listed := starts.Lookup(tp.topic, tp.partition)
		if known && listed && !p.quiet && pos.offset == p.seen && start.Offset > pos.offset {
			s.lost(tp, pos.offset, start.Offset-pos.offset)
			s.setPosition(tp, position{start.Offset, -1, s.topics[tp.topic]})
		}
	}
}
