package pipeline

import (
	"context"
	"time"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/window"
)

// Stage is where matching hands its results. The embedded engine's is the alert
// stage itself (alerting.Stage); in a fleet it writes them to the repartition
// topic. One goroutine calls it.
//
// An interval is Begin, any number of Partition to Advance, Flush, then the
// transaction's Commit, then Committed or RolledBack.
type Stage interface {
	Begin(ctx context.Context, now time.Time) error
	// Txn is the open transaction, for positions and dead letters.
	Txn() engine.Txn
	Partition(name string, floor int64)
	Reached(name string, t int64)
	Idle(name string, t int64)
	Closed(name string)
	Apply(ev *alerting.Event)
	Advance(live bool)
	Flush(ctx context.Context) error
	Committed() alerting.Counts
	RolledBack()
}

// Loser is a Stage behind a source whose partitions may go to other workers.
type Loser interface {
	// Begins says that a stay of a partition begins, before what comes of it.
	Begins(name string, stay int64)
	// Lost drops what the open interval holds of a partition that another worker
	// reads from now on.
	Lost(name string)
	// Dropped are the partitions of which the interval that was committed last has
	// left everything to another worker. Asked before Committed.
	Dropped() []string
}

// Heritable is a Stage behind a source whose partitions may have heirs that
// other workers read.
type Heritable interface {
	// Heirs is called before Closed of name in the same interval. If that commits,
	// they hold the watermark from then on; if name is lost before, nothing was said.
	Heirs(name string, heirs []string)
}

// State is what a Stage that counts holds.
type State interface {
	Watermark() int64 // Unix nanoseconds; math.MinInt64: none yet
	Windows() window.Stats
	Remembered() int // identities of plain alerts
}

// Ledger keeps the positions of source partitions that change hands one by one,
// such as shards under leases.
type Ledger interface {
	// Take fences whoever had the partition and answers its committed position,
	// nil if there is none, and the number of the stay that begins: what comes after
	// a batch whose Open has it is committed, and nothing from before.
	Take(ctx context.Context, partition string) (position []byte, stay int64, err error)
	// Drop gives the partition up: what of it is not committed yet never will be.
	Drop(partition string)
}

// Leased is a Source whose partitions change hands one by one. Without a
// ledger it owns all positions that Start was given.
type Leased interface {
	Source
	// UseLedger is called once, before Start.
	UseLedger(l Ledger)
	// Fenced says that another worker has taken the partition: nothing of it can
	// be committed here. The source gives it up, and takes it again if it is still
	// this worker's to read. It must not block.
	Fenced(partition string)
}
