package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
)

// begin says where the partitions of a new assignment begin: after what was
// handed out or committed. Partitions without a position begin where
// Options.Start says if their topic was never read and was there when the
// source started, and at their start otherwise: what was written to a topic or
// a partition before anybody could know of it is not skipped.
//
// An error lets the client try again.
func (s *Source) begin(ctx context.Context, offered map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-s.started:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	details, err := s.adm.ListTopics(ctx, slices.Sorted(maps.Keys(offered))...)
	if err == nil {
		err = details.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("find where to begin: %w", err)
	}
	s.mu.Lock()
	s.learn(details)
	asked, atStart := s.positionless(offered)
	s.mu.Unlock()

	for _, group := range []struct {
		topics []string
		start  string
	}{{asked, s.o.Start}, {atStart, startEarliest}} {
		if len(group.topics) == 0 {
			continue
		}
		listed, err := s.resolve(ctx, group.topics, group.start)
		if err != nil {
			return nil, fmt.Errorf("find where to begin: %w", err)
		}
		s.adopt(listed)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, parts := range offered {
		for p := range parts {
			pos, ok := s.next[topicPartition{topic, p}]
			if !ok {
				return nil, fmt.Errorf("find where to begin: no offset is known of %s", topicPartition{topic, p})
			}
			parts[p] = kgo.NewOffset().At(pos.offset).WithEpoch(pos.epoch)
		}
	}
	return offered, nil
}

// learn notes the IDs of topics, and forgets positions in topics of the same
// name that were deleted. The caller holds mu.
func (s *Source) learn(details kadm.TopicDetails) {
	topics := maps.Clone(s.topics)
	if topics == nil {
		topics = make(map[string]kadm.TopicID)
	}
	remade := make(map[string]bool)
	for name, d := range details {
		topics[name] = d.ID
		s.unseen[name] = 0
		for tp, pos := range s.next {
			if tp.topic != name || pos.sameTopic(d.ID) {
				continue
			}
			delete(s.next, tp)
			delete(s.commit, tp)
			remade[name] = true
			if _, there := d.Partitions[tp.partition]; !there {
				s.closePart(tp.String())
			}
		}
	}
	s.topics = topics
	for name := range remade {
		s.metrics.rebegun.Inc()
		s.o.Log.Warn("a topic was deleted and made again; it is read from its start", zap.String("topic", name))
	}
}

// positionless returns the topics that have partitions without a position:
// those that begin as the options say, and those that begin at their start.
// The caller holds mu.
func (s *Source) positionless(offered map[string]map[int32]kgo.Offset) (asked, atStart []string) {
	for topic, parts := range offered {
		for p := range parts {
			if _, ok := s.next[topicPartition{topic, p}]; ok {
				continue
			}
			if s.known[topic] || s.first != nil && !s.first[topic] {
				atStart = append(atStart, topic)
			} else {
				asked = append(asked, topic)
			}
			break
		}
	}
	return asked, atStart
}

// resolve asks for the offsets that start means, of every partition of topics.
func (s *consumer) resolve(ctx context.Context, topics []string, start string) (listed kadm.ListedOffsets, err error) {
	switch {
	case start == startEarliest:
		listed, err = s.adm.ListStartOffsets(ctx, topics...)
	case start == startLatest && s.o.Isolation == readUncommitted:
		listed, err = s.adm.ListEndOffsets(ctx, topics...)
	case start == startLatest:
		listed, err = s.adm.ListCommittedOffsets(ctx, topics...)
	default:
		t, _ := time.Parse(time.RFC3339, start) // validated
		listed, err = s.adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topics...)
	}
	if err == nil {
		err = listed.Error()
	}
	return listed, err
}

// adopt makes the listed offsets the positions of partitions that have none.
// All partitions of a topic begin together, also those that are somebody else's
// for now. They are committed at once: a restart before the first record begins
// at the same place.
func (s *Source) adopt(listed kadm.ListedOffsets) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed.Each(func(o kadm.ListedOffset) {
		tp := topicPartition{o.Topic, o.Partition}
		if _, ok := s.next[tp]; ok || o.Offset < 0 {
			return
		}
		s.setPosition(tp, position{o.Offset, -1, s.topics[o.Topic]})
	})
}

func (s *Source) onAssigned(_ context.Context, _ *kgo.Client, got map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for topic, parts := range got {
		for _, p := range parts {
			tp := topicPartition{topic, p}
			name := tp.String()
			s.assigned[tp] = &part{name: name, seen: -1}
			s.openPart(name)
			n++
		}
	}
	if n == 0 {
		return // a rebalance that changed nothing
	}
	s.metrics.assigned.Set(float64(len(s.assigned)))
	s.o.Log.Info("partitions assigned", zap.Int("new", n), zap.Int("all", len(s.assigned)))
	s.wake()
}

// onRevoked runs for lost partitions too. Their time keeps holding the
// watermark: what they bring meanwhile is not known here.
func (s *Source) onRevoked(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for topic, parts := range gone {
		for _, p := range parts {
			tp := topicPartition{topic, p}
			delete(s.assigned, tp)
			s.metrics.dropLag(tp)
			n++
		}
	}
	if n == 0 {
		return
	}
	s.metrics.assigned.Set(float64(len(s.assigned)))
	s.o.Log.Info("partitions taken away", zap.Int("gone", n), zap.Int("left", len(s.assigned)))
	s.wake()
}
