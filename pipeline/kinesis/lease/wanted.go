package lease

import (
	"maps"
	"slices"
	"time"
)

// SyncWanted yields when a stream's shards should be listed and passed to
// Sync: at the start, when one of its shards was finished, when a lease of it cannot
// be judged without, and each SyncEvery if this worker leads (it owns the first
// lease, or none is owned). It is the same channel for each call with the same stream.
func (c *Coordinator) SyncWanted(stream string) <-chan struct{} { return c.wanted(stream) }

func (c *Coordinator) wanted(stream string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, ok := c.wants[stream]
	if !ok {
		ch = make(chan struct{}, 1)
		signal(ch)
		c.wants[stream] = ch
	}
	return ch
}

// wantAll asks for all streams' shards.
func (c *Coordinator) wantAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.wants {
		signal(ch)
	}
}

// wantUnjudged asks for the streams of leases that cannot be judged, and not
// again before unjudgedRounds have passed. The goroutine of Run calls it.
func (c *Coordinator) wantUnjudged(streams map[string]bool, now time.Time) {
	for _, stream := range slices.Sorted(maps.Keys(streams)) {
		if now.Sub(c.unjudged[stream]) >= unjudgedRounds*c.o.TakeEvery {
			c.unjudged[stream] = now
			signal(c.wanted(stream))
		}
	}
}
