package fleet

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/sinks"
)

// matchStage writes what matching found to the repartition topic: a
// pipeline.Stage. It keeps nothing that a commit could have to undo, for an
// interval is kept encoded until it is durable.
type matchStage struct {
	f    *Fleet
	way  writer
	live bool

	bundles map[string]*bundle    // of the open interval
	times   map[string]*partTime  // of partitions that were told of, as far as durable
	exists  map[string]bool       // every source partition that there is
	stays   map[string]int64      // under leases: the stay at hand
	changed bool                  // exists has changed since it was last told
	told    time.Time             // when exists was last told
	invalid []engine.InvalidEvent // dead letters of the open interval
	dropped []string              // partitions whose bundles were left to their new holders
	now     time.Time
	open    bool
}

// partTime is how far a source partition has come, and where it stands.
type partTime struct {
	part     repartition.Part
	position []byte
}

// existsEvery is how often the list of source partitions is told though nothing
// has changed: who takes a repartition partition over can tell those that are gone.
const existsEvery = 30 * time.Second

func newMatchStage(f *Fleet, w writer) *matchStage {
	return &matchStage{
		f: f, way: w, bundles: make(map[string]*bundle), times: make(map[string]*partTime), exists: make(map[string]bool), stays: make(map[string]int64), changed: true,
	}
}

func (s *matchStage) Begin(_ context.Context, now time.Time) error {
	s.now, s.open = now, true
	return nil
}

// Txn is the open interval itself.
func (s *matchStage) Txn() engine.Txn { return (*interval)(s) }

func (s *matchStage) bundle(name string) *bundle {
	b := s.bundles[name]
	if b == nil {
		b = newBundle(name, s.stays[name])
		s.bundles[name] = b
	}
	return b
}

// Partition says that a source partition exists, read here or elsewhere.
func (s *matchStage) Partition(name string, floor int64) {
	if !s.exists[name] {
		s.exists[name] = true
		s.changed = true
	}
	if floor > s.bundleTime(name) {
		s.bundle(name).times.Reached = floor
	}
}

func (s *matchStage) bundleTime(name string) int64 {
	if b := s.bundles[name]; b != nil {
		return b.times.Reached
	}
	return repartition.NoTime
}

func (s *matchStage) Reached(name string, t int64) {
	b := s.bundle(name)
	b.times.Reached = max(b.times.Reached, t)
}

func (s *matchStage) Idle(name string, t int64) {
	b := s.bundle(name)
	b.times.Idle = max(b.times.Idle, t)
}

// Heirs go with the transaction that closes name, and with no other: it may be
// late, and an heir's own end be told already.
func (s *matchStage) Heirs(name string, heirs []string) { s.bundle(name).heirs = heirs }

func (s *matchStage) Closed(name string) {
	s.bundle(name).closed = true
	delete(s.stays, name)
	if s.exists[name] {
		delete(s.exists, name)
		s.changed = true
	}
}

// Begins implements pipeline.Loser. What is left of a stay before has no one to
// commit it.
func (s *matchStage) Begins(name string, stay int64) {
	if stay == 0 || s.stays[name] == stay {
		return
	}
	if b := s.bundles[name]; b != nil && b.stay != stay {
		s.drop(name)
	}
	s.stays[name] = stay
}

// Lost drops what is not durable of a partition that has another reader.
func (s *matchStage) Lost(name string) {
	if b := s.bundles[name]; b != nil && b.position != nil {
		s.f.metrics.dropped.Inc()
	}
	delete(s.bundles, name)
	// They are of no bundle yet, and must not come into that of the next stay,
	// which reads the same events again.
	is := func(other string) bool { return other == name }
	s.invalid = slices.DeleteFunc(s.invalid, func(d engine.InvalidEvent) bool { return bundleOf(d.Position, is) == name })
	delete(s.times, name)
	if l, leased := s.way.(*ledger); leased {
		l.left(name)
		delete(s.stays, name)
		delete(s.exists, name) // its new holder tells of it, and when it is finished
	}
}

// drop leaves what the interval holds of a partition to its new holder.
func (s *matchStage) drop(name string) {
	if b := s.bundles[name]; b != nil && b.position != nil {
		s.f.log.Info("results of a partition that was taken away are dropped; its new holder reads them", zap.String("partition", name))
		s.f.metrics.dropped.Inc()
		s.dropped = append(s.dropped, name)
	}
	delete(s.bundles, name)
	delete(s.times, name)
}

// Dropped implements pipeline.Loser.
func (s *matchStage) Dropped() []string { return s.dropped }

func (s *matchStage) Apply(ev *alerting.Event) {
	b := s.bundle(ev.Partition)
	b.add(ev, s.f.spreads, s.f.o.Names.Repartition(), s.f.o.Partitions)
	b.times.Reached = max(b.times.Reached, ev.Reached)
}

func (s *matchStage) Advance(live bool) { s.live = live }

func (s *matchStage) Flush(context.Context) error { return nil }

// Committed ends a durable interval. What it counted is told by the alert stage.
func (s *matchStage) Committed() alerting.Counts {
	clear(s.bundles)
	s.dropped = s.dropped[:0]
	clear(s.invalid)
	s.invalid = s.invalid[:0]
	s.open = false
	return alerting.Counts{}
}

func (s *matchStage) RolledBack() { s.Committed() }

// interval is a matchStage as the transaction of its open interval.
type interval matchStage

var (
	_ pipeline.Stage     = (*matchStage)(nil)
	_ pipeline.Heritable = (*matchStage)(nil)
	_ engine.Txn         = (*interval)(nil)
)

// Put, Delete and Alert belong to stages with state; a match stage has none.
func (*interval) Put(engine.Table, []byte, []byte)   {}
func (*interval) Delete(engine.Table, []byte)        {}
func (*interval) Alert(*sinks.Alert, bool, bool)     {}
func (i *interval) Abort(context.Context) error      { return nil }
func (i *interval) Commit(ctx context.Context) error { return (*matchStage)(i).commit(ctx) }

func (i *interval) Position(partition string, position []byte) {
	(*matchStage)(i).bundle(partition).position = position
}

func (i *interval) DeadLetter(position, reason string, raw []byte) {
	kept := raw[:min(len(raw), engine.DefaultMaxRaw)]
	i.invalid = append(i.invalid, engine.InvalidEvent{
		Position: position, Reason: reason, Raw: bytes.Clone(kept), Size: len(raw), Time: i.now.UTC(),
	})
}

// commit makes the interval durable through the way that the source's positions
// take.
func (s *matchStage) commit(ctx context.Context) error {
	topic, n := s.f.o.Names.Repartition(), s.f.o.Partitions
	for _, d := range s.invalid {
		name := bundleOf(d.Position, func(name string) bool { return s.bundles[name] != nil })
		r, err := enginekafka.InvalidRecord(s.f.o.Names.Invalid(), d)
		if err != nil {
			return err
		}
		b := s.bundle(name)
		b.dead = append(b.dead, r)
	}
	s.invalid = s.invalid[:0]
	for _, b := range s.bundles {
		b.seal(s.f.spreads, topic, n)
	}
	return s.way.commit(ctx, s)
}

// marker makes the marker of the given bundles' partitions and of those of
// times, as it is true once the bundles are durable.
func (s *matchStage) marker(bundles []*bundle, times map[string]*partTime) *repartition.Marker {
	m := &repartition.Marker{Writer: s.f.o.Worker, Written: s.now.UnixNano()}
	parts := make(map[string]repartition.Part, len(times)+len(bundles))
	for name, t := range times {
		p := t.part
		p.Live = s.live
		parts[name] = p
	}
	for _, b := range bundles {
		if b.closed {
			m.Closed = append(m.Closed, b.name)
			delete(parts, b.name)
			continue
		}
		p, known := parts[b.name]
		if !known {
			p = repartition.Part{Name: b.name, Reached: repartition.NoTime}
		}
		p.Reached, p.Idle, p.Live = max(p.Reached, b.times.Reached), max(p.Idle, b.times.Idle), s.live
		parts[b.name] = p
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		m.Parts = append(m.Parts, parts[name])
	}
	slices.Sort(m.Closed)
	return m
}

// settle keeps what the durable bundles said of their partitions.
func (s *matchStage) settle(bundles []*bundle) {
	for _, b := range bundles {
		if b.closed {
			delete(s.times, b.name)
			continue
		}
		t := s.times[b.name]
		if t == nil {
			t = &partTime{part: repartition.Part{Name: b.name, Reached: repartition.NoTime}}
			s.times[b.name] = t
		}
		t.part.Reached, t.part.Idle = max(t.part.Reached, b.times.Reached), max(t.part.Idle, b.times.Idle)
		if b.position != nil {
			t.position = b.position
		}
	}
}

// opening is the marker that tells which partitions exist, if it is due: before
// any record moves one of them.
func (s *matchStage) opening() *repartition.Marker {
	if !s.changed && s.now.Sub(s.told) < existsEvery {
		return nil
	}
	return &repartition.Marker{
		Writer: s.f.o.Worker, Written: s.now.UnixNano(), Exists: slices.Sorted(maps.Keys(s.exists)),
	}
}

// heirs is the marker of those of the given bundles; nil: there are none.
func (s *matchStage) heirs(bundles []*bundle) *repartition.Marker {
	m := &repartition.Marker{Writer: s.f.o.Worker, Written: s.now.UnixNano()}
	for _, b := range bundles {
		m.Exists = append(m.Exists, b.heirs...)
	}
	if len(m.Exists) == 0 {
		return nil
	}
	return m
}

// everywhere makes a record of value for each repartition partition.
func (s *matchStage) everywhere(dst []*kgo.Record, value []byte) []*kgo.Record {
	for p := range s.f.o.Partitions {
		dst = append(dst, &kgo.Record{Topic: s.f.o.Names.Repartition(), Partition: int32(p), Value: value}) //nolint:gosec // a count of partitions
	}
	return dst
}
