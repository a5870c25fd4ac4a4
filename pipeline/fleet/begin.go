package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
)

// place is where an owned partition is read. alertStage.mu guards it.
type place struct {
	begun   bool
	refused bool // the client was refused the offset, and may not have told it yet
	// next is the offset after the last record that was read, and before the first
	// one the group's; negative: it has none.
	next int64
}

// begin says where the partitions of a new assignment are read from. The client
// leaves a partition out whose offset it is refused, and would not read it again
// for as long as the partition is ours: the offsets of such are found here, for as
// long as it takes or the session lasts. Partitions that are read already go on
// meanwhile; those that are new together begin together, for what refuses one of
// them is about the group or the topic.
func (a *alertStage) begin(ctx context.Context, offered map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-a.started:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	topic := a.f.o.Names.Repartition()
	at := offered[topic]
	var refused []int32
	a.mu.Lock()
	for i, pl := range a.places {
		p := int32(i) //nolint:gosec // a count of partitions
		if _, ok := at[p]; !ok && !pl.begun {
			pl.refused = true
			refused = append(refused, p)
		}
	}
	a.mu.Unlock()
	if len(refused) > 0 {
		slices.Sort(refused)
		found, err := a.find(ctx, refused)
		if err != nil {
			return nil, err
		}
		if at == nil {
			at = make(map[int32]kgo.Offset)
			offered[topic] = at
		}
		for p, offset := range found {
			if at[p] = kgo.NewOffset().AtStart(); offset >= 0 {
				at[p] = kgo.NewOffset().At(offset)
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unplaced = nil
	for p, o := range at {
		if pl := a.places[int(p)]; pl != nil {
			pl.begun, pl.next = true, o.EpochOffset().Offset
		}
	}
	return offered, nil
}

// find finds the group's offsets of parts, until ctx ends.
func (a *alertStage) find(ctx context.Context, parts []int32) (map[int32]int64, error) {
	said := false
	var wait backoff
	for {
		found, err := a.groupOffsets(ctx, parts...)
		if err == nil {
			if said {
				a.f.log.Info("the repartition topic's partitions have offsets to begin at")
			}
			return found, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !said && !errors.Is(err, kerr.UnstableOffsetCommit) { // a transaction that is being ended: no failure
			said = true
			a.f.log.Error("partitions of the repartition topic have no offset to begin at; trying on", zap.Int32s("partitions", parts), zap.Error(err))
		}
		a.mu.Lock()
		a.unplaced = err
		a.mu.Unlock()
		if err := wait.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// groupOffsets are the group's offsets of partitions, once no transaction is open
// that may change them; negative: there is none. Partitions are asked for by
// name: of all that there are, brokers leave out those that may not be described.
func (a *alertStage) groupOffsets(ctx context.Context, parts ...int32) (map[int32]int64, error) {
	topic := kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic, topic.Partitions = a.f.o.Names.Repartition(), parts
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group, group.Topics = a.f.o.Names.AlertGroup(), append(group.Topics, topic)
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable, req.Groups = true, append(req.Groups, group)
	found := make(map[int32]int64, len(parts))
	resp, err := req.RequestWith(ctx, a.f.admin)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err == nil {
		err = collect(found, resp)
	}
	for _, p := range parts {
		if _, ok := found[p]; !ok && err == nil {
			err = fmt.Errorf("no answer for partition %d", p)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the offsets of group %s: %w", a.f.o.Names.AlertGroup(), err)
	}
	return found, nil
}

// collect enters the offsets of an answer about one topic.
func collect(found map[int32]int64, resp *kmsg.OffsetFetchResponse) error {
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("partition %d: %w", p.Partition, err)
				}
				found[p.Partition] = p.Offset
			}
		}
	}
	return nil
}

// refusal says that an error of reading a partition is of its offset, which begin
// finds out about by itself.
func (a *alertStage) refusal(topic string, p int32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	pl := a.places[int(p)]
	if topic != a.f.o.Names.Repartition() || pl == nil || pl.begun && !pl.refused {
		return false
	}
	pl.refused = false
	return true
}

// placed answers nil when every partition has been told where to be read from.
// The caller holds mu.
func (a *alertStage) placed() error {
	for p, pl := range a.places {
		switch {
		case pl.begun:
		case a.unplaced != nil:
			return fmt.Errorf("repartition partition %d has no offset to begin at yet: %w", p, a.unplaced)
		default:
			return fmt.Errorf("repartition partition %d has no offset to begin at yet", p)
		}
	}
	return nil
}

// follow notes what was read of a partition, and tells of what retention removed
// before. Aborted records leave gaps, too: only the log's start says what is gone.
// The caller holds mu.
func (a *alertStage) follow(p *kgo.FetchPartition) {
	pl := a.places[int(p.Partition)]
	if pl == nil {
		return
	}
	if lost := p.LogStartOffset - pl.next; lost > 0 && pl.next >= 0 {
		a.f.metrics.gone.Add(float64(lost))
		a.f.log.Error("records of the repartition topic are lost: retention removed them before they were counted",
			zap.Int32("partition", p.Partition), zap.Int64("from_offset", pl.next), zap.Int64("to_offset", p.LogStartOffset-1), zap.Int64("records", lost))
	}
	pl.next = p.Records[len(p.Records)-1].Offset + 1
}
