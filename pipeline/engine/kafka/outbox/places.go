package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// ErrInUse says that a sink cannot be forgotten, for a worker delivers to it.
var ErrInUse = errors.New("the sink is in use by another worker")

// Register implements engine.Consumers: a sink's group that has no offset yet
// gets one at once, so that alerts of the time until its first Read are not
// missed. A group whose offsets have expired goes on where the notify state
// says it stood. Partitions that came later begin at their oldest record.
func (b *Outbox) Register(ctx context.Context, from engine.Start, sinks ...string) error {
	for _, sink := range sinks {
		if err := b.register(ctx, from, sink); err != nil {
			return fmt.Errorf("register sink %s: %w", sink, err)
		}
	}
	return nil
}

func (b *Outbox) register(ctx context.Context, from engine.Start, sink string) error {
	topic, group := b.o.Names.Alerts(), b.o.Names.SinkGroup(sink)
	committed, err := b.fetch(ctx, group)
	if err != nil {
		return err
	}
	starts, err := listed(b.adm.ListStartOffsets(ctx, topic))
	if err != nil {
		return err
	}
	var missing []int32
	known := false
	starts.Each(func(o kadm.ListedOffset) {
		if _, ok := committed.Lookup(topic, o.Partition); ok {
			known = true
		} else {
			missing = append(missing, o.Partition)
		}
	})
	if len(missing) == 0 {
		return nil
	}
	states, err := b.readProgress(ctx, sink)
	if err != nil {
		return err
	}
	begin := starts
	if t, ok := from.Time(); ok && !known {
		begin, err = listed(b.adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topic))
	} else if from == engine.FromNewest && !known {
		begin, err = listed(b.adm.ListEndOffsets(ctx, topic))
	}
	if err != nil {
		return err
	}
	offsets := make(kadm.Offsets)
	for _, id := range missing {
		if s := states[id]; s != nil {
			offsets.AddOffset(topic, id, s.place, -1)
		} else if o, ok := begin.Lookup(topic, id); ok {
			offsets.AddOffset(topic, id, o.Offset, -1)
		}
	}
	answers, err := b.adm.CommitOffsets(ctx, group, offsets)
	if err == nil {
		err = answers.Error()
	}
	if err == nil {
		return nil
	}
	// The broker refuses this where the group has members: another worker was first.
	now, again := b.fetch(ctx, group)
	if again != nil {
		return errors.Join(err, again)
	}
	for _, id := range missing {
		if _, ok := now.Lookup(topic, id); !ok && !known {
			return fmt.Errorf("commit the first offsets of group %s: %w", group, err)
		}
	}
	return nil
}

func (b *Outbox) fetch(ctx context.Context, group string) (kadm.OffsetResponses, error) {
	committed, err := b.adm.FetchOffsets(kadm.RequireStable(ctx), group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("fetch offsets of group %s: %w", group, err)
	}
	return committed, nil
}

func listed(o kadm.ListedOffsets, err error) (kadm.ListedOffsets, error) {
	if err == nil {
		err = o.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets of the alerts topic: %w", err)
	}
	return o, nil
}

// Places implements engine.Consumers. Seq is the sum of the group's offsets;
// Unread are records, those that are not for the sink among them.
func (b *Outbox) Places(ctx context.Context) ([]engine.Place, error) {
	groups, err := b.adm.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the sinks' groups: %w", err)
	}
	var places []engine.Place
	for _, group := range groups.Groups() {
		sink, ours := strings.CutPrefix(group, b.o.Names.SinkGroup(""))
		if !ours {
			continue
		}
		p, ok, err := b.placeOf(ctx, sink)
		if err != nil {
			return nil, err
		}
		if ok {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(a, b engine.Place) int { return strings.Compare(a.Consumer, b.Consumer) })
	return places, nil
}

// placeOf answers false for a group without an offset.
func (b *Outbox) placeOf(ctx context.Context, sink string) (engine.Place, bool, error) {
	topic := b.o.Names.Alerts()
	place := engine.Place{Consumer: sink}
	committed, err := b.fetch(ctx, b.o.Names.SinkGroup(sink))
	if err != nil {
		return place, false, err
	}
	ends, err := listed(b.adm.ListEndOffsets(ctx, topic))
	if err != nil {
		return place, false, err
	}
	known := false
	ends.Each(func(end kadm.ListedOffset) {
		if at, ok := committed.Lookup(topic, end.Partition); ok {
			known = true
			place.Seq += at.At
			place.Unread += max(end.Offset-at.At, 0)
		}
	})
	return place, known, nil
}

// Forget implements engine.Consumers: it deletes the sink's group and its
// notify state. ErrInUse: a worker is a member of the group.
func (b *Outbox) Forget(ctx context.Context, sink string) (unread int64, err error) {
	place, known, err := b.placeOf(ctx, sink)
	if err != nil {
		return 0, err
	}
	if !known {
		return 0, nil
	}
	answers, err := b.adm.DeleteGroups(ctx, b.o.Names.SinkGroup(sink))
	if err == nil {
		err = answers.Error()
	}
	switch {
	case errors.Is(err, kerr.NonEmptyGroup):
		return 0, fmt.Errorf("forget sink %s: %w", sink, ErrInUse)
	case errors.Is(err, kerr.GroupIDNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("forget sink %s: %w", sink, err)
	}
	states, err := b.readProgress(ctx, sink)
	if err != nil {
		return place.Unread, err
	}
	for id := range states {
		r := &kgo.Record{Topic: b.o.Names.Notify(), Key: []byte(notifyKey(sink, id))}
		if err := b.cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			return place.Unread, fmt.Errorf("forget sink %s: %w", sink, err)
		}
	}
	return place.Unread, nil
}
