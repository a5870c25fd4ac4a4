package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
)

func buildDelivery(_ context.Context, _ *Config, _ *sqlite.Engine, _ []receiver, _ *zap.Logger, _ prometheus.Registerer) (func(context.Context) error, error) {
	return nil, nil
}
