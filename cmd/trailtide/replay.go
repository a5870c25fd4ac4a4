package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/kafka"
)

// setReplay has the worker read its source again from a time: RFC 3339, or so
// long ago. What was seen before is known by its identity and not counted again.
func (c *Config) setReplay(from string, now time.Time) error {
	t, err := time.Parse(time.RFC3339, from)
	if ago, agoErr := time.ParseDuration(from); agoErr == nil && ago > 0 {
		t, err = now.Add(-ago), nil
	}
	switch {
	case err != nil:
		return fmt.Errorf("--replay: %q is neither a time like 2026-01-02T15:04:05Z nor a duration like 90m", from)
	case t.After(now):
		return fmt.Errorf("--replay: %s is yet to come", from)
	case c.Source.Files != nil:
		return errors.New("--replay: files have no time to go back to; trailtide scan reads them again")
	case c.Source.Kinesis != nil && c.Engine == engineKafka:
		return errors.New("--replay: the shards of a fleet on Kinesis cannot be set back; begin with new kafka.prefix and leases, and with start: TIME")
	case c.Source.Kinesis != nil:
		c.Source.Kinesis.Start = t.UTC().Format(time.RFC3339)
	default:
		c.Source.Kafka.Start = t.UTC().Format(time.RFC3339)
	}
	c.replay = t
	return nil
}

// rewind sets the offsets of a fleet back. Nobody may read meanwhile.
func (c *Config) rewind(ctx context.Context, log *zap.Logger) error {
	err := kafka.Rewind(ctx, *c.Source.Kafka, c.replay)
	if errors.Is(err, kafka.ErrMembers) {
		return usageError(fmt.Errorf("--replay: %w; stop all workers first, or wait until the sessions of those that died have ended", err))
	}
	if err == nil {
		log.Info("the source is read again", zap.Time("from", c.replay))
	}
	return err
}
