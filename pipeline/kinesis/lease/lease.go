package lease

// Lease is a shard that this worker holds. It lives as long as the call of
// the function passed to Coordinator.Run. Safe for concurrent use; no method
// blocks or does I/O.
type Lease struct {
	stream, shard string
}

// Stream is the listing's Stream, Shard the shard's ID.
func (l *Lease) Stream() string { return l.stream }

// Shard is the shard's ID.
func (l *Lease) Shard() string { return l.shard }

// Key is the row's leaseKey.
func (l *Lease) Key() string { return leaseKey(l.stream, l.shard) }

// Parents are the IDs of the shard's parents, all of them read to their ends
// or trimmed.
func (l *Lease) Parents() []string { return nil }

// Start is the row's checkpoint when the lease was taken.
func (l *Lease) Start() Checkpoint { return Checkpoint{} }

// Draining is closed when the lease is to be handed over or the worker stops:
// read no more, bring what was read to its commit, Checkpoint it, return. The
// lease's context ends HandOver later.
func (l *Lease) Draining() <-chan struct{} { return nil }

// Valid tells whether the lease is held at this moment by this process's
// clock. It may be false a little before the context ends, as after the
// process was stopped and woken: ask it right before anything leaves.
func (l *Lease) Valid() bool { return false }

// Checkpoint records how far the shard is committed. The next renewal writes
// it, as does the return of the function. A place before the one recorded last
// is ignored, as is any after the lease was lost or finished.
func (l *Lease) Checkpoint(sequence string, subSequence int64) {}

// Finish records that the shard is read and committed to its end: ShardEnd is
// written when the function returns, after leases for the children (as the
// last GetRecords told; none if it did not) were made.
func (l *Lease) Finish(children ...Shard) {}
