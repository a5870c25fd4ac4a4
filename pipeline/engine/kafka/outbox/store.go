package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/sinks"
)

// storePause comes before the next try of a file or a broker that fails.
const storePause = time.Second

// Store keeps the fleet's alerts, and what people said about them, in a state
// file like the embedded engine's. How far it has read the topics lies in the
// file and changes with it, so that each alert state is stored exactly once; the
// group only says which worker reads, and shows the lag. A file that is new
// begins at the oldest record.
type Store struct {
	o      Options
	file   *sqlite.Engine
	saved  prometheus.Counter
	lost   prometheus.Counter
	failed prometheus.Counter
	lag    *prometheus.GaugeVec
	all    []prometheus.Collector

	mu    sync.Mutex
	parts map[int32]*storePart
}

// NewStore opens the state file at path, which belongs to this process from
// then on. so.NoOutbox is set: nothing is delivered from it.
func NewStore(ctx context.Context, path string, so sqlite.Options, o Options) (*Store, error) {
	so.NoOutbox = true
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	s := &Store{
		o:      o.withDefaults(),
		parts:  map[int32]*storePart{},
		saved:  counter("trailtide_store_alerts_total", "Alert states that were stored."),
		lost:   counter("trailtide_store_lost_total", "Records of the alerts topic that retention removed before they were stored."),
		failed: counter("trailtide_store_unreadable_total", "Records of the alerts and the control topic that could not be read."),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trailtide_store_lag_records",
			Help: "Records of the alerts topic that are not stored yet, for the partitions that this worker stores.",
		}, []string{"partition"}),
	}
	s.all = []prometheus.Collector{s.saved, s.lost, s.failed, s.lag}
	file, err := sqlite.Open(ctx, path, so)
	if err != nil {
		return nil, err
	}
	s.file = file
	if s.o.Registerer != nil {
		for i, c := range s.all {
			if err := s.o.Registerer.Register(c); err != nil {
				s.all = s.all[:i]
				return nil, errors.Join(fmt.Errorf("register alert store metrics: %w", err), s.Close())
			}
		}
	}
	return s, nil
}

// File is the open state file, to be asked for alerts.
func (s *Store) File() *sqlite.Reader { return s.file.Reader }

// Close closes the file. Not while Run is running.
func (s *Store) Close() error {
	if s.o.Registerer != nil {
		for _, c := range s.all {
			s.o.Registerer.Unregister(c)
		}
	}
	return s.file.Close()
}

// Run stores what comes until ctx ends, and answers nil then. While the file or
// the brokers fail it waits; an error is one that waiting does not mend, such as
// a damaged file.
func (s *Store) Run(ctx context.Context) error {
	if err := s.file.Restore(ctx, 0, func(engine.Table, []byte, []byte) error { return nil }); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // asked to stop
		}
		return fmt.Errorf("open the alert store: %w", err)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.alerts(gctx) })
	group.Go(func() error { return s.controls(gctx) })
	err := group.Wait()
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, engine.ErrUnavailable)) {
		return nil
	}
	return err
}

// alerts follows the alerts topic as a member of the store's group.
func (s *Store) alerts(ctx context.Context) error {
	cl, err := s.o.member(s.o.Names.StoreGroup(),
		kgo.OnPartitionsAssigned(s.assigned), kgo.OnPartitionsRevoked(s.gone), kgo.OnPartitionsLost(s.gone),
		kgo.AdjustFetchOffsetsFn(s.begin))
	if err != nil {
		return err
	}
	defer cl.leave()
	for {
		fetches := cl.PollRecords(ctx, 1000)
		err := s.polled(ctx, fetches)
		if err == nil {
			err = s.save(ctx, cl.Client, fetches)
		}
		cl.AllowRebalance()
		if err != nil {
			return err
		}
	}
}

// polled waits after an error of the brokers, and answers the end of ctx.
func (s *Store) polled(ctx context.Context, fetches kgo.Fetches) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, f := range fetches.Errors() {
		if _, loss := errors.AsType[*kgo.ErrDataLoss](f.Err); loss {
			continue
		}
		s.o.Log.Warn("the alert store waits for the brokers", zap.String("topic", f.Topic), zap.Error(f.Err))
		return pause(ctx)
	}
	return nil
}

func pause(ctx context.Context) error {
	timer := time.NewTimer(storePause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// save stores what was polled with where it stands, trying again while the
// file fails. Then the group is told, which is for people only.
func (s *Store) save(ctx context.Context, cl *kgo.Client, fetches kgo.Fetches) error {
	if fetches.NumRecords() == 0 {
		return nil
	}
	tx, err := s.file.Begin(ctx, 0)
	if err != nil {
		return fmt.Errorf("store alerts: %w", err)
	}
	saved := 0
	stands := map[*storePart]int64{}
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		p, at := s.part(f.Partition)
		if p == nil || len(f.Records) == 0 {
			return
		}
		if first := min(f.Records[0].Offset, f.LogStartOffset); at >= 0 && first > at {
			s.lost.Add(float64(first - at))
			s.o.Log.Error("alerts are not in the store: retention removed them before they were stored",
				zap.Int32("partition", f.Partition), zap.Int64("from_offset", at), zap.Int64("to_offset", first-1))
		}
		if at < 0 {
			at = f.Records[0].Offset
		}
		s.observe(f.Partition, at, f.HighWatermark)
		for _, r := range f.Records {
			if r.Attrs.IsControl() || header(r, "save") == "0" {
				continue
			}
			a, err := sinks.ParseAlert(r.Value)
			if err != nil {
				s.failed.Inc()
				s.o.Log.Error("an alert cannot be read and is not stored",
					zap.Int32("partition", r.Partition), zap.Int64("offset", r.Offset), zap.Error(err))
				continue
			}
			tx.Alert(a, true, false)
			saved++
		}
		stands[p] = f.Records[len(f.Records)-1].Offset + 1
		tx.Position(position("alerts", f.Partition), positionOf(stands[p]))
	})
	if err := s.retry(ctx, tx.Commit); err != nil {
		return err
	}
	s.mu.Lock()
	for p, at := range stands {
		p.at = at
	}
	s.mu.Unlock()
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if p, at := s.part(f.Partition); p != nil && len(f.Records) > 0 {
			s.observe(f.Partition, at, f.HighWatermark)
		}
	})
	s.saved.Add(float64(saved))
	if err := cl.CommitRecords(ctx, fetches.Records()...); err != nil && ctx.Err() == nil {
		s.o.Log.Debug("the store's group was not told where the file stands", zap.Error(err))
	}
	return nil
}

// retry makes a change of the file, waiting while it fails.
func (s *Store) retry(ctx context.Context, change func(context.Context) error) error {
	for told := false; ; told = true {
		err := change(ctx)
		if !errors.Is(err, engine.ErrUnavailable) {
			return err
		}
		if !told {
			s.o.Log.Error("the alert store fails; alerts wait in their topic", zap.Error(err))
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// controls follows every partition of the control topic from where the file
// stands.
func (s *Store) controls(ctx context.Context) error {
	topic := s.o.Names.Control()
	var from map[int32]kgo.Offset
	var cl *kgo.Client
	for from == nil {
		var err error
		if from, err = s.controlPlaces(ctx, topic); err != nil {
			s.o.Log.Warn("the alert store waits for the control topic", zap.Error(err))
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
	cl, err := s.o.connect(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		fetches := cl.PollRecords(ctx, 1000)
		if err := s.polled(ctx, fetches); err != nil {
			return err
		}
		var changes []sqlite.ControlChange
		positions := map[string][]byte{}
		fetches.EachRecord(func(r *kgo.Record) {
			positions[position("control", r.Partition)] = positionOf(r.Offset + 1)
			if r.Value == nil {
				changes = append(changes, sqlite.ControlChange{Key: string(r.Key)})
				return
			}
			c, err := control.Parse(r.Value)
			if err != nil {
				s.failed.Inc()
				s.o.Log.Error("what was said about an alert cannot be read", zap.String("key", string(r.Key)), zap.Error(err))
				return
			}
			changes = append(changes, sqlite.ControlChange{Key: c.Key(), Record: c})
		})
		if len(positions) == 0 {
			continue
		}
		err := s.retry(ctx, func(ctx context.Context) error { return s.file.Control(ctx, changes, positions) })
		if err != nil {
			return err
		}
	}
}

func (s *Store) controlPlaces(ctx context.Context, topic string) (map[int32]kgo.Offset, error) {
	cl, err := s.o.connect()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("find the start of %s: %w", topic, err)
	}
	positions, err := s.file.Positions(ctx)
	if err != nil {
		return nil, err
	}
	from := map[int32]kgo.Offset{}
	starts.Each(func(o kadm.ListedOffset) {
		at, ok := offsetOf(positions[position("control", o.Partition)])
		if !ok || at < o.Offset {
			at = o.Offset
		}
		from[o.Partition] = kgo.NewOffset().At(at)
	})
	return from, nil
}
