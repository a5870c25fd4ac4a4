package kafka

import (
	"context"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline"
)

// Source reads topics. It needs every partition of them: given fewer it stops
// reading, and Health says who holds the rest.
type Source struct {
	o       Options
	cl      *kgo.Client
	adm     *kadm.Client
	regex   *regexp.Regexp // nil: topics are named
	metrics *metrics
	stop    context.CancelFunc
	watcher sync.WaitGroup

	mu       sync.Mutex
	next     map[topicPartition]kgo.EpochOffset // where reading goes on
	assigned map[topicPartition]*part
	ends     map[topicPartition]int64 // every partition that there is, and its end
	checked  time.Time                // when ends was last asked for with success
	holders  string                   // who holds what is not ours, for people
	problem  problem
	commit   map[string]map[int32]kgo.EpochOffset // durable, not yet written to the group
	out      pipeline.Batch                       // Open, Closed, Positions of the next batch
	changed  chan struct{}                        // has a token when something above changed
}

// part is an assigned partition.
type part struct {
	name  string
	since time.Time // has stood at its end since; zero: it does not
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
		next:     make(map[topicPartition]kgo.EpochOffset),
		assigned: make(map[topicPartition]*part),
		ends:     make(map[topicPartition]int64),
		commit:   make(map[string]map[int32]kgo.EpochOffset),
		changed:  make(chan struct{}, 1),
	}
	if o.TopicRegex != "" {
		s.regex = regexp.MustCompile("^(?:" + o.TopicRegex + ")$") // validated
	}
	return s, nil
}

// Start joins the group. It does not wait for a broker: one that is away is
// waited for by Read, and told by Health.
func (s *Source) Start(_ context.Context, committed map[string][]byte) error {
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
			s.out.Closed = append(s.out.Closed, pipeline.PartitionEnd{Partition: name})
			continue
		}
		s.next[tp] = pos
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
	)
	if s.cl, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("make the Kafka client: %w", err)
	}
	s.adm = kadm.NewClient(s.cl)
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

// begin says where the partitions of a new assignment begin: after what was
// handed out or committed, otherwise where Options.Start says. A partition
// that has come to a topic which was read before begins at its start.
func (s *Source) begin(ctx context.Context, offered map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	s.mu.Lock()
	known := make(map[string]bool)
	for tp := range s.next {
		known[tp.topic] = true
	}
	var fresh []topicPartition
	for topic, parts := range offered {
		for p := range parts {
			tp := topicPartition{topic, p}
			pos, ok := s.next[tp]
			switch {
			case ok:
				parts[p] = kgo.NewOffset().At(pos.Offset).WithEpoch(pos.Epoch)
			case known[topic]:
				parts[p] = kgo.NewOffset().AtStart()
			default:
				fresh = append(fresh, tp)
			}
		}
	}
	s.mu.Unlock()
	if len(fresh) == 0 {
		return offered, nil
	}
	found, err := s.resolve(ctx, fresh)
	if err != nil {
		return nil, fmt.Errorf("find where to begin: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tp := range fresh {
		offset := found[tp]
		offered[tp.topic][tp.partition] = kgo.NewOffset().At(offset)
		s.next[tp] = kgo.EpochOffset{Epoch: -1, Offset: offset}
		// Committed at once: a restart before the first record begins here too.
		if s.out.Positions == nil {
			s.out.Positions = make(map[string][]byte)
		}
		s.out.Positions[tp.String()] = encodePosition(offset, -1)
	}
	return offered, nil
}

// resolve asks for the offsets that Options.Start means.
func (s *Source) resolve(ctx context.Context, tps []topicPartition) (map[topicPartition]int64, error) {
	topics := make(map[string]bool)
	for _, tp := range tps {
		topics[tp.topic] = true
	}
	names := slices.Sorted(maps.Keys(topics))
	var listed kadm.ListedOffsets
	var err error
	switch s.o.Start {
	case "earliest":
		listed, err = s.adm.ListStartOffsets(ctx, names...)
	case "latest":
		listed, err = s.listEnds(ctx, names)
	default:
		t, _ := time.Parse(time.RFC3339, s.o.Start) // validated
		listed, err = s.adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), names...)
	}
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, err
	}
	found := make(map[topicPartition]int64, len(tps))
	for _, tp := range tps {
		o, ok := listed.Lookup(tp.topic, tp.partition)
		if !ok {
			return nil, fmt.Errorf("no offset is known of %s", tp)
		}
		found[tp] = o.Offset
	}
	return found, nil
}

func (s *Source) listEnds(ctx context.Context, topics []string) (kadm.ListedOffsets, error) {
	if s.o.Isolation == "read_uncommitted" {
		return s.adm.ListEndOffsets(ctx, topics...)
	}
	return s.adm.ListCommittedOffsets(ctx, topics...)
}

func (s *Source) onAssigned(_ context.Context, _ *kgo.Client, got map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, parts := range got {
		for _, p := range parts {
			tp := topicPartition{topic, p}
			name := tp.String()
			s.assigned[tp] = &part{name: name}
			s.out.Open = append(s.out.Open, pipeline.PartitionTime{Partition: name, Time: math.MinInt64})
		}
	}
	s.metrics.assigned.Set(float64(len(s.assigned)))
	s.o.Log.Info("partitions assigned", zap.Int("now", len(s.assigned)))
	s.wake()
}

// onRevoked runs for lost partitions too. Their time keeps holding the
// watermark: what they bring meanwhile is not known here.
func (s *Source) onRevoked(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, parts := range gone {
		for _, p := range parts {
			delete(s.assigned, topicPartition{topic, p})
		}
	}
	s.metrics.assigned.Set(float64(len(s.assigned)))
	s.o.Log.Info("partitions taken away", zap.Int("now", len(s.assigned)))
	s.wake()
}

// wake lets Read look again. The caller holds mu.
func (s *Source) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Committed notes durable positions; they are written to the group soon.
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
			continue // this source wrote it; it was decoded when it was needed
		}
		if s.commit[tp.topic] == nil {
			s.commit[tp.topic] = make(map[int32]kgo.EpochOffset)
		}
		s.commit[tp.topic][tp.partition] = pos
	}
}

// Close leaves the group, after the durable positions are written to it.
func (s *Source) Close(ctx context.Context) error {
	if s.cl == nil {
		return nil
	}
	s.stop()
	s.watcher.Wait()
	err := s.report(ctx)
	s.cl.AllowRebalance()
	s.cl.Close()
	return err
}
