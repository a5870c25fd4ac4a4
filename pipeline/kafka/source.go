package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline"
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
	o       Options
	cl      *kgo.Client
	adm     *kadm.Client
	regex   *regexp.Regexp // nil: topics are named
	metrics *metrics
	stop    context.CancelFunc
	watcher sync.WaitGroup
	started chan struct{} // closed when cl and adm are set: the client calls begin early
	changed chan struct{} // has a token when something below changed
	slabs   sync.Pool     // *slab

	mu       sync.Mutex
	next     map[topicPartition]position // where reading goes on
	known    map[string]bool             // topics with a position, now or once
	first    map[string]bool             // topics that there were at the first look; nil before it
	topics   map[string]kadm.TopicID     // replaced, never changed: batches keep it
	assigned map[topicPartition]*part
	exist    map[topicPartition]bool // every partition that there is
	checked  time.Time               // when the brokers were last asked with success
	absent   []string                // named topics that there are not, or the regex
	unseen   map[string]int          // topics of partitions in next that there are not, and for how many looks
	purged   map[string]bool         // topics that the client is to forget before it takes them up again
	holders  string                  // who holds what is not ours, for people
	problem  problem
	commit   map[topicPartition]position // durable, not yet written to the group
	out      pipeline.Batch              // Open, Closed, Positions of the next batch
	told     time.Time                   // checked, of the last batch that told idle partitions
}

// part is an assigned partition.
type part struct {
	name    string
	end     int64     // its end when it was asked for at endAt
	endAt   time.Time // zero: was not asked for
	reached time.Time // everything that there was then is read
	still   time.Time // nothing was read since; zero: something was
	seen    int64     // where reading stood at the last look; -1: no look yet
}

// problem is the newest failure to read.
type problem struct {
	err error
	at  time.Time
}

// New returns a Source. It opens no connection.
func New(o Options) (*Source, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	s := &Source{
		o: o, metrics: newMetrics(o.Registerer),
		started:  make(chan struct{}),
		changed:  make(chan struct{}, 1), // a token, so that waking never blocks
		next:     make(map[topicPartition]position),
		known:    make(map[string]bool),
		assigned: make(map[topicPartition]*part),
		exist:    make(map[topicPartition]bool),
		unseen:   make(map[string]int),
		purged:   make(map[string]bool),
		commit:   make(map[topicPartition]position),
	}
	if o.TopicRegex != "" {
		s.regex = regexp.MustCompile(o.wholeRegex()) // validated
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
	if s.cl, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("make the Kafka client: %w", err)
	}
	s.adm = kadm.NewClient(s.cl)
	close(s.started)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.watcher.Go(func() { s.watch(ctx) })
	return nil
}

func (s *Source) wanted(topic string) bool {
	if s.regex != nil {
		return s.regex.MatchString(topic)
	}
	return slices.Contains(s.o.Topics, topic)
}

// openPart and closePart note what the next batch tells of a partition: the
// newest word counts. The caller holds mu.
func (s *Source) openPart(name string) {
	s.out.Closed = slices.DeleteFunc(s.out.Closed, func(e pipeline.PartitionEnd) bool { return e.Partition == name })
	s.out.Open = append(s.out.Open, pipeline.PartitionTime{Partition: name, Time: math.MinInt64})
}

func (s *Source) closePart(name string) {
	s.out.Open = slices.DeleteFunc(s.out.Open, func(t pipeline.PartitionTime) bool { return t.Partition == name })
	s.out.Closed = append(s.out.Closed, pipeline.PartitionEnd{Partition: name})
}

// wake lets Read look again. The caller holds mu.
func (s *Source) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
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
	if leaveErr := s.cl.LeaveGroupContext(ctx); leaveErr != nil {
		err = errors.Join(err, fmt.Errorf("leave the consumer group: %w", leaveErr))
	}
	s.cl.Close()
	return err
}
