package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/outbox"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/pipeline/fleet"
	"github.com/trailtide/trailtide/pipeline/kafka"
)

// openFleet builds a worker of a fleet. It opens no connection to Kafka: the
// cluster may be away, and is waited for.
func openFleet(ctx context.Context, c *Config, rs *matcher.Ruleset, receivers []receiver, log *zap.Logger, r prometheus.Registerer) (*powered, error) {
	src, err := buildSharedSource(c, log, r)
	if err != nil {
		return nil, usageError(err)
	}
	k := &c.Kafka
	names := c.topics().Names
	f, err := fleet.New(fleet.Options{
		Client: k.Client, Names: names, Partitions: k.Partitions, AlertPartitions: k.AlertPartitions, InstanceID: k.InstanceID,
		SessionTimeout: k.SessionTimeout, TransactionTimeout: k.TransactionTimeout, CommitEvery: c.CommitInterval,
		MaxRecordBytes: c.topics().MaxMessageBytes,
		MetadataMinAge: k.MetadataMinAge, CacheBytes: int(k.CacheBytes), StopWithin: c.StopWithin, Worker: workerName(k.InstanceID),
		Alerting: c.alerting(), Source: src, Match: c.matching(rs, log, r), Log: log.Named("fleet"), Registerer: r,
	})
	if err != nil {
		return nil, runtimeError(err)
	}
	w := &checkedWorker{Fleet: f, c: c, log: log, passed: make(chan struct{})}
	p := &powered{worker: w}
	out := outbox.Options{
		Client: k.Client, Names: names, SessionTimeout: k.SessionTimeout, InstanceID: k.InstanceID, MetadataMinAge: k.MetadataMinAge,
		Log: log.Named("outbox"), Registerer: r,
	}
	var closers []func() error
	p.close = func(context.Context) error { // the worker closes the source
		var errs []error
		for _, f := range closers {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	if len(receivers) > 0 {
		box, err := outbox.Open(out)
		if err != nil {
			return nil, runtimeError(err)
		}
		closers = append(closers, box.Close)
		said, err := control.Follow(control.Options{
			Client: k.Client, Topic: names.Control(), MetadataMinAge: k.MetadataMinAge, Log: log.Named("control"),
		})
		if err != nil {
			return nil, errors.Join(usageError(err), p.close(ctx))
		}
		runner, err := buildDelivery(c, box, receivers, said.Muted, log, r)
		if err != nil {
			return nil, errors.Join(runtimeError(err), p.close(ctx))
		}
		w.register = runner.Register
		p.beside = append(p.beside, w.afterCheck(said.Run), w.afterCheck(afterLoaded(said, runner.Run)))
	}
	if c.Store.Path != "" {
		store, err := outbox.NewStore(ctx, c.Store.Path, sqlite.Options{AlertsMaxAge: c.Store.MaxAge, AlertsMaxRows: int64(c.Store.MaxAlerts)}, out)
		if err != nil {
			return nil, errors.Join(runtimeError(err), p.close(ctx))
		}
		closers = append(closers, store.Close)
		p.beside = append(p.beside, w.afterCheck(store.Run))
	}
	return p, nil
}

// buildSharedSource makes the source of a worker of a fleet.
func buildSharedSource(c *Config, log *zap.Logger, r prometheus.Registerer) (pipeline.Source, error) {
	if c.Source.Kafka == nil {
		return buildSource(c, log, r)
	}
	o := *c.Source.Kafka
	o.Log, o.Registerer = log.Named("kafka"), r
	if o.InstanceID == "" {
		o.InstanceID = c.Kafka.InstanceID // static in one group, static in the other
	}
	for _, warning := range o.Client.Warnings() {
		log.Warn("source.kafka", zap.String("warning", warning))
	}
	src, err := kafka.NewShared(o)
	if err != nil {
		return nil, fmt.Errorf("source.kafka: %w", err)
	}
	return src, nil
}

// workerName names this process: its static membership, or host and process
// with a number, so that no other one has it.
func workerName(instance string) string {
	if instance != "" {
		return instance
	}
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d-%08x", host, os.Getpid(), rand.Uint32())
}

// checkedWorker begins once the brokers are new enough and the topics are as
// they must be. Brokers that are away are waited for; what is wrong ends it.
type checkedWorker struct {
	*fleet.Fleet
	c        *Config
	log      *zap.Logger
	register func(ctx context.Context) error // gives the sinks their places; nil: there are none
	passed   chan struct{}                   // closed after the check

	mu      sync.Mutex
	problem error // why the check is not passed
}

// Run checks, and works.
func (w *checkedWorker) Run(ctx context.Context) error {
	if err := w.check(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	default:
	}
	close(w.passed)
	return w.Fleet.Run(ctx)
}

// Ready answers nil when the worker reads, counts and commits.
func (w *checkedWorker) Ready() error {
	w.mu.Lock()
	problem := w.problem
	w.mu.Unlock()
	if problem != nil {
		return problem
	}
	return w.Fleet.Ready()
}

// afterCheck runs f once the check is passed.
func (w *checkedWorker) afterCheck(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-w.passed:
			return f(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *checkedWorker) check(ctx context.Context) error {
	wait := 100 * time.Millisecond
	for {
		err := w.try(ctx)
		var coded *codedError
		stopped := ctx.Err() != nil
		if stopped || err == nil || errors.As(err, &coded) {
			w.set(nil)
			if stopped {
				err = nil // asked to stop before it began
			}
			return err
		}
		if w.set(err) {
			w.log.Error("the cluster does not answer; waiting for it", zap.Error(err))
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// set notes why the check is not passed, and says whether that is news.
func (w *checkedWorker) set(err error) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news = err != nil && w.problem == nil
	w.problem = err
	return news
}

// try makes one check. A coded error is for good.
func (w *checkedWorker) try(ctx context.Context) error {
	cl, err := fleetClient(w.c)
	if err != nil {
		return usageError(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err = topics.BrokerVersion(ctx, cl)
	if err == nil {
		err = checkOneCluster(ctx, w.c, cl)
	}
	switch {
	case errors.Is(err, topics.ErrBroker), errors.Is(err, topics.ErrTwoClusters):
		return usageError(err)
	case err != nil:
		return fmt.Errorf("kafka %s: %w", strings.Join(w.c.Kafka.Client.Brokers, ","), err)
	}
	problems, _, err := topics.Check(ctx, kadm.NewClient(cl), w.c.topics())
	if err != nil {
		return fmt.Errorf("check the topics: %w", err)
	}
	for _, p := range problems {
		if topics.Errors([]topics.Problem{p}) == nil {
			w.log.Warn("topics", zap.Stringer("problem", p))
		}
	}
	if err := topics.Errors(problems); err != nil {
		return usageError(err)
	}
	if w.register != nil {
		if err := w.register(ctx); err != nil {
			return fmt.Errorf("give the sinks their places: %w", err)
		}
	}
	if !w.c.replay.IsZero() {
		return w.c.rewind(ctx, w.log)
	}
	return nil
}
