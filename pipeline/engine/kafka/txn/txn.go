// Package txn makes whole Kafka transactions: records and a group's offsets
// become durable together, or not at all.
package txn

import (
	"errors"
	"fmt"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// ErrMembership: the broker refused the offsets because the member is not, or
// not any more, what it was when they were claimed. It is an engine.ErrAborted.
var ErrMembership = fmt.Errorf("the group's membership has changed: %w", engine.ErrAborted)

// errNoRecords is a mistake of the caller: the broker knows a transaction by
// what is written in it.
var errNoRecords = errors.New("a transaction needs a record")

// Offsets are what a consumer group has read, and under which membership
// (KIP-447): the broker refuses those of a member that was put out.
type Offsets struct {
	Group      string
	Member     string
	Instance   string // of a static member (KIP-345)
	Generation int32
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
