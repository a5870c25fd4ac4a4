package lease

import (
	"context"
	"errors"
)

// Coordinator takes, keeps and gives up leases for one worker.
type Coordinator struct{}

// Held is a lease for people to look at.
type Held struct {
	Stream, Shard string
	Checkpoint    Checkpoint // recorded last, perhaps not yet written
	Draining      bool
}

var errUnfinished = errors.New("lease: not there yet")

// Open checks the options and the table, and makes the table if it may. It
// blocks until the table is active or ctx ends.
func Open(ctx context.Context, o Options) (*Coordinator, error) { return nil, errUnfinished }

// ID is what this worker writes as leaseOwner: Options.Worker and a random suffix.
func (c *Coordinator) ID() string { return "" }

// Run takes and keeps leases until ctx ends, and calls serve for each in a
// goroutine of its own. Only leases of streams that Sync was called for are
// taken, by workers and order of the rules in docs/adr/0005-leases.md.
//
// The context that serve gets ends when the lease is lost, when its hand-over
// deadline has passed, and when serve has returned; nothing may be emitted or
// committed after it, and serve must return then soon. When serve returns, the lease
// is given up with the last checkpoint: finished (after Finish), for the worker that asked for it,
// or for any. Until then this worker does not take the same lease again.
//
// When ctx ends all leases drain. Run returns nil once every serve has
// returned and the leases are written. Failures of DynamoDB do not end it.
func (c *Coordinator) Run(ctx context.Context, serve func(ctx context.Context, l *Lease)) error {
	return errUnfinished
}

// Sync makes leases for the listed shards that need one, parents before
// children, and deletes those that are finished and whose children have
// checkpoints. Any worker may call it at any time; two at once do no harm.
// Every worker must call it once for each stream, or it takes nothing of it.
func (c *Coordinator) Sync(ctx context.Context, l Listing) error { return errUnfinished }

// SyncWanted yields when the shards should be listed and passed to Sync: at
// the start, when a shard was finished, when a lease cannot be judged without, and
// each SyncEvery if this worker leads (it owns the first lease, or none is owned).
func (c *Coordinator) SyncWanted() <-chan struct{} { return nil }

// Retire deletes all leases of a stream that exists no more ("account:stream:creationEpoch").
// The leases of it held here end. A table of one stream cannot be retired: its keys
// do not tell the old stream from the new one.
func (c *Coordinator) Retire(ctx context.Context, stream string) error { return errUnfinished }

// Held lists the leases that this worker holds, by key.
func (c *Coordinator) Held() []Held { return nil }

// Health answers nil, or why the table could not be read or written for
// longer than FailoverTime.
func (c *Coordinator) Health() error { return nil }
