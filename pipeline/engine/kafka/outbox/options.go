package outbox

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// Options of Open and NewStore. The zero value of a field is its default.
type Options struct {
	Client client.Options
	Names  topics.Names // Prefix default "trailtide"
	// SessionTimeout is after how long a silent worker loses its share. Default 10 s.
	SessionTimeout time.Duration
	// InstanceID makes the worker a static member (KIP-345): it may be away for
	// SessionTimeout without a rebalance. It must differ between workers. Default: none.
	InstanceID string
	// MetadataMinAge is the least time between two looks at who leads what.
	// Default the client's.
	MetadataMinAge time.Duration
	Log            *zap.Logger           // default none
	Registerer     prometheus.Registerer // default none
}

func (o Options) withDefaults() Options {
	if o.Names.Prefix == "" {
		o.Names.Prefix = topics.DefaultPrefix
	}
	if o.SessionTimeout == 0 {
		o.SessionTimeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

// connect makes a client that reads what is committed.
func (o *Options) connect(opts ...kgo.Opt) (*kgo.Client, error) {
	base, err := o.Client.KgoOpts()
	if err != nil {
		return nil, err
	}
	base = append(base, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(8<<20), kgo.FetchMaxPartitionBytes(1<<20))
	if o.MetadataMinAge > 0 {
		base = append(base, kgo.MetadataMinAge(o.MetadataMinAge))
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka client: %w", err)
	}
	return cl, nil
}
