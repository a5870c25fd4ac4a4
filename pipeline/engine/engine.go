// Package engine is what makes positions, window changes and alerts durable
// together, or not at all. The interface is per partition of state ownership:
// the embedded engine has one partition, the fleet one for each partition of
// the repartition topic.
package engine

import (
	"context"
	"errors"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Table names a kind of state entry.
type Table uint8

// The tables.
const (
	Windows  Table = iota + 1 // key: window key; value: its encoded state
	Seen                      // key: alert ID of a plain match; value: when it may be forgotten
	Evidence                  // key: hash of the window key + identity; value: an event's evidence
	Meta                      // watermark, partition times, counters, rules of live keys
)

// Errors that Commit answers, tested with errors.Is.
var (
	// ErrAborted: nothing of the transaction is durable and nothing will be. The
	// caller undoes its memory and reads the records again.
	ErrAborted = errors.New("transaction aborted")
	// ErrFenced: another worker owns the partition. The caller drops it.
	ErrFenced = errors.New("fenced by another worker")
	// ErrUnavailable: nothing is durable, but the same transaction may be
	// committed again later (a full disk, a broker that is away). The caller
	// stops reading, reports that it is not ready, and calls Commit again.
	ErrUnavailable = errors.New("store unavailable")
)

// Engine owns the durable side of state partitions. Different partitions may be
// used by different goroutines; all calls about one partition, those on its
// transaction and Evidence included, come from one goroutine at a time.
type Engine interface {
	// Partitions is how many partitions of state there are.
	Partitions() int
	// Restore takes ownership of partition p, fences whoever had it (an open
	// transaction of this engine too), and calls each for every entry of its
	// state but Evidence, in no order. key and value are valid during the call.
	// After an error the partition is not owned.
	Restore(ctx context.Context, p int, each func(t Table, key, value []byte) error) error
	// Positions returns the committed position of every source partition.
	Positions(ctx context.Context) (map[string][]byte, error)
	// Begin starts a transaction of partition p. One at a time a partition.
	// ErrFenced: the partition is not owned (not restored, or released).
	Begin(ctx context.Context, p int) (Txn, error)
	// Evidence looks entries of the Evidence table up, those put by the open
	// transaction too: values[i] is nil where keys[i] is not there.
	Evidence(ctx context.Context, p int, keys [][]byte) (values [][]byte, err error)
	// Release gives partition p up. Its open transaction is aborted.
	Release(ctx context.Context, p int) error
	Close() error
}

// Txn collects what becomes durable together. Put, Delete, Position, Alert and
// DeadLetter only collect: they do not block and cannot fail. Of several Puts
// and Deletes of one key the last counts. Slices passed in belong to the
// transaction from then on, save where it says otherwise.
type Txn interface {
	Put(t Table, key, value []byte)
	Delete(t Table, key []byte)
	Position(partition string, position []byte)
	// Alert stores the newest state of an alert (by its ID) when save is set, and appends it
	// to the outbox when notify is set. What a's slices hold must not change afterwards.
	Alert(a *sinks.Alert, save, notify bool)
	// DeadLetter keeps an event that could not be read: its place for people,
	// the reason, and its first bytes up to the engine's bound. raw is
	// borrowed: what is kept of it is copied.
	DeadLetter(position, reason string, raw []byte)
	// Commit returns nil once everything is durable. An error other than the
	// three above (a damaged store) is not worth another try: the worker stops.
	Commit(ctx context.Context) error
	// Abort drops everything. After it, or after a Commit that answered nil,
	// ErrAborted or ErrFenced, the transaction must not be used.
	Abort(ctx context.Context) error
}

// Outbox is what delivery reads. Each consumer stands at its own place.
type Outbox interface {
	// Read returns up to limit entries after the consumer's place, in order.
	// It blocks until there is one or ctx ends.
	Read(ctx context.Context, consumer string, limit int) ([]Entry, error)
	// Done moves the consumer's place to seq and stores what it could not
	// deliver, in one step.
	Done(ctx context.Context, consumer string, seq int64, dead []DeadLetter) error
}

// Resumer is an Outbox that also keeps what is known of the entries after a
// consumer's place, so that whoever takes the consumer over goes on where the
// last one stopped: what is delivered is not delivered again, what failed is
// not tried from the beginning. Parts of it may be taken away from a consumer
// at any time: entries that Read does not answer any more are somebody else's.
type Resumer interface {
	Outbox
	// Settle is Done that also stores, in the same step, what is known of
	// entries after seq. dead holds what went to the dead letter since the last
	// Settle, wherever it stands. Of entries that are not the consumer's any
	// more nothing is stored, and that is no error.
	Settle(ctx context.Context, consumer string, seq int64, dead []DeadLetter, known []Known) error
}

// Known is what is known of an entry that the place has not passed.
type Known struct {
	Seq      int64
	Done     bool      // delivered, filtered out or in the dead letter
	Attempts int       // that failed
	Single   int       // of them, those that failed while the sink took others
	First    time.Time // of the first attempt; zero: there was none
}

// Consumers keeps the list of the outbox's readers: an entry is kept until every
// registered consumer has passed it.
type Consumers interface {
	// Register adds consumers that are not known yet; they start at the oldest
	// entry that is kept, or after the newest one. Known ones stay where they are.
	Register(ctx context.Context, from Start, consumers ...string) error
	// Forget removes a consumer and tells how many entries it had not passed.
	Forget(ctx context.Context, consumer string) (unread int64, err error)
	// Places lists the consumers by name.
	Places(ctx context.Context) ([]Place, error)
}

// Start says where a consumer begins that the outbox has not seen before: one
// of the constants, or a time by FromTime.
type Start int64

// The starts.
const (
	FromOldest Start = iota
	FromNewest
)

// FromTime is the start at the first entry that was committed at t or later, in
// milliseconds; a t before 1970 is the oldest.
func FromTime(t time.Time) Start {
	if ms := t.UnixMilli(); ms > int64(FromNewest) {
		return Start(ms)
	}
	return FromOldest
}

// Time is what FromTime was given, cut to milliseconds; ok is false for the constants.
func (s Start) Time() (t time.Time, ok bool) {
	if s <= FromNewest {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(s)).UTC(), true
}

// Place is where a consumer stands.
type Place struct {
	Consumer string
	Seq      int64 // all up to it are done
	Unread   int64 // entries after it
}

// Entry is one notification in the outbox.
type Entry struct {
	Seq   int64
	Alert *sinks.Alert
	// Known is what an earlier owner found out; nil: nothing. Of a Resumer only.
	Known *Known
}

// DeadLetter is an alert that a sink could not deliver.
type DeadLetter struct {
	Seq     int64
	AlertID string
	Sink    string
	Reason  string
	Body    []byte // the alert as JSON
}

// InvalidEvent is an event that could not be read, as the engine keeps it.
type InvalidEvent struct {
	Position string // for people: "FILE:LINE", "FILE#INDEX", "topic/partition@offset"
	Reason   string
	Raw      []byte    // its first bytes, up to the engine's bound
	Size     int       // bytes that there were
	Time     time.Time // wall clock of the commit
}
