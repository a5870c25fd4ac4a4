package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

// closeWithin bounds how long Close waits for calls that do not return.
const closeWithin = 10 * time.Second

// Source reads streams. Without leases it reads all of their shards; with
// leases those whose leases it holds.
//
// One goroutine looks at each stream (look.go), and one reads each shard
// (poll.go, fanout.go). What they read waits in one queue for Read, so that a
// child's records, read after its parents' end was queued, come after it. All
// of them share the state below under mu; nobody holds it while calling AWS.
type Source struct {
	o       Options
	t       timing
	metrics *metrics
	budget  budget
	ledger  pipeline.Ledger // nil: Start was given all positions
	conn    *connector
	leases  *lease.Coordinator // nil: all shards are ours
	stop    context.CancelFunc
	work    sync.WaitGroup
	changed chan struct{} // has a token when Read should look again

	mu       sync.Mutex
	streams  []*stream
	readings map[string]*reading // by partition
	stays    map[string]int64    // by partition, of the ledger's, until it is opened
	refused  map[string]bool     // partitions that were fenced before they were opened
	leaving  map[string]*reading // finished under a lease, and not closed yet
	queue    []*chunk
	out      pipeline.Batch      // Open, Closed, Positions of the next batch
	late     map[string]position // to be committed after the next batch: its records' positions would win
	closing  bool                // nothing is committed any more
}

var (
	_ pipeline.Leased = (*Source)(nil)
	_ pipeline.Health = (*Source)(nil)
)

// New returns a Source. It opens no connection.
func New(o Options) (*Source, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	s := &Source{
		o: o, t: o.timing(), budget: budget{limit: o.BufferBytes},
		changed:  make(chan struct{}, 1), // a token, so that waking never blocks
		readings: make(map[string]*reading), stays: make(map[string]int64), refused: make(map[string]bool), leaving: make(map[string]*reading), late: make(map[string]position),
	}
	s.metrics = newMetrics(o.Registerer, s.checkpointAge)
	targets, _ := parseTargets(o.Streams) // validated
	for _, t := range targets {
		s.streams = append(s.streams, newStream(s, t))
	}
	return s, nil
}

// UseLedger makes l answer where shards begin. It is called once, before Start.
func (s *Source) UseLedger(l pipeline.Ledger) { s.ledger = l }

// Start begins to look at the streams and to read them. It does not wait for
// AWS, except for the lease table if there is one: a stream that cannot be read
// is waited for by Read, and told by Health. Nothing is handed out before every
// stream was looked at, so that all of them hold the watermark from the start.
func (s *Source) Start(ctx context.Context, committed map[string][]byte) error {
	if s.stop != nil {
		return errors.New("the source was started already")
	}
	if err := s.restore(committed); err != nil {
		return err
	}
	conn, err := newConnector(ctx, &s.o)
	if err != nil {
		return err
	}
	s.conn = conn
	for _, st := range s.streams {
		if st.client, err = conn.kinesis(st.region); err != nil {
			return err
		}
	}
	if s.o.Leases != nil {
		if s.leases, err = lease.Open(ctx, s.leaseOptions()); err != nil {
			return fmt.Errorf("open the lease table: %w", err)
		}
	}
	run, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	for _, st := range s.streams {
		s.work.Go(func() { st.watch(run) })
	}
	if s.leases != nil {
		s.work.Go(func() { s.runLeases(run) })
	}
	return nil
}

// restore takes the committed positions of our streams, and closes the
// partitions of those that are not read any more.
func (s *Source) restore(committed map[string][]byte) error {
	for name, b := range committed {
		label, id, err := parsePartition(name)
		if err != nil {
			return fmt.Errorf("committed position: %w (does the state belong to another source?)", err)
		}
		pos, err := decodePosition(b)
		if err != nil {
			return fmt.Errorf("committed position of %s: %w", name, err)
		}
		i := slices.IndexFunc(s.streams, func(st *stream) bool { return st.label == label })
		if i < 0 {
			s.closePart(name, nil)
			continue
		}
		s.streams[i].committed[id] = pos
	}
	return nil
}

// openPart and closePart note what the next batch tells of a partition. A shard
// may be opened, read and closed in one batch, in this order; one that is closed
// and opened again stays open. The caller holds mu.
func (s *Source) openPart(name string) {
	s.out.Closed = slices.DeleteFunc(s.out.Closed, func(e pipeline.PartitionEnd) bool { return e.Partition == name })
	s.out.Open = append(s.out.Open, pipeline.PartitionTime{Partition: name, Time: math.MinInt64, Stay: s.stays[name]})
	delete(s.stays, name)
}

func (s *Source) closePart(name string, final []byte, heirs ...string) {
	if final != nil {
		delete(s.out.Positions, name)
	}
	s.out.Closed = append(s.out.Closed, pipeline.PartitionEnd{Partition: name, Position: final, Heirs: heirs})
}

// setPosition has a position committed that no record carries. The caller holds mu.
func (s *Source) setPosition(name string, pos position) {
	if s.out.Positions == nil {
		s.out.Positions = make(map[string][]byte)
	}
	s.out.Positions[name] = pos.encode()
}

// wake lets Read look again.
func (s *Source) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Committed notes what is durable, and passes it on to the leases.
func (s *Source) Committed(positions map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range positions {
		r := s.readings[name]
		if r == nil {
			r = s.leaving[name]
		}
		if r == nil {
			continue
		}
		if pos, err := decodePosition(b); err == nil && pos.sameStream(r.created) {
			r.settled(pos)
		}
	}
}

// Close stops reading, and gives the leases up after what was committed is
// written to them. It waits for calls under way for 10 s at most. A batch
// that was handed out stays valid until its Release.
func (s *Source) Close(ctx context.Context) error {
	if s.stop == nil {
		return nil
	}
	s.mu.Lock()
	s.closing = true
	for _, st := range s.streams {
		for r := range st.probes {
			r.cancel()
		}
	}
	for _, all := range []map[string]*reading{s.readings, s.leaving} {
		for _, r := range all {
			r.cancel()
			r.poke()
		}
	}
	s.mu.Unlock()
	s.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.work.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the Kinesis source: %w", ctx.Err())
	}
}
