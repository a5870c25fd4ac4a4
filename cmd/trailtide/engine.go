package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
)

// powered is a worker on the engine that the configuration names, and what runs
// beside it.
type powered struct {
	worker interface {
		Run(ctx context.Context) error
		Ready() error
		SetRules(rs *matcher.Ruleset)
		Summary() pipeline.Summary
	}
	// beside run until the worker has ended: delivery and the like.
	beside []func(ctx context.Context) error
	// drain waits until what the worker has made is delivered; nil: others do that.
	drain func(ctx context.Context)
	// close releases everything; the worker has ended or was not begun.
	close func(ctx context.Context) error
}

// openEngine builds the worker on its engine.
func openEngine(ctx context.Context, c *Config, rs *matcher.Ruleset, receivers []receiver, log *zap.Logger, r prometheus.Registerer) (*powered, error) {
	if c.Engine == engineKafka {
		return openFleet(ctx, c, rs, receivers, log, r)
	}
	return openEmbedded(ctx, c, rs, receivers, log, r)
}

func openEmbedded(ctx context.Context, c *Config, rs *matcher.Ruleset, receivers []receiver, log *zap.Logger, r prometheus.Registerer) (*powered, error) {
	src, err := buildSource(c, log, r)
	if err != nil {
		return nil, usageError(err)
	}
	eng, err := sqlite.Open(ctx, c.SQLite.Path, sqlite.Options{
		NoOutbox: len(receivers) == 0, AlertsMaxAge: c.SQLite.MaxAge, AlertsMaxRows: int64(c.SQLite.MaxAlerts),
	})
	if err != nil {
		return nil, runtimeError(err)
	}
	o := c.matching(rs, log, r)
	o.Source, o.Engine, o.Replay = src, eng, !c.replay.IsZero()
	w, err := pipeline.New(o)
	if err != nil {
		return nil, errors.Join(runtimeError(err), eng.Close())
	}
	closeAll := func(ctx context.Context) error { return errors.Join(src.Close(ctx), eng.Close()) }
	p := &powered{worker: w, close: closeAll, drain: func(ctx context.Context) { waitDelivered(ctx, eng, receivers) }}
	if err := forgetSinks(ctx, eng, receivers, log); err != nil {
		return nil, errors.Join(runtimeError(err), eng.Close())
	}
	said := control.FollowFile(eng.Controls, log.Named("control"))
	runner, err := buildDelivery(c, eng, receivers, said.Muted, log, r)
	if err != nil {
		return nil, errors.Join(runtimeError(err), eng.Close())
	}
	if runner != nil {
		// Before the first alert is committed: an entry is kept until every sink
		// that is registered has passed it.
		if err := runner.Register(ctx); err != nil {
			return nil, errors.Join(runtimeError(err), eng.Close())
		}
		p.beside = append(p.beside, said.Run, afterLoaded(said, runner.Run))
	}
	return p, nil
}

// matching are the options that do not depend on the engine.
func (c *Config) matching(rs *matcher.Ruleset, log *zap.Logger, r prometheus.Registerer) pipeline.Options {
	return pipeline.Options{
		Rules: rs, Lanes: c.Lanes, CommitEvery: c.CommitInterval, StopWithin: c.StopWithin,
		ValidateFull: c.Validate == "full", Limits: c.limits(), Alerting: c.alerting(), Log: log, Registerer: r,
	}
}

// afterLoaded runs delivery once it is known what people have said about
// alerts, or is not known soon.
func afterLoaded(said *control.Follower, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		t := time.NewTimer(10 * time.Second)
		defer t.Stop()
		select {
		case <-said.Loaded():
		case <-t.C:
		case <-ctx.Done():
		}
		return run(ctx)
	}
}

// forgetSinks gives up the places of sinks that are no longer configured, for
// they would keep the outbox from being trimmed.
func forgetSinks(ctx context.Context, eng *sqlite.Engine, receivers []receiver, log *zap.Logger) error {
	places, err := eng.Places(ctx)
	if err != nil {
		return fmt.Errorf("read the outbox's readers: %w", err)
	}
	for _, p := range places {
		if isReceiver(receivers, p.Consumer) {
			continue
		}
		unread, err := eng.Forget(ctx, p.Consumer)
		if err != nil {
			return fmt.Errorf("forget sink %s: %w", p.Consumer, err)
		}
		log.Warn("a sink is not configured any more; what it had not delivered is given up",
			zap.String("sink", p.Consumer), zap.Int64("alerts", unread))
	}
	return nil
}

// waitDelivered waits until every sink has passed all that is in the outbox.
func waitDelivered(ctx context.Context, eng *sqlite.Engine, receivers []receiver) {
	if len(receivers) == 0 {
		return
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		places, err := eng.Places(ctx)
		if err != nil {
			return
		}
		unread := int64(0)
		for _, p := range places {
			unread += p.Unread
		}
		if unread == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
