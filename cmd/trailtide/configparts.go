package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/pipeline/kinesis"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/file"
	sinkkafka "github.com/trailtide/trailtide/sinks/kafka"
	"github.com/trailtide/trailtide/sinks/stdout"
	"github.com/trailtide/trailtide/sinks/webhook"
)

// SourceConfig is where records come from: one of its fields.
type SourceConfig struct {
	Kafka   *kafka.Options   `yaml:"kafka"`
	Kinesis *kinesis.Options `yaml:"kinesis"`
	Files   *FilesConfig     `yaml:"files"`
}

// FilesConfig reads files once, to their end.
type FilesConfig struct {
	Paths    []string `yaml:"paths"`
	AllFiles bool     `yaml:"all_files"`
}

func (c *SourceConfig) validate(engine string) []error {
	var errs []error
	kinds := 0
	if c.Kafka != nil {
		kinds++
		errs = append(errs, prefixed("source.kafka", c.Kafka.Validate())...)
	}
	if c.Kinesis != nil {
		kinds++
		errs = append(errs, prefixed("source.kinesis", c.Kinesis.Validate())...)
		switch leases := c.Kinesis.Leases != nil; {
		case leases && engine == engineSQLite:
			errs = append(errs, errors.New("source.kinesis.leases: belong to engine: kafka; with engine: sqlite one worker reads every shard"))
		case !leases && engine == engineKafka:
			errs = append(errs, errors.New("source.kinesis.leases: are needed with engine: kafka, so that its workers share the shards"))
		}
	}
	if c.Files != nil {
		kinds++
		if len(c.Files.Paths) == 0 {
			errs = append(errs, errors.New("source.files.paths: name at least one"))
		}
	}
	if kinds != 1 {
		errs = append(errs, errors.New("source: set one of kafka, kinesis and files"))
	}
	return errs
}

// SinkConfig is one receiver of alerts: exactly one of the kinds.
type SinkConfig struct {
	Name         string        `yaml:"name"`
	MinSeverity  string        `yaml:"min_severity"`  // default: low, so that info alerts are stored and not told
	Rules        []string      `yaml:"rules"`         // rule IDs, * stands for any text; default: all
	ExcludeRules []string      `yaml:"exclude_rules"` // rule IDs that it does not get
	Batch        int           `yaml:"batch"`         // alerts in one write at most; default 100
	MaxAge       time.Duration `yaml:"max_age"`       // alerts whose newest event is older are not told; default: none
	Stale        string        `yaml:"stale"`         // what becomes of those: skip (default), or dead_letter
	From         string        `yaml:"from"`          // where a new sink begins: newest (default), oldest, or a time
	Retry        RetryConfig   `yaml:"retry"`

	Stdout  *stdout.Options    `yaml:"stdout"`
	File    *file.Options      `yaml:"file"`
	Kafka   *sinkkafka.Options `yaml:"kafka"`
	Webhook *webhook.Options   `yaml:"webhook"`
}

const staleToDead = "dead_letter"

// RetryConfig says how often a failed alert is tried again.
type RetryConfig struct {
	Initial     time.Duration `yaml:"initial"`      // first pause at most; default 1s
	Max         time.Duration `yaml:"max"`          // longest pause; default 1m
	MaxElapsed  time.Duration `yaml:"max_elapsed"`  // then the dead letter; default 1h
	MaxAttempts int           `yaml:"max_attempts"` // default: none
}

func (c *RetryConfig) policy() sinks.RetryPolicy {
	return sinks.RetryPolicy{Initial: c.Initial, Max: c.Max, MaxElapsed: c.MaxElapsed, MaxAttempts: c.MaxAttempts}
}

func (c *SinkConfig) validate() []error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name: is needed"))
	}
	if c.MinSeverity != "" && alertstore.Rank(c.MinSeverity) < 0 {
		errs = append(errs, fmt.Errorf("min_severity: unknown severity %q", c.MinSeverity))
	}
	if c.MaxAge < 0 {
		errs = append(errs, errors.New("max_age: must not be negative"))
	}
	if c.Stale != "" && c.Stale != "skip" && c.Stale != staleToDead {
		errs = append(errs, fmt.Errorf("stale: %q is not skip or %s", c.Stale, staleToDead))
	}
	if c.Stale == staleToDead && c.MaxAge == 0 {
		errs = append(errs, errors.New("stale: needs max_age"))
	}
	if _, err := startOf(c.From); err != nil {
		errs = append(errs, err)
	}
	if err := c.Retry.policy().Validate(); err != nil {
		errs = append(errs, prefixed("retry", err)...)
	}
	kinds := 0
	kind := func(name string, set bool, validate func() error) {
		if set {
			kinds++
			errs = append(errs, prefixed(name, validate())...)
		}
	}
	kind("stdout", c.Stdout != nil, func() error { return c.Stdout.Validate() })
	kind("file", c.File != nil, func() error { return c.File.Validate() })
	kind("kafka", c.Kafka != nil, func() error { return c.Kafka.Validate() })
	kind("webhook", c.Webhook != nil, func() error { return c.Webhook.Validate() })
	if kinds != 1 {
		errs = append(errs, errors.New("set exactly one of stdout, file, kafka, webhook"))
	}
	return errs
}

// prefixed puts the place before each of the joined problems.
func prefixed(place string, err error) []error {
	if err == nil {
		return nil
	}
	var errs []error
	for _, e := range unjoin(err) {
		if e != nil {
			errs = append(errs, fmt.Errorf("%s: %w", place, e))
		}
	}
	return errs
}
