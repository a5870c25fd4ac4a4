// Package cloudtrail sees CloudTrail records through their bytes: it unwraps
// payloads to single events, scans the few fields that the rule index needs
// without building a tree, and parses the rest only when asked.
package cloudtrail

import "github.com/valyala/fastjson"

// Kind is the JSON type of a scanned value.
type Kind uint8

// The kinds that a scan answers. Broken means that the bytes up to the value
// are not JSON.
const (
	Missing Kind = iota
	String
	Number
	True
	False
	Null
	Object
	Array
	Broken
)

// Path is a dotted path, split at compile time: {"userIdentity", "arn"}.
type Path []string

// Event is one CloudTrail record. It scans lazily and forward only: asking for
// a top-level field reads the bytes up to it and remembers where the fields on
// the way lie. One goroutine owns an Event. Everything it returns is valid
// until the next Reset.
type Event struct {
	raw []byte
}

// Reset makes e the event whose JSON object is raw. raw is borrowed until the
// next Reset and must not be changed.
func (e *Event) Reset(raw []byte) { e.raw = raw }

// Raw returns the event's bytes, valid until the next Reset.
func (e *Event) Raw() []byte { return e.raw }

// Scan returns the value at p without building a tree: a string's unescaped
// text, otherwise the value's JSON text. The first of duplicate keys counts.
// A path that meets an array on its way answers Array (the caller cannot
// decide by it); a path through a scalar answers Missing.
func (e *Event) Scan(p Path) ([]byte, Kind) { return nil, Missing }

// Name returns eventName, nil when it is absent or not a string.
func (e *Event) Name() []byte { return nil }

// Time returns eventTime as nanoseconds since the Unix epoch; ok is false when
// it is missing or unreadable.
func (e *Event) Time() (nanos int64, ok bool) { return 0, false }

// Parse parses the whole event, once; later calls return the same tree. An
// error means that the event is invalid: not JSON, or too deep.
func (e *Event) Parse() (*fastjson.Value, error) { return nil, nil }

// Identity is (eventID, recipientAccountId, eventName, eventTime) as 128 bits
// of SHA-256; without an eventID it is a hash of the event's bytes.
type Identity [16]byte

// Identity returns the event's identity.
func (e *Event) Identity() Identity { return Identity{} }
