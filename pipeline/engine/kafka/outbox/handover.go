package outbox

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// handWithin is how long a partition that another worker is to have stays for
// the write that is under way. The group waits for it, for as long as
// revokeWithin.
const handWithin = revokeWithin / 2

// held is what the caller has read and is not done with.
type held struct {
	of   map[*partition]bool // where it is from
	done chan struct{}
}

// hand answers entries and notes that the caller has them now, until it reads
// again or has settled.
func (c *consumer) hand(limit int) []engine.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, of := c.first(limit)
	if len(have) > 0 {
		c.held = &held{of: of, done: make(chan struct{})}
	}
	return have
}

// release notes that the caller is done with what it had.
func (c *consumer) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		close(c.held.done)
		c.held = nil
	}
}

// revoked is the client's callback for partitions that are to go to another
// worker. What is being delivered of them is settled first, or that worker would
// deliver it again; nothing new of them is begun.
func (c *consumer) revoked(ctx context.Context, cl *kgo.Client, lost map[string][]int32) {
	if done := c.parting(lost); done != nil {
		timer := time.NewTimer(handWithin)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		case <-c.b.ctx.Done():
		}
	}
	c.gone(ctx, cl, lost)
}

// parting marks partitions that are to go, and answers what says that the
// caller is done with them; nil: it has nothing of them.
func (c *consumer) parting(lost map[string][]int32) (done <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ids := range lost {
		for _, id := range ids {
			p := c.parts[id]
			if p == nil {
				continue
			}
			p.leaving = true
			if c.held != nil && c.held.of[p] {
				done = c.held.done
			}
		}
	}
	return done
}
