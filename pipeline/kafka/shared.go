package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

// Shared is the source of one worker of many: the partitions are shared out
// among the members of a consumer group, and the group's offsets are the
// positions. It commits none itself: whoever makes the results durable commits
// them in the same transaction, as Claim gives them out.
//
// Positions in its batches are good for Claim, Holding and Committed of this
// Shared only; what becomes durable is the offset, with its metadata.
//
// Read, and the two goroutines of the client that call back, take turns: what was
// polled is handed out before an assignment changes, so that no record of an
// earlier stay of a partition is taken for one of a later stay. The client does
// not block polls while a callback waits (BlockRebalanceOnPoll would), and goes on
// with its heartbeats: while one partition is drained, the others are read and
// committed.
type Shared struct {
	consumer
	turn chan struct{} // full: somebody has it; waiters get it in order

	// under mu
	interrupt func()           // ends the poll under way; nil: there is none
	waiting   int              // callbacks that wait for their turn
	closing   bool             // nothing will be committed any more
	joined    bool             // a member of the group
	failing   int              // beginnings that fail at the moment
	stays     uint64           // number of the newest ownership
	progress  chan struct{}    // has a token when something became durable
	born      map[string]int32 // how many partitions a topic had when the group first read it
	opened    map[topicPartition]bool
	missing   map[topicPartition]int // opened ones that there are not any more, and for how many looks
	eager     time.Time              // until then the client is asked to look for new partitions
}

// NewShared returns a Shared. It opens no connection.
func NewShared(o Options) (*Shared, error) {
	s := &Shared{
		turn:     make(chan struct{}, 1), // a semaphore
		progress: make(chan struct{}, 1), // a token, so that Committed never blocks
		born:     make(map[string]int32),
		opened:   make(map[topicPartition]bool),
		missing:  make(map[topicPartition]int),
	}
	if err := s.init(o); err != nil {
		return nil, err
	}
	return s, nil
}

// Start joins the group. It does not wait for a broker: one that is away is
// waited for by Read, and told by Health. The positions are the group's: others
// are refused.
func (s *Shared) Start(_ context.Context, committed map[string][]byte) error {
	if s.cl != nil {
		return errors.New("the source was started already")
	}
	if len(committed) > 0 {
		return fmt.Errorf("%d committed positions that are not offsets of group %s (does the state belong to another source?)",
			len(committed), s.o.Group)
	}
	opts, err := s.o.clientOpts()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	opts = append(opts,
		kgo.KeepControlRecords(), // they move the position past a transaction's end
		// Who drains joins late; longer than for a session nobody is waited for.
		kgo.RebalanceTimeout(max(s.o.SessionTimeout, 2*s.o.DrainWithin)),
		kgo.AdjustFetchOffsetsFn(s.begin),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) { s.onAssigned(ctx, got) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { s.onRevoked(gone) }),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { s.onLost() }),
		kgo.WithPools(new(fetchPool)),
	)
	if err := s.connect(opts); err != nil {
		cancel()
		return err
	}
	s.stop = cancel
	s.watcher.Go(func() { s.watch(ctx) })
	return nil
}

// Claim answers the offsets of positions under the membership at hand, for the
// transaction that makes what was read up to them durable; nil if there are
// none. lost are the partitions among them that are not this worker's any more,
// or that it has lost and got back since the position was read: what was read of
// them must not be made durable. Membership is read before ownership is looked
// at, so that what is lost later is refused by the broker.
//
// Safe for concurrent use; it does not block.
func (s *Shared) Claim(positions map[string][]byte) (offsets *txn.Offsets, lost []string) {
	member, generation := s.cl.GroupMetadata()
	offsets = &txn.Offsets{Group: s.o.Group, Member: member, Instance: s.o.InstanceID, Generation: generation}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range positions {
		tp, pos, held := s.held(name, b, member, generation)
		if !held {
			lost = append(lost, name)
			continue
		}
		offsets.Add(tp.topic, tp.partition, txn.Offset{
			Offset: pos.offset, Epoch: pos.epoch, Metadata: encodeMetadata(pos, s.born[tp.topic]),
		})
	}
	slices.Sort(lost)
	if len(offsets.At) == 0 {
		offsets = nil
	}
	return offsets, lost
}

// Holding says whether a partition is this worker's still, in the same stay in
// which it was read up to position. Safe for concurrent use; it does not block.
func (s *Shared) Holding(partition string, position []byte) bool {
	member, generation := s.cl.GroupMetadata()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _, held := s.held(partition, position, member, generation)
	return held
}

// held decodes a position and says whether it is of the stay at hand. The
// caller holds mu.
func (s *Shared) held(name string, b []byte, member string, generation int32) (topicPartition, position, bool) {
	tp, err := parsePartition(name)
	if err != nil {
		return tp, position{}, false
	}
	pos, owner, err := decodeHeld(b)
	p := s.assigned[tp]
	return tp, pos, err == nil && p != nil && p.owner == owner && p.goesOn(member, generation, s.static())
}

func (s *Shared) static() bool { return s.o.InstanceID != "" }

// Assigned lists the partitions that are this worker's now, sorted: those too
// that are on their way to another one and wait for their last commit. Safe for
// concurrent use.
func (s *Shared) Assigned() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.assigned))
	for _, p := range s.assigned {
		names = append(names, p.name)
	}
	slices.Sort(names)
	return names
}

// Committed notes positions, as Claim was given them, that are durable: a
// partition that goes to another worker waits for it.
func (s *Shared) Committed(positions map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range positions {
		tp, err := parsePartition(name)
		if err != nil {
			continue // not of this source
		}
		pos, owner, err := decodeHeld(b)
		if err != nil {
			continue // likewise
		}
		if p := s.assigned[tp]; p != nil && p.owner == owner {
			p.durable = pos.offset
		}
	}
	select {
	case s.progress <- struct{}{}:
	default:
	}
}

// Health answers nil when what is assigned can be read, be it nothing.
func (s *Shared) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.problem.err != nil:
		return s.problem.err
	case s.checked.IsZero():
		return errors.New("no broker has answered yet")
	case len(s.absent) > 0 && s.regex != nil:
		return fmt.Errorf("no topic matches %s", s.absent[0])
	case len(s.absent) > 0:
		return fmt.Errorf("topics that do not exist: %s", strings.Join(s.absent, ", "))
	case !s.joined:
		return fmt.Errorf("not a member of group %s yet", s.o.Group)
	}
	for _, p := range s.assigned {
		if p.dropped {
			return fmt.Errorf("partition %s has no offset to begin at yet", p.name)
		}
	}
	return nil
}

// Close leaves the group (a static member stays in it until its session ends).
// What is not committed by then is read by others: the last commit comes before
// it. It waits for brokers for 5 s at most. A batch that was handed out stays
// valid until its Release.
func (s *Shared) Close(ctx context.Context) error {
	if s.cl == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.stop()
	s.watcher.Wait()
	return s.leave(ctx)
}
