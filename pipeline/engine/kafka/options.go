// Package kafka is the fleet's engine: the state of each repartition partition
// in a compacted topic, made durable together with alerts and positions by one
// Kafka transaction.
package kafka

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// Options of New. The zero value of a field is its default.
type Options struct {
	Client client.Options
	Names  topics.Names
	// Partitions of the repartition topic and of the changelog. Required.
	Partitions int
	// AlertsPartitions of the alerts topic. Default 1.
	AlertsPartitions int
	// Timeout of transactions; see txn.Options.
	Timeout time.Duration
	// MetadataMinAge is the least time between two looks at who leads what.
	// Default 250 ms.
	MetadataMinAge time.Duration
	// MaxRaw bounds what is kept of an invalid event, in bytes; default
	// engine.DefaultMaxRaw.
	MaxRaw int
	// CacheBytes bounds the values of repartition records that are kept in
	// memory for evidence. Default 32 MiB.
	CacheBytes int
	// Offsets makes a transaction's positions the offsets that a group commits
	// with it, under the membership of that moment. It answers nil when
	// partition p is not ours any more: the commit is fenced. Without it
	// positions are kept in the positions topic.
	Offsets func(p int, positions map[string][]byte) *txn.Offsets
	// Now is the wall clock; default time.Now.
	Now        func() time.Time
	Log        *zap.Logger
	Registerer prometheus.Registerer
}

func (o *Options) defaulted() ([]kgo.Opt, error) {
	if o.Partitions < 1 {
		return nil, fmt.Errorf("partitions: %d, want at least 1", o.Partitions)
	}
	if o.Names.Prefix == "" {
		o.Names.Prefix = topics.DefaultPrefix
	}
	if o.AlertsPartitions < 1 {
		o.AlertsPartitions = 1
	}
	if o.MetadataMinAge <= 0 {
		o.MetadataMinAge = 250 * time.Millisecond
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	opts, err := o.Client.KgoOpts()
	if err != nil {
		return nil, err
	}
	return append(opts, kgo.MetadataMinAge(o.MetadataMinAge)), nil
}
