package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
)

// ledger keeps the positions of a source other than Kafka in the positions
// topic, in the transaction of what they stand for. Each lease has a
// transactional ID of its own: a shard that changes hands, or all partitions of
// a source that one worker reads.
type ledger struct {
	f *Fleet

	mu      sync.Mutex
	units   map[string]*unit     // by lease
	old     []*unit              // replaced, to be closed by the next commit: the one at hand may use them
	one     bool                 // one lease for everything
	stays   int64                // how many there were
	orphans map[string]time.Time // leases that others took, and the source reads on: since when

	readMu sync.Mutex
	known  map[string][]byte // what the topic says, up to next
	next   int64
}

// wholeSource is the lease of a source whose partitions do not change hands.
const wholeSource = "all"

func newLedger(f *Fleet) *ledger {
	return &ledger{f: f, units: make(map[string]*unit), known: make(map[string][]byte), orphans: make(map[string]time.Time)}
}

// takeAll takes the whole source over and answers all its positions.
func (l *ledger) takeAll(ctx context.Context) (map[string][]byte, error) {
	l.one = true
	if _, err := l.fence(ctx, wholeSource); err != nil {
		return nil, err
	}
	if err := l.read(ctx); err != nil {
		return nil, err
	}
	return maps.Clone(l.known), nil
}

// Take fences whoever had the partition and answers its committed position.
func (l *ledger) Take(ctx context.Context, partition string) (position []byte, stay int64, err error) {
	if stay, err = l.fence(ctx, partition); err != nil {
		return nil, 0, err
	}
	if err := l.read(ctx); err != nil {
		return nil, 0, err
	}
	l.readMu.Lock()
	defer l.readMu.Unlock()
	return slices.Clone(l.known[partition]), stay, nil
}

// fence takes a lease's transactional ID for a new stay.
func (l *ledger) fence(ctx context.Context, lease string) (stay int64, err error) {
	u, err := l.f.openUnit(ctx, l.f.o.Names.TransactionalIDs()+"source-"+lease)
	if err != nil {
		return 0, fmt.Errorf("take %s over: %w", lease, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.units[lease]; old != nil {
		l.old = append(l.old, old)
	}
	l.stays++
	u.stay = l.stays
	l.units[lease] = u
	delete(l.orphans, lease)
	return u.stay, nil
}

// Drop gives the partition up.
func (l *ledger) Drop(partition string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.units[partition]; u != nil {
		u.gone = true // closed by the next commit, which may be using it
	}
	delete(l.orphans, partition)
}

// left notes that nothing more comes of a partition: what came after the source
// had given it up was on its way.
func (l *ledger) left(partition string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.orphans, partition)
}

// read brings what is known up to the topic's end as of now.
func (l *ledger) read(ctx context.Context) error {
	l.readMu.Lock()
	defer l.readMu.Unlock()
	topic := l.f.o.Names.Positions()
	ends, err := kadm.NewClient(l.f.admin).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("%w: read the committed positions: %w", engine.ErrUnavailable, err)
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok {
		return fmt.Errorf("read the committed positions: topic %s is not there", topic)
	}
	if l.next >= end.Offset {
		return nil
	}
	opts, err := l.f.o.Client.KgoOpts()
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(l.next)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.MetadataMinAge(l.f.o.MetadataMinAge),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)...)
	if err != nil {
		return fmt.Errorf("read the committed positions: %w", err)
	}
	defer cl.Close()
	for l.next < end.Offset {
		fetches := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read the committed positions: %w", err)
		}
		var bad error
		fetches.EachRecord(func(r *kgo.Record) {
			l.next = r.Offset + 1
			if !r.Attrs.IsControl() {
				bad = errors.Join(bad, l.note(r))
			}
		})
		if bad != nil {
			return bad
		}
	}
	return nil
}

func (l *ledger) note(r *kgo.Record) error {
	if r.Value == nil {
		delete(l.known, string(r.Key))
		return nil
	}
	position, err := enginekafka.ParsePositionRecord(r)
	if err != nil {
		return err
	}
	l.known[string(r.Key)] = slices.Clone(position)
	return nil
}

func (l *ledger) leaseOf(partition string) string {
	if l.one {
		return wholeSource
	}
	return partition
}

func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range l.units {
		u.close()
	}
	clear(l.units)
	l.closeOld()
}

// closeOld closes what was replaced. The caller holds mu, and no commit is made.
func (l *ledger) closeOld() {
	for _, u := range l.old {
		u.close()
	}
	l.old = nil
}

var (
	_ writer          = (*ledger)(nil)
	_ pipeline.Ledger = (*ledger)(nil)
)
