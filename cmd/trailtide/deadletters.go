package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/outbox"
)

func newDeadLetters() *cobra.Command {
	var state stateFlag
	cmd := &cobra.Command{
		Use:   "dead-letters",
		Short: "Show what could not be read or delivered",
		Long: `Dead-letters shows what a worker could not read and what a sink could not deliver: of a state
file, or, with the configuration of a fleet, of its dead-letter topics.`,
	}
	state.flags(cmd)
	cmd.AddCommand(&cobra.Command{
		Use:   "events",
		Short: "Events that could not be read, as NDJSON: position, reason, raw",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			enc := json.NewEncoder(cmd.OutOrStdout())
			return state.eachInvalid(cmd.Context(), func(e engine.InvalidEvent) error {
				return enc.Encode(deadLine{e.Position, e.Reason, e.Time, string(e.Raw)})
			})
		},
	}, &cobra.Command{
		Use:   "alerts",
		Short: "Alerts that a sink could not deliver, as NDJSON: sink, reason, alert",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			enc := json.NewEncoder(cmd.OutOrStdout())
			return state.eachDead(cmd.Context(), func(d engine.DeadLetter) error {
				return enc.Encode(struct {
					Sink    string          `json:"sink"`
					AlertID string          `json:"alert_id"`
					Reason  string          `json:"reason"`
					Alert   json.RawMessage `json:"alert"`
				}{d.Sink, d.AlertID, d.Reason, d.Body})
			})
		},
	})
	return cmd
}

// lettersWithin bounds how long the topics of a fleet may take to answer.
const lettersWithin = time.Minute

// fleet answers the configuration if it is that of a fleet, else nil.
func (s *stateFlag) fleet() (*Config, error) {
	if s.config == "" {
		return nil, nil //nolint:nilnil // a state file is a valid answer
	}
	c, err := LoadConfig(s.config)
	if err != nil {
		return nil, usageError(err)
	}
	if c.Engine != engineKafka {
		return nil, nil //nolint:nilnil // likewise
	}
	return c, nil
}

func (c *Config) outboxOptions() outbox.Options {
	return outbox.Options{Client: c.Kafka.Client, Names: c.topics().Names, MetadataMinAge: c.Kafka.MetadataMinAge}
}

func (s *stateFlag) eachInvalid(ctx context.Context, each func(engine.InvalidEvent) error) error {
	c, err := s.fleet()
	if err != nil {
		return err
	}
	if c != nil {
		ctx, cancel := context.WithTimeout(ctx, lettersWithin)
		defer cancel()
		return runtimeError(outbox.InvalidEvents(ctx, c.outboxOptions(), each))
	}
	store, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	for e, err := range store.InvalidEvents(ctx) {
		if err == nil {
			err = each(e)
		}
		if err != nil {
			return runtimeError(err)
		}
	}
	return nil
}

func (s *stateFlag) eachDead(ctx context.Context, each func(engine.DeadLetter) error) error {
	c, err := s.fleet()
	if err != nil {
		return err
	}
	if c != nil {
		ctx, cancel := context.WithTimeout(ctx, lettersWithin)
		defer cancel()
		for i := range c.Sinks {
			if err := outbox.DeadLetters(ctx, c.outboxOptions(), c.Sinks[i].Name, each); err != nil {
				return runtimeError(fmt.Errorf("dead letters of sink %s: %w", c.Sinks[i].Name, err))
			}
		}
		return nil
	}
	store, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	for d, err := range store.DeadLetters(ctx) {
		if err == nil {
			err = each(d)
		}
		if err != nil {
			return runtimeError(err)
		}
	}
	return nil
}
