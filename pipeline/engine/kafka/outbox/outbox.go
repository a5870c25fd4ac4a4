// Package outbox is the fleet's outbox: the alerts topic. Each sink is a
// consumer group over it, so that every worker may run every sink and the
// group decides who delivers. How far a sink has come, what it knows of the
// alerts after that place, and what it could not deliver change in one
// transaction.
//
// A record of the alerts topic has the alert's ID as its key, the alert's state
// as JSON, and the headers save and notify, "1" or "0".
package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
)

var errClosed = errors.New("outbox is closed")

// Outbox implements engine.Resumer and engine.Consumers. Safe for concurrent
// use, with one goroutine for each consumer. Numbers of entries (Seq) are the
// consumer's own and mean nothing to the next process.
type Outbox struct {
	o       Options
	cl      *kgo.Client // of no group: for administration and reading notify states
	adm     *kadm.Client
	lag     *prometheus.GaugeVec
	lost    *prometheus.CounterVec
	ctx     context.Context //nolint:containedctx // what callbacks of the client work under: it ends with Close
	cancel  context.CancelFunc
	closing sync.Once

	mu        sync.Mutex
	consumers map[string]*consumer
}

var (
	_ engine.Resumer   = (*Outbox)(nil)
	_ engine.Consumers = (*Outbox)(nil)
)

// Open makes an Outbox. It opens no connection: a consumer joins its group at
// its first Read.
func Open(o Options) (*Outbox, error) {
	o = o.withDefaults()
	b := &Outbox{
		o: o, consumers: map[string]*consumer{},
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trailtide_outbox_lag_records",
			Help: "Records of the alerts topic after the sink's place, for the partitions that this worker delivers.",
		}, []string{"sink", "partition"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trailtide_outbox_lost_total",
			Help: "Records of the alerts topic that retention removed before the sink had passed them.",
		}, []string{"sink"}),
	}
	if o.Registerer != nil {
		for _, c := range []prometheus.Collector{b.lag, b.lost} {
			if err := o.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("register outbox metrics: %w", err)
			}
		}
	}
	cl, err := o.connect()
	if err != nil {
		return nil, err
	}
	b.cl, b.adm = cl, kadm.NewClient(cl)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

func (b *Outbox) consumer(sink string) *consumer {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.consumers[sink]
	if c == nil {
		c = newConsumer(b, sink)
		b.consumers[sink] = c
	}
	return c
}

// Read implements engine.Outbox. The first Read joins the sink's group.
func (b *Outbox) Read(ctx context.Context, sink string, limit int) ([]engine.Entry, error) {
	return b.consumer(sink).read(ctx, max(limit, 1))
}

// Done implements engine.Outbox.
func (b *Outbox) Done(ctx context.Context, sink string, seq int64, dead []engine.DeadLetter) error {
	return b.Settle(ctx, sink, seq, dead, nil)
}

// Settle implements engine.Resumer. Each partition is a transaction of its own:
// after an error some may be settled, and the same call may be repeated.
func (b *Outbox) Settle(ctx context.Context, sink string, seq int64, dead []engine.DeadLetter, known []engine.Known) error {
	return b.consumer(sink).settle(ctx, seq, dead, known)
}

// Close leaves the groups and ends blocked Reads. It waits for transactions
// that are under way, for as long as a transaction's timeout.
func (b *Outbox) Close() error {
	b.closing.Do(func() {
		b.cancel()
		b.mu.Lock()
		consumers := slices.Collect(maps.Values(b.consumers))
		b.mu.Unlock()
		var wg sync.WaitGroup
		for _, c := range consumers {
			wg.Go(c.close)
		}
		wg.Wait()
		b.cl.Close()
		if b.o.Registerer != nil {
			b.o.Registerer.Unregister(b.lag)
			b.o.Registerer.Unregister(b.lost)
		}
	})
	return nil
}
