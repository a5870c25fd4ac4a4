package outbox

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
)

func newConsumer(b *Outbox, sink string) *consumer {
	group := b.o.Names.SinkGroup(sink)
	return &consumer{
		b: b, sink: sink, group: group, parts: map[int32]*partition{},
		log: b.o.Log.With(zap.String("sink", sink), zap.String("group", group)), lost: b.lost.WithLabelValues(sink),
	}
}

// join makes the client, and after something went wrong with the membership a
// new one.
func (c *consumer) join() error {
	if c.b.ctx.Err() != nil {
		return errClosed
	}
	c.mu.Lock()
	broken := c.broken
	c.broken = nil
	c.mu.Unlock()
	if broken != nil {
		c.log.Warn("joining the sink's group anew", zap.Error(broken))
		c.leave()
	}
	c.mu.Lock()
	retired := c.retired
	c.retired = nil
	c.mu.Unlock()
	for _, p := range retired {
		p.Close()
	}
	if c.cl != nil {
		return nil
	}
	cl, err := c.b.o.member(c.group,
		kgo.OnPartitionsAssigned(c.assigned), kgo.OnPartitionsRevoked(c.revoked), kgo.OnPartitionsLost(c.gone),
		kgo.AdjustFetchOffsetsFn(c.places))
	if err != nil {
		return fmt.Errorf("join group %s: %w", c.group, err)
	}
	c.cl = cl
	return nil
}

func (c *consumer) leave() {
	if c.cl != nil {
		c.cl.leave()
		c.cl = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.parts {
		c.drop(id)
	}
}

func (c *consumer) close() {
	c.op.Lock()
	defer c.op.Unlock()
	c.leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.retired {
		p.Close()
	}
	c.retired = nil
}
