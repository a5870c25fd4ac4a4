package main

import (
	"strings"
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/pipeline/kinesis"
)

func TestReplayFlag(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	fromKafka := func() *Config { return &Config{Source: SourceConfig{Kafka: &kafka.Options{}}} }
	for from, want := range map[string]string{"90m": "2026-01-02T13:30:00Z", "2026-01-02T13:04:05+02:00": "2026-01-02T11:04:05Z"} {
		c := fromKafka()
		if err := c.setReplay(from, now); err != nil || c.Source.Kafka.Start != want || c.replay.IsZero() {
			t.Errorf("%s: start %q (%v), want %s", from, c.Source.Kafka.Start, err, want)
		}
	}
	c := &Config{Source: SourceConfig{Kinesis: &kinesis.Options{}}}
	if err := c.setReplay("1h", now); err != nil || c.Source.Kinesis.Start != "2026-01-02T14:00:00Z" {
		t.Errorf("kinesis: start %q (%v)", c.Source.Kinesis.Start, err)
	}
	for name, tc := range map[string]struct {
		c    *Config
		from string
		want string
	}{
		"nonsense": {fromKafka(), "yesterday", "neither a time"},
		"negative": {fromKafka(), "-1h", "neither a time"},
		"future":   {fromKafka(), "2026-01-03T00:00:00Z", "yet to come"},
		"files":    {&Config{Source: SourceConfig{Files: &FilesConfig{}}}, "1h", "trailtide scan"},
		"fleet on Kinesis": {
			&Config{Engine: engineKafka, Source: SourceConfig{Kinesis: &kinesis.Options{}}}, "1h", "kafka.prefix",
		},
	} {
		if err := tc.c.setReplay(tc.from, now); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tc.want)
		}
	}
}
