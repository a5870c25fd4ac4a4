package kinesis

import (
	"context"
	"math/rand/v2"
	"time"
)

// timing is what a source waits for; tests make it short. A shard's limits for
// GetRecords are five calls and 2 MiB a second, shared by all who poll it.
// Semantics: GetRecords in the API reference.
type timing struct {
	perSecond  float64       // bytes of a shard
	minGap     time.Duration // between two reads of a shard: a little less than five a second
	maxGap     time.Duration // the longest that throttles make it
	backoff    time.Duration // first pause after a failure at most
	maxBackoff time.Duration
	call       time.Duration // how long one call may take
	subscribe  time.Duration // between two subscriptions to a shard
	renew      time.Duration // how long a subscription is kept: it ends after five minutes
	silence    time.Duration // how long a subscription may be silent; AWS sends something every few seconds
	fresh      time.Duration // how long ago a shard's end was seen at most for it to be live
	tick       time.Duration // how often Read tells how the shards stand
	lookGap    time.Duration // between two looks at a stream
	keep       time.Duration // how long a lease is held whose shard's position cannot be read
	linger     time.Duration // how long a finished shard holds the watermark for its children in other workers
}

func (o *Options) timing() timing {
	t := timing{
		perSecond: 2 << 20,
		minGap:    210 * time.Millisecond, maxGap: 5 * time.Second,
		backoff: 500 * time.Millisecond, maxBackoff: 10 * time.Second,
		call: time.Minute, subscribe: 5100 * time.Millisecond, renew: 4*time.Minute + 45*time.Second, silence: 45 * time.Second,
		fresh: 3*o.PollInterval + 2*time.Second, tick: time.Second, lookGap: time.Second, linger: 15 * time.Second, keep: time.Minute,
	}
	if o.Mode == modeFanOut {
		t.fresh = 20 * time.Second
	}
	return t
}

// pace spaces the reads of one shard. It slows down by half at each throttle,
// since others read the shard too, and comes back slowly.
type pace struct {
	t    *timing
	gap  time.Duration
	next time.Time // no read before
}

func newPace(t *timing) *pace { return &pace{t: t, gap: t.minGap} }

// wait blocks until the next read is due.
func (p *pace) wait(ctx context.Context) error { return sleep(ctx, time.Until(p.next)) }

// read notes that a read began at started and brought n bytes.
func (p *pace) read(started time.Time, n int) {
	p.gap = max(p.t.minGap, p.gap-p.gap/16)
	owed := time.Duration(float64(n) / p.t.perSecond * float64(time.Second))
	p.next = started.Add(max(p.gap, owed))
}

// throttle notes that a read was refused.
func (p *pace) throttle() {
	p.gap = min(p.t.maxGap, p.gap+p.gap/2)
	p.next = time.Now().Add(p.gap + rand.N(p.gap))
}

// rest puts the next read off to at least d after started.
func (p *pace) rest(started time.Time, d time.Duration) {
	if at := started.Add(d); at.After(p.next) {
		p.next = at
	}
}

// backoff are growing, jittered pauses.
type backoff struct {
	t    *timing
	wait time.Duration
}

func (b *backoff) pause(ctx context.Context) error {
	if b.wait == 0 {
		b.wait = b.t.backoff
	}
	d := b.wait/2 + rand.N(b.wait/2+1)
	b.wait = min(2*b.wait, b.t.maxBackoff)
	return sleep(ctx, d)
}

func (b *backoff) reset() { b.wait = 0 }

// sleep waits for d, or answers why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
