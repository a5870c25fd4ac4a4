package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/files"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/pipeline/kinesis"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/file"
	sinkkafka "github.com/trailtide/trailtide/sinks/kafka"
	"github.com/trailtide/trailtide/sinks/stdout"
	"github.com/trailtide/trailtide/sinks/webhook"
)

// buildSource makes the source. It opens no connection.
func buildSource(c *Config, log *zap.Logger, r prometheus.Registerer) (pipeline.Source, error) {
	if c.Source.Files != nil {
		return files.New(files.Options{
			Paths: c.Source.Files.Paths, AllFiles: c.Source.Files.AllFiles, MaxInflated: c.Limits.MaxInflated, Stdin: os.Stdin,
		})
	}
	if c.Source.Kinesis != nil {
		o := *c.Source.Kinesis
		o.Log, o.Registerer = log.Named("kinesis"), r
		src, err := kinesis.New(o)
		if err != nil {
			return nil, fmt.Errorf("source.kinesis: %w", err)
		}
		return src, nil
	}
	o := *c.Source.Kafka
	o.Log, o.Registerer = log.Named("kafka"), r
	for _, warning := range o.Client.Warnings() {
		log.Warn("source.kafka", zap.String("warning", warning))
	}
	src, err := kafka.New(o)
	if err != nil {
		return nil, fmt.Errorf("source.kafka: %w", err)
	}
	return src, nil
}

// receiver is a sink with its place in the configuration.
type receiver struct {
	conf *SinkConfig
	sink sinks.Sink
}

// buildSinks makes every sink.
func buildSinks(c *Config, log *zap.Logger) ([]receiver, error) {
	var out []receiver
	for i := range c.Sinks {
		s, err := buildSink(&c.Sinks[i], log)
		if err != nil {
			return nil, fmt.Errorf("sinks[%d] %s: %w", i, c.Sinks[i].Name, err)
		}
		out = append(out, receiver{&c.Sinks[i], s})
	}
	return out, nil
}

func buildSink(c *SinkConfig, log *zap.Logger) (sinks.Sink, error) {
	switch {
	case c.Stdout != nil:
		return stdout.New(*c.Stdout)
	case c.File != nil:
		return file.New(*c.File)
	case c.Kafka != nil:
		warnSink(log, c.Name, c.Kafka.Warnings())
		return sinkkafka.New(*c.Kafka)
	}
	warnSink(log, c.Name, c.Webhook.Warnings())
	return webhook.New(*c.Webhook)
}

// checkSinkNames finds rules that ask for a sink which is not configured.
func checkSinkNames(c *Config, rs *matcher.Ruleset) []error {
	var errs []error
	for _, r := range rs.Rules() {
		for _, name := range r.Sinks {
			if !slices.ContainsFunc(c.Sinks, func(s SinkConfig) bool { return s.Name == name }) {
				errs = append(errs, fmt.Errorf("%s: rule %s asks for sink %q, which is not configured", r.Pos, r.ID, name))
			}
		}
	}
	return errs
}

func warnSink(log *zap.Logger, name string, warnings []string) {
	for _, warning := range warnings {
		log.Warn("sink", zap.String("sink", name), zap.String("warning", warning))
	}
}

// reopen lets file sinks begin a file anew after it was moved away.
func reopen(receivers []receiver, log *zap.Logger) {
	for _, r := range receivers {
		f, ok := r.sink.(*file.Sink)
		if !ok {
			continue
		}
		if err := f.Reopen(); err != nil {
			log.Error("a file sink was not reopened", zap.String("sink", r.conf.Name), zap.Error(err))
		}
	}
}
