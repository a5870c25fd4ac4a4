package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline"
)

// watch asks for the ends of the partitions, and writes durable positions to
// the group, every LagInterval until ctx ends.
func (s *Source) watch(ctx context.Context) {
	tick := time.NewTicker(s.o.LagInterval)
	defer tick.Stop()
	for {
		call, cancel := context.WithTimeout(ctx, max(10*s.o.LagInterval, 5*time.Second))
		err := s.look(call)
		if err == nil {
			err = s.report(call)
		}
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.mu.Lock()
			s.fail(err)
			s.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look finds every partition that there is, its end, and who holds it.
func (s *Source) look(ctx context.Context) error {
	asked := s.o.Now()
	topics, err := s.topics(ctx)
	if err != nil {
		return err
	}
	starts, err := s.adm.ListStartOffsets(ctx, topics...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return fmt.Errorf("ask for the starts of the partitions: %w", err)
	}
	ends, err := s.listEnds(ctx, topics)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("ask for the ends of the partitions: %w", err)
	}
	s.stand(asked, starts, ends)
	if s.complete() {
		return nil
	}
	holders := s.whoHolds(ctx)
	s.mu.Lock()
	s.holders = holders
	s.mu.Unlock()
	return nil
}

func (s *Source) topics(ctx context.Context) ([]string, error) {
	if s.regex == nil {
		return s.o.Topics, nil
	}
	all, err := s.adm.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the topics: %w", err)
	}
	var topics []string
	for _, name := range all.Names() {
		if s.regex.MatchString(name) {
			topics = append(topics, name)
		}
	}
	if len(topics) == 0 {
		return nil, fmt.Errorf("no topic matches %s", s.o.TopicRegex)
	}
	return topics, nil
}

// stand notes how the partitions stood when it was asked.
func (s *Source) stand(asked time.Time, starts, ends kadm.ListedOffsets) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.ends)
	ends.Each(func(o kadm.ListedOffset) { s.ends[topicPartition{o.Topic, o.Partition}] = o.Offset })
	starts.Each(func(o kadm.ListedOffset) { s.metrics.setStart(topicPartition{o.Topic, o.Partition}, o.Offset) })
	s.checked = asked
	for tp := range s.next {
		if _, there := s.ends[tp]; !there { // the topic was deleted
			s.out.Closed = append(s.out.Closed, pipeline.PartitionEnd{Partition: tp.String()})
			delete(s.next, tp)
		}
	}
	for tp, p := range s.assigned {
		next, known := s.next[tp]
		if !known {
			continue
		}
		s.metrics.setLag(tp, max(s.ends[tp]-next.Offset, 0))
		switch {
		case next.Offset < s.ends[tp]:
			p.since = time.Time{}
		case p.since.IsZero():
			p.since = asked
		}
	}
	if s.problem.err != nil && asked.Sub(s.problem.at) > 2*s.o.LagInterval {
		s.o.Log.Info("Kafka can be read again")
		s.problem = problem{}
	}
	s.wake()
}

// complete says whether every partition that there is is ours.
func (s *Source) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.completeLocked()
}

func (s *Source) completeLocked() bool {
	if s.checked.IsZero() {
		return false
	}
	for tp := range s.ends {
		if s.assigned[tp] == nil {
			return false
		}
	}
	return true
}

// whoHolds describes the other members of the group and their partitions.
func (s *Source) whoHolds(ctx context.Context) string {
	groups, err := s.adm.DescribeGroups(ctx, s.o.Group)
	if err != nil {
		return "the group's members are not known: " + err.Error()
	}
	mine, _ := s.cl.GroupMetadata()
	var holders []string
	for _, m := range groups[s.o.Group].Members {
		if m.MemberID == mine {
			continue
		}
		n := 0
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range a.Topics {
				n += len(t.Partitions)
			}
		}
		holders = append(holders, fmt.Sprintf("%s at %s holds %d", m.ClientID, m.ClientHost, n))
	}
	slices.Sort(holders)
	return strings.Join(holders, "; ")
}

// report writes the durable positions of assigned partitions to the group.
func (s *Source) report(ctx context.Context) error {
	s.mu.Lock()
	offsets := s.commit
	s.commit = make(map[string]map[int32]kgo.EpochOffset)
	for topic, parts := range offsets {
		maps.DeleteFunc(parts, func(p int32, _ kgo.EpochOffset) bool { return s.assigned[topicPartition{topic, p}] == nil })
		if len(parts) == 0 {
			delete(offsets, topic)
		}
	}
	s.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	var failed error
	s.cl.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err == nil {
			err = commitError(resp)
		}
		failed = err
	})
	if failed != nil && !errors.Is(failed, context.Canceled) {
		// The engine's positions count; this only keeps other tools from seeing the newest lag.
		s.o.Log.Warn("positions were not written to the group", zap.Error(failed))
	}
	return nil
}

// Health answers nil when every partition is ours and can be read.
func (s *Source) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.problem.err != nil:
		return s.problem.err
	case s.checked.IsZero():
		return errors.New("no broker has answered yet")
	case s.completeLocked():
		return nil
	}
	missing := 0
	for tp := range s.ends {
		if s.assigned[tp] == nil {
			missing++
		}
	}
	msg := fmt.Sprintf("%d of %d partitions are not assigned to this worker, and it must read them all", missing, len(s.ends))
	if s.holders != "" {
		msg += ": " + s.holders
	}
	return errors.New(msg)
}

// commitError is the first error of a commit's answer.
func commitError(resp *kmsg.OffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}
