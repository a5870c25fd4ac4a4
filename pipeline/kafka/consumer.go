package kafka

import (
	"context"
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

// consumer is what reading needs whoever owns the positions: Source and Shared
// are made of it.
type consumer struct {
	o       Options
	cl      *kgo.Client
	adm     *kadm.Client
	regex   *regexp.Regexp // nil: topics are named
	metrics *metrics
	stop    context.CancelFunc // of the watcher
	sever   context.CancelFunc // ends whatever the client waits for
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
	unseen   map[string]int          // topics that there are not any more, and for how many looks
	purged   map[string]bool         // topics that the client is to forget before it takes them up again
	problem  problem
	out      pipeline.Batch // what the next batch tells
	told     time.Time      // checked, of the last batch that told idle partitions
}

// part is an assigned partition.
type part struct {
	name    string
	end     int64     // its end when it was asked for at endAt
	endAt   time.Time // zero: was not asked for
	reached time.Time // everything that there was then is read
	still   time.Time // nothing was read since; zero: something was
	seen    int64     // where reading stood at the last look; -1: no look yet
	quiet   bool      // nothing of it is handed out (any more, or yet)

	ownership // of a shared partition
}

// problem is the newest failure to read.
type problem struct {
	err error
	at  time.Time
}

func (s *consumer) init(o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	o.setDefaults()
	s.o, s.metrics = o, newMetrics(o.Registerer)
	s.started = make(chan struct{})
	s.changed = make(chan struct{}, 1) // a token, so that waking never blocks
	s.next = make(map[topicPartition]position)
	s.known = make(map[string]bool)
	s.assigned = make(map[topicPartition]*part)
	s.exist = make(map[topicPartition]bool)
	s.unseen = make(map[string]int)
	s.purged = make(map[string]bool)
	if o.TopicRegex != "" {
		s.regex = regexp.MustCompile(o.wholeRegex()) // validated
	}
	return nil
}

// connect makes the client, which begins to join the group.
func (s *consumer) connect(opts []kgo.Opt) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	if s.cl, err = kgo.NewClient(append(opts, kgo.WithContext(ctx))...); err != nil {
		cancel()
		return fmt.Errorf("make the Kafka client: %w", err)
	}
	s.sever = cancel
	s.adm = kadm.NewClient(s.cl)
	close(s.started)
	return nil
}

// leave leaves the group, unless the member is static, and closes the client.
// Once ctx has ended nothing is waited for any more: by itself the client waits
// for a rebalance that is under way, which waits for every other member.
func (s *consumer) leave(ctx context.Context) error {
	defer s.sever()
	err := s.cl.LeaveGroupContext(ctx)
	if err != nil {
		s.sever()
		err = fmt.Errorf("leave the consumer group: %w", err)
	}
	s.cl.Close()
	return err
}

func (s *consumer) wanted(topic string) bool {
	if s.regex != nil {
		return s.regex.MatchString(topic)
	}
	return slices.Contains(s.o.Topics, topic)
}

// openPart and closePart note what the next batch tells of a partition: the
// newest word counts. The caller holds mu.
func (s *consumer) openPart(name string) {
	s.out.Closed = slices.DeleteFunc(s.out.Closed, func(e pipeline.PartitionEnd) bool { return e.Partition == name })
	s.out.Open = append(s.out.Open, pipeline.PartitionTime{Partition: name, Time: math.MinInt64})
}

func (s *consumer) closePart(name string) {
	s.out.Open = slices.DeleteFunc(s.out.Open, func(t pipeline.PartitionTime) bool { return t.Partition == name })
	s.out.Closed = append(s.out.Closed, pipeline.PartitionEnd{Partition: name})
}

// wake lets Read look again. The caller holds mu.
func (s *consumer) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// setPosition moves a partition without a record, and has that committed. The
// caller holds mu.
func (s *consumer) setPosition(tp topicPartition, pos position) {
	s.next[tp] = pos
	s.known[tp.topic] = true
	if s.out.Positions == nil {
		s.out.Positions = make(map[string][]byte)
	}
	var owner uint64
	if p := s.assigned[tp]; p != nil {
		owner = p.owner
	}
	s.out.Positions[tp.String()] = pos.encodeHeld(owner)
}

// holds says whether a partition of topic is assigned. The caller holds mu.
func (s *consumer) holds(topic string) bool {
	for tp := range s.assigned {
		if tp.topic == topic {
			return true
		}
	}
	return false
}
