// Package pipeline moves records from a Source through matching and counting
// to a commit that makes positions, windows and alerts durable together.
package pipeline

import (
	"context"
	"time"
)

// Record is one payload and where it stands. Payload is borrowed until the
// batch's Release.
type Record struct {
	Partition string // "topic/3", a file's path: the unit of order and of watermark
	Payload   []byte
	// Position is what to commit once the record is done: reading resumes after
	// it. Opaque to all but the source. Owned by the record (never reused).
	Position []byte
	// Label is the record's place for people without the index inside the
	// payload: "FILE:LINE", "FILE", "topic/partition@offset". Built only when asked.
	Label func() string
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
	// Open are partitions that exist from now on and hold the watermark at the
	// given event time (Unix nanoseconds; a minimum int64 if unknown) until their records move it. Applied before the records.
	Open []PartitionTime
	// Idle are partitions whose reader stood at their end at the given wall
	// clock time, for idle_after at least: their time is that wall clock time.
	Idle []PartitionTime
	// Closed are partitions that are finished or not ours any more: they hold
	// nothing back. Applied after the records.
	Closed []string
	// Live is true when every partition is connected and was read to its end
	// a moment ago: only then may absence fire.
	Live bool
	// Release, if set, gives the payloads' memory back. Called exactly once.
	Release func()
}

// PartitionTime is a partition and a time in Unix nanoseconds.
type PartitionTime struct {
	Partition string
	Time      int64
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
