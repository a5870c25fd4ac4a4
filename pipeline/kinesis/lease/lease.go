package lease

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Lease is a shard that this worker holds. It lives as long as the call of
// the function passed to Coordinator.Run. Safe for concurrent use; no method
// blocks or does I/O.
type Lease struct {
	taken    row
	ctx      context.Context // ends with the lease; it is what serve was given
	cancel   context.CancelCauseFunc
	draining chan struct{}
	// counter is the row's. The keeper has it until it stopped, then the server.
	counter int64

	mu       sync.Mutex
	deadline time.Time // held until then, unless renewed
	expire   *time.Timer
	handOver *time.Timer // nil: not draining
	decline  bool        // the next renewal forgets who asked
	recorded Checkpoint
	written  Checkpoint
	touched  time.Time // last Checkpoint
	finished bool
	children []Shard
}

// Stream is the listing's Stream.
func (l *Lease) Stream() string { return l.taken.stream }

// Shard is the shard's ID.
func (l *Lease) Shard() string { return l.taken.shard }

// Key is the row's leaseKey.
func (l *Lease) Key() string { return l.taken.key }

// Created is when the stream was made that the lease is of, in Unix
// milliseconds; 0: the row does not say.
func (l *Lease) Created() int64 { return l.taken.of.created }

// Since is what Latest as Start means: Unix milliseconds of the service's clock;
// 0: the row does not say.
func (l *Lease) Since() int64 { return l.taken.since }

// Parents are the IDs of the shard's parents, all of them read to their ends
// or trimmed.
func (l *Lease) Parents() []string { return slices.Clone(l.taken.parents) }

// Start is the row's checkpoint when the lease was taken.
func (l *Lease) Start() Checkpoint { return l.taken.checkpoint }

// Draining is closed when the lease is to be handed over or the worker stops:
// read no more, bring what was read to its commit, Checkpoint it, return. The
// lease's context ends HandOver later.
func (l *Lease) Draining() <-chan struct{} { return l.draining }

// Valid tells whether the lease is held at this moment by this process's
// clock. It may be false a little before the context ends, as after the
// process was stopped and woken: ask it right before anything leaves. Once it
// is false it stays so.
func (l *Lease) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.valid()
}

func (l *Lease) valid() bool { return l.ctx.Err() == nil && time.Now().Before(l.deadline) }

// Checkpoint records how far the shard is committed. The next renewal writes
// it, as does the return of the function. A place before the one recorded last
// is ignored, as is any after the lease was lost or finished. Repeating a place
// says that it is still right, which checkpoint_age_seconds shows.
func (l *Lease) Checkpoint(sequence string, subSequence int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := Checkpoint{Sequence: sequence, SubSequence: subSequence}
	if l.finished || !l.valid() || next.Sentinel() || !l.recorded.Sentinel() && next.before(l.recorded) {
		return
	}
	l.recorded, l.touched = next, time.Now()
}

// Finish records that the shard is read and committed to its end: ShardEnd is
// written when the function returns, after leases for the children (as the
// last GetRecords told; none if it did not) were made.
func (l *Lease) Finish(children ...Shard) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.valid() {
		return
	}
	l.finished, l.children, l.touched = true, children, time.Now()
}

// drain asks the reader to leave within d, once.
func (l *Lease) drain(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handOver != nil {
		return
	}
	l.decline = false
	close(l.draining)
	l.handOver = time.AfterFunc(d, func() { l.cancel(errHandOver) })
}

func (l *Lease) isDraining() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.handOver != nil
}

func (l *Lease) declineHandOver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decline = l.handOver == nil
}

// pending is what the next write is to change.
func (l *Lease) pending() change {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := change{unreserve: l.decline}
	if l.recorded != l.written {
		recorded := l.recorded
		c.checkpoint = &recorded
	}
	return c
}

// renewed takes in a renewal that is in the table and began at since. A lease
// that was not valid any more stays so.
func (l *Lease) renewed(since time.Time, valid time.Duration, counter int64, written Checkpoint, unreserved bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counter = counter
	l.written = written
	if unreserved {
		l.decline = false
	}
	if !time.Now().Before(l.deadline) {
		return // too late: somebody may have asked Valid meanwhile
	}
	l.deadline = since.Add(valid)
	l.expire.Reset(time.Until(l.deadline))
}

// stop ends the lease's timers and context.
func (l *Lease) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire.Stop()
	if l.handOver != nil {
		l.handOver.Stop()
	}
	l.cancel(context.Canceled)
}

// age is how long ago a checkpoint was recorded, or the lease was taken.
func (l *Lease) age() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.touched)
}

func (l *Lease) held() Held {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Held{Stream: l.taken.stream, Shard: l.taken.shard, Checkpoint: l.recorded, Draining: l.handOver != nil}
}
