package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// whoHolds describes the other members of the group that hold partitions which
// are to be read here; empty if there are none.
func (s *Source) whoHolds(ctx context.Context) string {
	groups, err := s.adm.DescribeGroups(ctx, s.o.Group)
	if err == nil {
		err = groups.Error()
	}
	if err != nil {
		return "the group's members are not known: " + err.Error()
	}
	mine, _ := s.cl.GroupMetadata()
	var holders []string
	for _, m := range groups[s.o.Group].Members {
		a, ok := m.Assigned.AsConsumer()
		if m.MemberID == mine || !ok {
			continue
		}
		n := 0
		for _, t := range a.Topics {
			if s.wanted(t.Topic) {
				n += len(t.Partitions)
			}
		}
		if n > 0 {
			holders = append(holders, fmt.Sprintf("client %q at %s holds %d (member %s)", m.ClientID, m.ClientHost, n, m.MemberID))
		}
	}
	slices.Sort(holders)
	return strings.Join(holders, "; ")
}

// Committed notes durable positions; they are written to the group within
// LagInterval, and at Close.
func (s *Source) Committed(positions map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range positions {
		tp, err := parsePartition(name)
		if err != nil {
			continue // not ours to report
		}
		pos, err := decodePosition(b)
		if err != nil {
			continue // this source wrote it; Start refuses what it cannot read
		}
		if pos.sameTopic(s.topics[tp.topic]) {
			s.commit[tp] = pos
		}
	}
}

// report writes the durable positions of assigned partitions to the group. What
// could not be written is tried again by the next call.
func (s *Source) report(ctx context.Context) error {
	s.mu.Lock()
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	sent := make(map[topicPartition]position)
	for tp, pos := range s.commit {
		if s.assigned[tp] == nil || !pos.sameTopic(s.topics[tp.topic]) {
			continue // only its holder may; it may come back
		}
		if offsets[tp.topic] == nil {
			offsets[tp.topic] = make(map[int32]kgo.EpochOffset)
		}
		offsets[tp.topic][tp.partition] = kgo.EpochOffset{Epoch: pos.epoch, Offset: pos.offset}
		sent[tp] = pos
	}
	s.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	var failed error
	s.cl.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if failed = err; err == nil {
			failed = commitError(resp)
		}
	})
	if failed != nil {
		return fmt.Errorf("write positions to group %s: %w", s.o.Group, failed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for tp, pos := range sent {
		if s.commit[tp] == pos {
			delete(s.commit, tp)
		}
	}
	return nil
}

// commitError is the first error of a commit's answer.
func commitError(resp *kmsg.OffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("partition %s: %w", topicPartition{t.Topic, p.Partition}, err)
			}
		}
	}
	return nil
}
