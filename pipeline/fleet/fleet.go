// Package fleet is one of many workers that share a stream on Kafka. Its match
// stage writes every match to the partition of the repartition topic that counts
// it; its alert stage owns some of these partitions. Each makes what it does
// durable in transactions. docs/adr/0004-fleet.md says why.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/sinks/kafka/client"
	"github.com/trailtide/trailtide/window"
)

// Options of a Fleet. Zero values are the defaults where one is named.
type Options struct {
	Client     client.Options
	Names      topics.Names
	Partitions int // of the repartition topic
	// AlertPartitions of the alerts topic. Default 1.
	AlertPartitions int
	// InstanceID makes the alert stage's member static (KIP-345): a restart
	// within the session timeout moves no partition. Default: dynamic.
	InstanceID         string
	SessionTimeout     time.Duration // of the alert stage's member; default 10 s
	TransactionTimeout time.Duration // default 10 s
	CommitEvery        time.Duration // default 200 ms
	MaxRecordBytes     int           // what the topics take as one record; default 4 MiB
	MetadataMinAge     time.Duration // default 250 ms
	CacheBytes         int           // recent events kept for alerts; default 32 MiB
	StopWithin         time.Duration // of a graceful stop; default 10 s
	// Worker names this one in markers, logs and IDs of its own. Required, and
	// no other worker's.
	Worker   string
	Alerting alerting.Options

	// Source is what the match stage reads. One that is Shared commits to its
	// group; of others the positions are kept in a topic.
	Source pipeline.Source
	// Match are the options of matching. Source, Open, Describe, Engine and
	// Alerting are set by New.
	Match pipeline.Options

	Log        *zap.Logger           // nil: none
	Registerer prometheus.Registerer // nil: no metrics are exposed
	Now        func() time.Time      // nil: time.Now
}

// Shared is a source whose partitions a consumer group shares out among the
// workers, and whose positions are the group's offsets.
type Shared interface {
	pipeline.Source
	// Claim answers the offsets of positions under the membership at hand, and
	// the partitions that are not this worker's any more. The membership is read
	// before the ownership is looked at.
	Claim(positions map[string][]byte) (offsets *txn.Offsets, lost []string)
}

func (o *Options) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.SessionTimeout, 10*time.Second)
	def(&o.TransactionTimeout, 10*time.Second)
	def(&o.CommitEvery, 200*time.Millisecond)
	def(&o.MetadataMinAge, 250*time.Millisecond)
	def(&o.StopWithin, 10*time.Second)
	o.AlertPartitions = max(o.AlertPartitions, 1)
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 20
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Fleet is one worker of a fleet.
type Fleet struct {
	o       Options
	log     *zap.Logger
	metrics *metrics
	engine  *enginekafka.Engine
	worker  *pipeline.Worker // the match stage
	spreads *spreads
	slot    *slot
	way     writer

	mu       sync.Mutex
	alert    *alertStage // nil before Run
	troubles map[string]error
	reading  error
	lost     losses
	admin    *kgo.Client
}

// New returns a Fleet. It opens no connection.
func New(o Options) (*Fleet, error) {
	if o.Partitions <= 0 || o.Worker == "" || o.Source == nil {
		return nil, errors.New("a worker of a fleet needs a name, a source and the number of repartition partitions")
	}
	o.setDefaults()
	f := &Fleet{o: o, log: o.Log, metrics: newMetrics(o.Registerer), spreads: &spreads{}, troubles: make(map[string]error)}
	f.slot = newSlot(f)
	m := o.Match
	m.Source, m.Open, m.Describe = o.Source, f.openMatch, f.spreads.describe
	m.CommitEvery, m.StopWithin, m.Log, m.Registerer, m.Now = o.CommitEvery, o.StopWithin, o.Log, o.Registerer, o.Now
	w, err := pipeline.New(m)
	if err != nil {
		return nil, err
	}
	f.worker = w
	return f, nil
}

// SetRules makes rs the rules of every event that is matched from now on. The
// alert stage counts each match by the rule that it was made with.
func (f *Fleet) SetRules(rs *matcher.Ruleset) { f.worker.SetRules(rs) }

// Summary is what this worker did so far: what its match stage read, and what
// its alert stage made of matches, its own and others'.
func (f *Fleet) Summary() pipeline.Summary { return f.worker.Summary() }

// Ready answers nil when the worker reads, counts and commits.
func (f *Fleet) Ready() error {
	if err := f.worker.Ready(); err != nil {
		return err
	}
	f.mu.Lock()
	a, reading := f.alert, f.reading
	var trouble error
	for name, err := range f.troubles {
		trouble = fmt.Errorf("%s: %w", name, err)
		break
	}
	f.mu.Unlock()
	switch {
	case a == nil:
		return errors.New("starting")
	case trouble != nil:
		return trouble
	case reading != nil:
		return reading
	}
	return a.ready()
}

// trouble notes why a partition does not go on; nil: it does.
func (f *Fleet) trouble(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.troubles, name)
		return
	}
	f.troubles[name] = err
}

// readFailed notes that the repartition topic cannot be read; nil: it can.
// Logged once until it is over.
func (f *Fleet) readFailed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && f.reading == nil:
		f.log.Error("the repartition topic cannot be read; trying on", zap.Error(err))
	case err == nil && f.reading != nil:
		f.log.Info("the repartition topic can be read again")
	}
	f.reading = err
}

// Run works until ctx ends or the source does: both answer nil, after a last
// commit of both stages. It closes the source. Run is called once.
func (f *Fleet) Run(ctx context.Context) error {
	admin, err := f.newAdmin()
	if err != nil {
		return err
	}
	defer admin.Close()
	// An owner that cannot go on ends the worker.
	run, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	a, err := newAlertStage(run, fail, f)
	if err != nil {
		return err
	}
	if f.engine, err = enginekafka.New(f.engineOptions(a)); err != nil {
		return err
	}
	f.mu.Lock()
	f.alert, f.admin = a, admin
	f.mu.Unlock()
	close(a.started)

	reading, stopReading := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReading()
	var poll sync.WaitGroup
	poll.Go(func() { a.run(reading) })
	poll.Go(func() { a.watchLag(reading) })
	err = f.worker.Run(run)
	if cause := context.Cause(run); ctx.Err() == nil && cause != nil {
		err = errors.Join(err, cause)
	}
	// What is not committed by now never will be: whoever waits for the source's
	// partitions need not wait for more.
	var closing sync.WaitGroup
	closing.Go(func() { f.closeSource(ctx) })
	stopReading()
	poll.Wait()
	a.stop(f.o.StopWithin)
	closing.Wait()
	if f.way != nil {
		f.way.close()
	}
	return errors.Join(err, f.engine.Close())
}

// closeSource leaves the source to the other workers.
func (f *Fleet) closeSource(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.o.StopWithin)
	defer cancel()
	if err := f.o.Source.Close(ctx); err != nil {
		f.log.Warn("the source did not close cleanly; others take over when its session ends", zap.Error(err))
	}
}

func (f *Fleet) engineOptions(a *alertStage) enginekafka.Options {
	return enginekafka.Options{
		Client: f.o.Client, Names: f.o.Names, Partitions: f.o.Partitions, AlertsPartitions: f.o.AlertPartitions,
		Timeout: f.o.TransactionTimeout, MetadataMinAge: f.o.MetadataMinAge, CacheBytes: f.o.CacheBytes,
		Offsets: a.offsets, Now: f.o.Now, Log: f.log, Registerer: f.o.Registerer,
	}
}

func (f *Fleet) newAdmin() (*kgo.Client, error) {
	opts, err := f.o.Client.KgoOpts()
	if err != nil {
		return nil, fmt.Errorf("make the fleet's client: %w", err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.MetadataMinAge(f.o.MetadataMinAge))...)
	if err != nil {
		return nil, fmt.Errorf("make the fleet's client: %w", err)
	}
	return cl, nil
}

func (f *Fleet) txnOptions(id string) txn.Options {
	return txn.Options{
		Client: f.o.Client, ID: id, Timeout: f.o.TransactionTimeout, MetadataMinAge: f.o.MetadataMinAge, MaxBytes: f.o.MaxRecordBytes, Log: f.log,
		Aborted: f.metrics.aborts.Inc, Fenced: f.metrics.fenced.Inc,
	}
}

// alerting are the options of one partition's alert stage: the bounds are
// shared by all of them, for one worker may come to own every partition.
func (f *Fleet) alerting() alerting.Options {
	o := f.o.Alerting
	share := func(n int) int {
		if n <= 0 {
			return n
		}
		return max(1, n/f.o.Partitions)
	}
	if o.MaxSeen <= 0 {
		o.MaxSeen = alerting.DefaultMaxSeen
	}
	if o.Windows.MaxKeys <= 0 {
		o.Windows.MaxKeys = window.DefaultMaxKeys
	}
	if o.Windows.MaxBytes <= 0 {
		o.Windows.MaxBytes = window.DefaultMaxBytes
	}
	o.MaxSeen, o.Windows.MaxKeys = share(o.MaxSeen), share(o.Windows.MaxKeys)
	o.Windows.MaxBytes = max(1<<20, o.Windows.MaxBytes/int64(f.o.Partitions))
	o.Lookup = f.lookup
	return o
}

// lookup finds events in the repartition topic.
func (f *Fleet) lookup(ctx context.Context, p int, offsets []int64) ([]*alerting.Event, error) {
	values, err := f.engine.Archive().Fetch(ctx, p, offsets)
	if err != nil {
		return nil, err
	}
	out := make([]*alerting.Event, len(values))
	for i, v := range values {
		if v == nil {
			continue
		}
		if out[i], err = repartition.DecodeEvent(v); err != nil {
			return nil, fmt.Errorf("record %d of partition %d: %w", offsets[i], p, err)
		}
	}
	return out, nil
}

// fenceSlot ends what a dead worker left open whose match stage used the ID of
// repartition partition p.
func (f *Fleet) fenceSlot(ctx context.Context, p int) error {
	pr, err := txn.Open(ctx, f.txnOptions(f.matchID(p)))
	if err != nil {
		return err
	}
	pr.Close()
	return nil
}

// openMatch opens the match stage, and answers the source's positions where
// they are kept in a topic.
func (f *Fleet) openMatch(ctx context.Context) (pipeline.Stage, map[string][]byte, error) {
	if src, ok := f.o.Source.(Shared); ok {
		f.way = &sharedWriter{f: f, claim: src.Claim}
		return newMatchStage(f, f.way), nil, nil
	}
	l := newLedger(f)
	f.way = l
	if src, ok := f.o.Source.(pipeline.Leased); ok {
		src.UseLedger(l)
		return newMatchStage(f, l), nil, nil
	}
	positions, err := l.takeAll(ctx)
	return newMatchStage(f, l), positions, err
}
