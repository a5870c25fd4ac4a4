package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/deliver"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
)

// buildDelivery gives each sink its place in the outbox and returns what runs
// them, nil without sinks. Places of sinks that are no longer configured are
// given up, for they would keep the outbox from being trimmed.
func buildDelivery(ctx context.Context, c *Config, eng *sqlite.Engine, receivers []receiver, log *zap.Logger, r prometheus.Registerer) (func(context.Context) error, error) {
	places, err := eng.Places(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the outbox's readers: %w", err)
	}
	for _, p := range places {
		if slices.ContainsFunc(receivers, func(r receiver) bool { return r.conf.Name == p.Consumer }) {
			continue
		}
		unread, err := eng.Forget(ctx, p.Consumer)
		if err != nil {
			return nil, fmt.Errorf("forget sink %s: %w", p.Consumer, err)
		}
		log.Warn("a sink is not configured any more; what it had not delivered is given up",
			zap.String("sink", p.Consumer), zap.Int64("alerts", unread))
	}
	if len(receivers) == 0 {
		return nil, nil //nolint:nilnil // nothing to run is a valid answer
	}
	o := deliver.Options{Outbox: eng, StopTimeout: c.StopWithin, Logger: log.Named("deliver"), Metrics: r}
	for _, rc := range receivers {
		from := engine.FromNewest
		if rc.conf.From == "oldest" {
			from = engine.FromOldest
		}
		least := rc.conf.MinSeverity
		if least == "" {
			least = "low"
		}
		o.Routes = append(o.Routes, deliver.Route{
			Name: rc.conf.Name, Sink: rc.sink, Retry: rc.conf.Retry.policy(), Batch: rc.conf.Batch, From: from,
			Filter: deliver.Filter{
				MinSeverity: least, Rules: rc.conf.Rules, ExcludeRules: rc.conf.ExcludeRules, MaxAge: rc.conf.MaxAge,
			},
		})
	}
	runner, err := deliver.New(o)
	if err != nil {
		return nil, err
	}
	// Before the first alert is committed: an entry is kept until every sink
	// that is registered has passed it.
	if err := runner.Register(ctx); err != nil {
		return nil, err
	}
	return runner.Run, nil
}
