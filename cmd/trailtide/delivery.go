package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/deliver"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// buildDelivery makes what delivers from the outbox to the receivers, nil
// without any. muted says which alerts people do not want to be told of.
func buildDelivery(
	c *Config, outbox engine.Outbox, receivers []receiver, muted func(*sinks.Alert) (string, bool), log *zap.Logger, r prometheus.Registerer,
) (*deliver.Runner, error) {
	if len(receivers) == 0 {
		return nil, nil //nolint:nilnil // nothing to run is a valid answer
	}
	o := deliver.Options{Outbox: outbox, Muted: muted, StopTimeout: c.StopWithin, Logger: log.Named("deliver"), Metrics: r}
	for _, rc := range receivers {
		from, err := startOf(rc.conf.From)
		if err != nil {
			return nil, fmt.Errorf("sink %s: %w", rc.conf.Name, err)
		}
		least := rc.conf.MinSeverity
		if least == "" {
			least = "low"
		}
		o.Routes = append(o.Routes, deliver.Route{
			Name: rc.conf.Name, Sink: rc.sink, Retry: rc.conf.Retry.policy(), Batch: rc.conf.Batch, From: from,
			Filter: deliver.Filter{
				MinSeverity: least, Rules: rc.conf.Rules, ExcludeRules: rc.conf.ExcludeRules,
				MaxAge: rc.conf.MaxAge, StaleToDead: rc.conf.Stale == staleToDead,
			},
		})
	}
	return deliver.New(o)
}

// startOf reads where a new sink begins: newest, oldest or a time.
func startOf(word string) (engine.Start, error) {
	switch word {
	case "", "newest":
		return engine.FromNewest, nil
	case "oldest":
		return engine.FromOldest, nil
	}
	t, err := time.Parse(time.RFC3339, word)
	if err != nil {
		return 0, fmt.Errorf("from: %q is not newest, oldest or a time like 2026-01-02T15:04:05Z", word)
	}
	return engine.FromTime(t), nil
}

func isReceiver(receivers []receiver, name string) bool {
	return slices.ContainsFunc(receivers, func(r receiver) bool { return r.conf.Name == name })
}
