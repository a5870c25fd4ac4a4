// Package txn makes whole Kafka transactions: records and a group's offsets
// become durable together, or not at all.
package txn

import (
	"errors"
	"fmt"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// ErrMembership says that the broker refused the offsets because the member is not, or
// not any more, what it was when they were claimed. It is an engine.ErrAborted.
var ErrMembership = fmt.Errorf("the group's membership has changed: %w", engine.ErrAborted)

// ErrUnsettled says that it is not known yet whether the transaction is durable. It is
// an engine.ErrUnavailable: Commit called again with the very same records
// finds out, and makes the transaction if it is not. A caller that wants to go
// on with other records calls Settle first; one that gives up must read what is
// durable before it writes under this ID again.
var ErrUnsettled = fmt.Errorf("the transaction's outcome is not known yet: %w", engine.ErrUnavailable)

var (
	// errNoRecords is a mistake of the caller: the broker knows a transaction by
	// what is written in it.
	errNoRecords = errors.New("a transaction needs a record")
	errClosed    = errors.New("the transactional producer is closed")
	// errOther: other records were given while a transaction was unsettled, and
	// that one turned out to be durable.
	errOther = errors.New("a transaction that was given up is durable after all: the durable state must be read anew")
)

// Offsets are what a consumer group has read, and under which membership
// (KIP-447): the broker refuses those of a member that was put out.
type Offsets struct {
	Group      string
	Member     string
	Instance   string                      // of a static member (KIP-345)
	Generation int32                       // -1, and no Member: a group that only keeps offsets
	At         map[string]map[int32]Offset // topic → partition
}

// Offset is where reading goes on.
type Offset struct {
	Offset   int64
	Epoch    int32  // leader epoch of the record before; -1: unknown
	Metadata string // opaque to the broker, at most 4 KiB
}

// Add notes the offset of a partition.
func (o *Offsets) Add(topic string, partition int32, at Offset) {
	if o.At == nil {
		o.At = make(map[string]map[int32]Offset)
	}
	if o.At[topic] == nil {
		o.At[topic] = make(map[int32]Offset)
	}
	o.At[topic][partition] = at
}
