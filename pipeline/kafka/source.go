package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// closeWithin bounds how long Close waits for brokers that do not answer.
const closeWithin = 5 * time.Second

// Source reads topics. It needs every partition of them: given fewer it stops
// reading, and Health says who holds the rest.
//
// Two goroutines share it under mu: the caller of Read, and the watcher that
// asks the brokers every LagInterval how the partitions stand. The client calls
// begin, onAssigned and onRevoked from a goroutine of its own, never while a
// poll's records are being handed out.
type Source struct {
	consumer
	commit  map[topicPartition]position // durable, not yet written to the group
	holders string                      // who holds what is not ours, for people
}

// New returns a Source. It opens no connection.
func New(o Options) (*Source, error) {
	s := &Source{commit: make(map[topicPartition]position)}
	if err := s.init(o); err != nil {
		return nil, err
	}
	return s, nil
}

// Start joins the group. It does not wait for a broker: one that is away is
// waited for by Read, and told by Health. Partitions with a position hold the
// watermark from now on, assigned or not.
func (s *Source) Start(_ context.Context, committed map[string][]byte) error {
	if s.cl != nil {
		return errors.New("the source was started already")
	}
	for name, b := range committed {
		tp, err := parsePartition(name)
		if err != nil {
			return fmt.Errorf("committed position: %w (does the state belong to another source?)", err)
		}
		pos, err := decodePosition(b)
		if err != nil {
			return fmt.Errorf("committed position of %s: %w", name, err)
		}
		if !s.wanted(tp.topic) {
			s.closePart(name)
			continue
		}
		s.next[tp] = pos
		s.commit[tp] = pos // whoever made it durable may have died before it told the group
		s.known[tp.topic] = true
		s.openPart(name)
	}
	opts, err := s.o.clientOpts()
	if err != nil {
		return err
	}
	opts = append(opts,
		kgo.KeepControlRecords(), // they move the position past a transaction's end
		kgo.BlockRebalanceOnPoll(),
		kgo.AdjustFetchOffsetsFn(s.begin),
		kgo.OnPartitionsAssigned(s.onAssigned),
		kgo.OnPartitionsRevoked(s.onRevoked),
		kgo.OnPartitionsLost(s.onRevoked),
		kgo.WithPools(new(fetchPool)),
	)
	if err := s.connect(opts); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.watcher.Go(func() { s.watch(ctx) })
	return nil
}

// Close leaves the group, after the durable positions are written to it. It
// waits for brokers for 5 s at most. A batch that was handed out stays valid
// until its Release.
func (s *Source) Close(ctx context.Context) error {
	if s.cl == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	s.stop()
	s.watcher.Wait()
	err := s.report(ctx)
	s.cl.AllowRebalance()
	return errors.Join(err, s.leave(ctx))
}
