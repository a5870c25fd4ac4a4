package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// version begins every value in the changelog and the positions topic.
const version = 1

// own is the changelog's table of the engine itself. Its entries are handed to
// nobody.
const own engine.Table = 0

var (
	layoutKey = []byte{byte(own), 'l', 'a', 'y', 'o', 'u', 't'}
	commitKey = []byte{byte(own), 'c', 'o', 'm', 'm', 'i', 't'}
)

// unversion takes the version off a value.
func unversion(what string, value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, fmt.Errorf("%s has no version: it was not written by this program", what)
	}
	if value[0] > version {
		return nil, fmt.Errorf("%s has version %d, and this program knows versions up to %d: run the newer one that wrote it", what, value[0], version)
	}
	return value[1:], nil
}

func versioned(value []byte) []byte {
	return append(append(make([]byte, 0, 1+len(value)), version), value...)
}

// changelogRecord makes the record of one changed entry.
func changelogRecord(topic string, p int32, c engine.EntryChange) *kgo.Record {
	key := append(append(make([]byte, 0, 1+len(c.Key)), byte(c.Table)), c.Key...)
	r := &kgo.Record{Topic: topic, Partition: p, Key: key}
	if !c.Deleted {
		r.Value = versioned(c.Value)
	}
	return r
}

// layoutRecord tells of how many partitions the keys were spread over.
func layoutRecord(topic string, p int32, partitions int) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: p, Key: layoutKey,
		Value: binary.AppendUvarint([]byte{version}, uint64(partitions)), //nolint:gosec // a count
	}
}

// checkLayout compares a layout entry with the number of partitions there are.
func checkLayout(value []byte, topic string, partitions int) error {
	was, n := binary.Uvarint(value)
	if n <= 0 {
		return fmt.Errorf("layout entry of %s cannot be read", topic)
	}
	if was != uint64(partitions) { //nolint:gosec // a count
		return fmt.Errorf("topic %s was written with %d partitions, and now there are %d: the windows of a key would be split between old and new partitions; "+
			"either set the number of partitions back to %d, or begin a new set of topics under another prefix", topic, was, partitions, was)
	}
	return nil
}

// commitRecord is what a transaction writes that has offsets only.
func commitRecord(topic string, p int32, now time.Time) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: p, Key: commitKey,
		Value: binary.BigEndian.AppendUint64([]byte{version}, uint64(now.UnixNano())), //nolint:gosec // after 1970
	}
}

// PositionRecord makes the record that keeps a source partition's position in
// the positions topic.
func PositionRecord(topic, partition string, position []byte) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(partition), Value: versioned(position)}
}

// maxAlert is how large an alert's record may become, in bytes: what brokers
// take by default, less room for key, headers and framing.
const maxAlert = 1_000_000

// The headers of alert records.
const (
	HeaderSave   = "save"   // "1": the store keeps this state, "0": not
	HeaderNotify = "notify" // "1": sinks tell people, "0": not
	HeaderStatus = "status"
	HeaderRule   = "rule"
)

func alertRecord(topic string, p int32, c engine.AlertChange) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: p, Key: []byte(c.Alert.AlertID),
		Value: c.Alert.AppendJSONWithin(nil, maxAlert),
		Headers: []kgo.RecordHeader{
			{Key: HeaderSave, Value: flag(c.Save)},
			{Key: HeaderNotify, Value: flag(c.Notify)},
			{Key: HeaderStatus, Value: []byte(c.Alert.Status)},
			{Key: HeaderRule, Value: []byte(c.Alert.RuleID)},
		},
	}
}

func flag(b bool) []byte {
	if b {
		return []byte{'1'}
	}
	return []byte{'0'}
}

// ParseAlert reads a record of the alerts topic.
func ParseAlert(r *kgo.Record) (a *sinks.Alert, save, notify bool, err error) {
	a, err = sinks.ParseAlert(r.Value)
	if err != nil {
		return nil, false, false, fmt.Errorf("alert at %s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	for _, h := range r.Headers {
		switch h.Key {
		case HeaderSave:
			save = string(h.Value) == "1"
		case HeaderNotify:
			notify = string(h.Value) == "1"
		}
	}
	return a, save, notify, nil
}

// invalidEvent is an engine.InvalidEvent on the wire.
type invalidEvent struct {
	Position string    `json:"position"`
	Reason   string    `json:"reason"`
	Raw      *string   `json:"raw,omitempty"`        // valid UTF-8, else
	Base64   string    `json:"raw_base64,omitempty"` // any bytes
	Size     int       `json:"size"`
	Time     time.Time `json:"time"`
}

// InvalidRecord makes the record of a dead letter.
func InvalidRecord(topic string, e engine.InvalidEvent) (*kgo.Record, error) {
	wire := invalidEvent{Position: e.Position, Reason: e.Reason, Size: e.Size, Time: e.Time}
	if utf8.Valid(e.Raw) {
		wire.Raw = new(string)
		*wire.Raw = string(e.Raw)
	} else {
		wire.Base64 = base64.StdEncoding.EncodeToString(e.Raw)
	}
	value, err := json.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("encode dead letter: %w", err)
	}
	return &kgo.Record{Topic: topic, Value: value}, nil
}

// ParseInvalid reads the value of a record of the invalid topic.
func ParseInvalid(value []byte) (engine.InvalidEvent, error) {
	var wire invalidEvent
	if err := json.Unmarshal(value, &wire); err != nil {
		return engine.InvalidEvent{}, fmt.Errorf("dead letter: %w", err)
	}
	e := engine.InvalidEvent{Position: wire.Position, Reason: wire.Reason, Size: wire.Size, Time: wire.Time}
	if wire.Raw != nil {
		e.Raw = []byte(*wire.Raw)
		return e, nil
	}
	var err error
	if e.Raw, err = base64.StdEncoding.DecodeString(wire.Base64); err != nil {
		return engine.InvalidEvent{}, fmt.Errorf("dead letter: %w", err)
	}
	return e, nil
}

// Position of a partition of the repartition topic: where reading goes on.
func Position(offset int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(offset)) //nolint:gosec // offsets are not negative
}

// ParsePosition reads what Position wrote.
func ParsePosition(position []byte) (offset int64, err error) {
	if len(position) != 8 {
		return 0, fmt.Errorf("position of %d bytes, want 8", len(position))
	}
	return int64(binary.BigEndian.Uint64(position)), nil //nolint:gosec // offsets are not negative
}
