package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
)

// begin says where the partitions of a new assignment begin: at the group's
// offsets, wherever memory stands. It does not return before it knows, or the
// session ends: an error would end the session, and with it the reading of all
// other partitions. Partitions that there are not, or that may not be read, it
// leaves out; they are taken up again when they can be.
func (s *Shared) begin(ctx context.Context, offered map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-s.started:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var parts []topicPartition
	for topic, ps := range offered {
		for p := range ps {
			parts = append(parts, topicPartition{topic, p})
		}
	}
	found, err := s.offsets(ctx, parts)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tp := range parts {
		p := s.assigned[tp]
		pos, ok := found[tp]
		if p == nil || !ok {
			if p != nil {
				p.dropped = true
			}
			delete(offered[tp.topic], tp.partition)
			continue
		}
		s.begun(tp, pos)
		offered[tp.topic][tp.partition] = kgo.NewOffset().At(pos.offset).WithEpoch(pos.epoch)
	}
	return offered, nil
}

// begun notes where a stay begins, and has that committed, be it anew: only who
// commits an offset of a partition may say how far its time is, and nothing may
// come of it for long. The caller holds mu.
func (s *Shared) begun(tp topicPartition, pos position) {
	p := s.assigned[tp]
	p.begun, p.quiet, p.durable = true, false, pos.offset
	s.setPosition(tp, pos)
}

// offsets finds where parts begin, for as long as it takes. Those that are not
// in its answer cannot be read at the moment.
func (s *Shared) offsets(ctx context.Context, parts []topicPartition) (map[topicPartition]position, error) {
	failing := false
	defer func() {
		if failing {
			s.mu.Lock()
			s.failing--
			s.mu.Unlock()
		}
	}()
	wait := 20 * time.Millisecond
	for n := 1; ; n++ {
		found, err := s.try(ctx, parts, n > 5)
		if err == nil {
			return found, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !errors.Is(err, kerr.UnstableOffsetCommit) { // a transaction that is being ended: no failure
			s.mu.Lock()
			if !failing {
				failing = true
				s.failing++
			}
			s.fail(fmt.Errorf("find where to begin: %w", err))
			s.mu.Unlock()
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
		wait = min(2*wait, time.Second)
	}
}

// try is one try of offsets. Topics that cannot be described are an error, or
// with lenient set left out.
func (s *Shared) try(ctx context.Context, parts []topicPartition, lenient bool) (map[topicPartition]position, error) {
	wanted := make(map[string][]int32)
	for _, tp := range parts {
		wanted[tp.topic] = append(wanted[tp.topic], tp.partition)
	}
	details, err := s.adm.ListTopics(ctx, slices.Sorted(maps.Keys(wanted))...)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	for topic, d := range details {
		if d.Err != nil && !lenient {
			return nil, fmt.Errorf("describe topic %s: %w", topic, d.Err)
		}
		if d.Err != nil {
			delete(details, topic)
		}
	}
	committed, err := s.committed(ctx, details)
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", s.o.Group, err)
	}
	found := make(map[topicPartition]position)
	fresh := make(map[string]map[string][]int32) // start → topic → partitions without an offset
	for topic, d := range details {
		r, err := s.record(d, committed[topic], wanted[topic])
		if err != nil {
			return nil, err
		}
		born, ok := s.adoptTopic(topic, d.ID, r)
		if !ok {
			continue
		}
		for _, p := range wanted[topic] {
			pos, known := r.at[p]
			if known {
				found[topicPartition{topic, p}] = pos
				continue
			}
			start := s.o.Start
			if p >= born {
				start = startEarliest
			}
			if fresh[start] == nil {
				fresh[start] = make(map[string][]int32)
			}
			fresh[start][topic] = append(fresh[start][topic], p)
		}
	}
	for start, topics := range fresh {
		listed, err := s.resolve(ctx, slices.Sorted(maps.Keys(topics)), start)
		if err != nil {
			return nil, err
		}
		for topic, ps := range topics {
			for _, p := range ps {
				if o, ok := listed.Lookup(topic, p); ok && o.Offset >= 0 {
					found[topicPartition{topic, p}] = position{o.Offset, -1, details[topic].ID}
				}
			}
		}
	}
	return found, nil
}

// committed asks for the group's offsets of all partitions of topics by name, and
// not for all that there are: only so is told of a first offset whose transaction
// is still open (KIP-447).
func (s *Shared) committed(ctx context.Context, topics kadm.TopicDetails) (map[string]map[int32]committedOffset, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = s.o.Group
	for _, d := range topics {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.TopicID, t.Partitions = d.Topic, d.ID, d.Partitions.Numbers()
		group.Topics = append(group.Topics, t)
	}
	out := make(map[string]map[int32]committedOffset)
	if len(group.Topics) == 0 {
		return out, nil
	}
	req.Groups = append(req.Groups, group)
	resp, err := req.RequestWith(ctx, s.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return nil, err
		}
		for _, t := range g.Topics {
			parts := make(map[int32]committedOffset, len(t.Partitions))
			for _, p := range t.Partitions {
				c := committedOffset{offset: p.Offset, epoch: p.LeaderEpoch, err: kerr.ErrorForCode(p.ErrorCode)}
				if p.Metadata != nil {
					c.metadata = *p.Metadata
				}
				parts[p.Partition] = c
			}
			out[t.Topic] = parts
		}
	}
	return out, nil
}

// committedOffset is an offset of the group.
type committedOffset struct {
	offset   int64 // negative: there is none
	epoch    int32
	metadata string
	err      error
}

// record is what the group's offsets say of a topic.
type record struct {
	at     map[int32]position
	born   int32 // as in the metadata
	remade bool  // there are offsets of a topic of the same name that was deleted
}

// record reads the offsets of a topic. Those of another tool begin where they
// say; where there are some of them, partitions without one begin at their start.
func (s *Shared) record(d kadm.TopicDetail, offsets map[int32]committedOffset, wanted []int32) (record, error) {
	r := record{at: make(map[int32]position), born: math.MaxInt32}
	var unstable error
	for p, o := range offsets {
		name := topicPartition{d.Topic, p}
		switch {
		case errors.Is(o.err, kerr.UnstableOffsetCommit):
			unstable = fmt.Errorf("offset of %s: %w", name, o.err)
			continue
		case o.err != nil:
			return r, fmt.Errorf("offset of %s: %w", name, o.err)
		case o.offset < 0:
			continue
		}
		pos, born, err := decodeMetadata(o.metadata)
		switch {
		case errors.Is(err, errForeign):
			pos, born = position{o.offset, o.epoch, d.ID}, 0
		case err != nil:
			return r, fmt.Errorf("offset of %s: %w", name, err)
		case !pos.sameTopic(d.ID):
			r.born, r.remade = 0, true
			continue
		case pos.offset != o.offset: // a tool has moved it
			pos = position{o.offset, o.epoch, d.ID}
		}
		pos.topic = d.ID
		r.at[p], r.born = pos, min(r.born, born)
	}
	for _, p := range wanted {
		if _, ok := r.at[p]; !ok && unstable != nil {
			return r, unstable
		}
	}
	if r.born == math.MaxInt32 { // never read
		s.mu.Lock()
		defer s.mu.Unlock()
		r.born = 0
		if s.first == nil || s.first[d.Topic] {
			r.born = int32(len(d.Partitions)) //nolint:gosec // a number of partitions
		}
	}
	return r, nil
}

// adoptTopic makes a topic's ID the one that is read, and answers how many
// partitions it was born with. It refuses while partitions of a topic of the same
// name that was deleted are still held: the client is made to forget them first.
func (s *Shared) adoptTopic(topic string, id kadm.TopicID, r record) (born int32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.topics[topic]
	same := (position{topic: before}).sameTopic(id)
	if known && !same {
		for tp, p := range s.assigned {
			if tp.topic == topic && p.begun {
				return 0, false
			}
		}
	}
	born = r.born
	if b, ok := s.born[topic]; ok && same {
		born = min(born, b)
	}
	if r.remade || known && !same {
		born = 0
	}
	if r.remade && (!known || !same) {
		s.metrics.rebegun.Inc()
		s.o.Log.Warn("a topic was deleted and made again; it is read from its start", zap.String("topic", topic))
	}
	s.topics = maps.Clone(s.topics) // batches keep the old one
	if s.topics == nil {
		s.topics = make(map[string]kadm.TopicID)
	}
	s.topics[topic], s.born[topic] = id, born
	return born, true
}
