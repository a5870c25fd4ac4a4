// Package pipeline moves records from a Source through matching and counting
// to a commit that makes positions, windows and alerts durable together.
package pipeline

import (
	"context"
	"time"
)

// Record is one payload. Where it stands is answered by the batch's Places.
// The payload is borrowed until the batch's Release.
type Record struct {
	Partition string // "topic/3", a file's path: the unit of order and of watermark
	Payload   []byte
	// Index is added to the index of an item inside the payload, when the
	// source itself has split an envelope ("FILE#INDEX"); -1: it has not.
	Index int
	// Problem is set instead of Payload where the source itself met something
	// broken (a truncated gzip file, a line over the limit): one invalid event.
	Problem string
	// Arrived is when the record reached the source's bus (Kafka's record
	// timestamp), zero if unknown: for the latency metric.
	Arrived time.Time
}

// Batch is the unit of work. Records of one partition come in order.
type Batch struct {
	Records []Record
	// Places answers where Records stand; set whenever there are any.
	Places Places
	// Open are partitions that exist from now on and hold the watermark at the
	// given event time (Unix nanoseconds; a minimum int64 if unknown) until their records move it. Applied before the records.
	// A partition that is open already moves forward to a later time, and never back.
	Open []PartitionTime
	// From names, of partitions in Open, those that they go on from, such as a
	// shard's parents: they begin at the least time of these, if that is known and
	// later than the given one.
	From map[string][]string
	// Positions are to be committed besides those of the records: where a
	// partition begins that has brought nothing yet.
	Positions map[string][]byte
	// Idle are partitions whose reader stood at their end at the given wall
	// clock time, for idle_after at least: their time is that wall clock time.
	Idle []PartitionTime
	// Lost are partitions that another worker reads from now on: what is not
	// committed of them never will be, and is to be dropped. They go on holding
	// the watermark. Applied before the records.
	Lost []string
	// Closed are partitions that are finished or not ours any more: they hold
	// nothing back. Applied after the records.
	Closed []PartitionEnd
	// Live is true when every partition is connected and was read to its end
	// a moment ago: only then may absence fire.
	Live bool
	// Release, if set, gives the memory of Records, their payloads and Places
	// back: nothing of them may be touched after it. Called exactly once, from
	// any goroutine.
	Release func()
}

// PartitionTime is a partition and a time in Unix nanoseconds.
type PartitionTime struct {
	Partition string
	Time      int64
	Stay      int64 // in Batch.Open, of a Leased source: as Ledger.Take answered it
}

// PartitionEnd is a partition that holds nothing back any more, and the
// position to commit for it in place of its last record's; nil: that one stays.
type PartitionEnd struct {
	Partition string
	Position  []byte
	// Heirs hold the watermark in its place from the same commit on, whoever comes
	// to read them, such as the children of a shard.
	Heirs []string
}

// Places answers where the records of one batch stand, by their index in
// Batch.Records. It is asked only for what is needed (the position of the last
// record of a partition, the label of a match), so that a record costs no
// allocation. Valid until the batch's Release; safe for concurrent use.
type Places interface {
	// Position is what to commit once record i and all before it of its
	// partition are done: reading resumes after it. Opaque to all but the
	// source; the caller owns it. nil: there is nothing to commit.
	Position(i int) []byte
	// Label is the record's place for people without the index inside the
	// payload: "FILE:LINE", "FILE", "topic/partition@offset".
	Label(i int) string
}

// Source yields batches. One goroutine calls Read.
type Source interface {
	// Start begins reading after the given committed positions; partitions
	// that are not in it start where the source's options say.
	Start(ctx context.Context, committed map[string][]byte) error
	// Read blocks for the next batch (possibly without records: only times).
	// io.EOF: the source is finished. ctx.Err(): ctx ended.
	Read(ctx context.Context) (*Batch, error)
	// Committed tells the source that positions are durable, so that it can
	// report them to its bus for other tools to see. It must not block.
	Committed(positions map[string][]byte)
	Close(ctx context.Context) error
}

// Health is what a Source may tell beside its batches.
type Health interface {
	// Health answers nil, or why the source cannot be read right now.
	Health() error
}
