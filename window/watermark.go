package window

import (
	"math"
	"time"
)

// Watermark follows how far event time is known to be complete.
type Watermark struct{}

// NewWatermark returns a watermark that stays lateness behind.
func NewWatermark(lateness time.Duration) *Watermark { return &Watermark{} }

// Open starts following a partition.
func (w *Watermark) Open(part string, floor int64) {}

// Observe raises the partition's time.
func (w *Watermark) Observe(part string, t int64) {}

// Idle raises the partition's time to the wall clock.
func (w *Watermark) Idle(part string, wall int64) {}

// Close stops following a partition.
func (w *Watermark) Close(part string) {}

// Value is the watermark.
func (w *Watermark) Value() int64 { return math.MinInt64 }

// Dirty reports whether the encoded state changed in this interval.
func (w *Watermark) Dirty() bool { return false }

// AppendState appends the encoded state.
func (w *Watermark) AppendState(dst []byte) []byte { return dst }

// Load restores what AppendState wrote.
func (w *Watermark) Load(state []byte) error { return nil }

// Commit ends the interval and keeps it.
func (w *Watermark) Commit() {}

// Rollback ends the interval and undoes it.
func (w *Watermark) Rollback() {}
