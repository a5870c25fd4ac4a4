// Package cloudtrail sees CloudTrail records through their bytes: it unwraps
// payloads to single events, scans the few fields that the rule index needs
// without building a tree, and parses the rest only when asked.
//
// JSON is taken as fastjson takes it: bytes that are not UTF-8 and control
// characters inside strings pass through as they are. Event.Validate is strict
// for those who want that.
package cloudtrail

import (
	"errors"

	"github.com/valyala/fastjson"
)

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

// DefaultMaxDepth is how deep an event nests by default, itself counted.
const DefaultMaxDepth = 64

// Errors of an event's bytes, tested with errors.Is.
var (
	ErrBroken  = errors.New("not JSON")
	ErrTooDeep = errors.New("nests too deep")
)

// Path is a dotted path, split at compile time: {"userIdentity", "arn"}.
type Path []string

// Event is one CloudTrail record. It scans lazily and forward only: asking for
// a top-level field reads the bytes up to it and remembers where the fields on
// the way lie. One goroutine owns an Event. Everything it returns is valid
// until the next Reset. The zero value is ready for Reset.
type Event struct {
	raw      []byte
	maxDepth int // 0: DefaultMaxDepth

	pos    int   // where the next key, or the first, is looked for
	closed bool  // the object's end was reached
	alone  bool  // nothing but white space may follow the object in raw
	err    error // why nothing beyond pos can be read

	seen    uint64 // bit i: at[i] is set
	at      [fieldCount]span
	last    field             // the one read last, fieldOther at first
	follows [fieldCount]field // what came after each field the last time, of events before too
	others  []other
	scratch []byte // unescaped text; grows only, so that what was returned stays valid

	quoted []byte // the escaped text that is scanned in place of raw; nil: raw is
	read   int    // fields of quoted that were read
	plain  []byte // what quoted was unescaped to

	day day // of the time read last, of events before too

	parser *fastjson.Parser
	parsed bool
	tree   *fastjson.Value
	bad    error // what Parse answered
}

// span is where a value lies: raw[start:end], quotes and brackets included.
type span struct {
	start, end int
	kind       Kind
	escaped    bool // a string with backslashes in it
}

// other is a top-level field without a slot.
type other struct {
	key []byte
	span
}

// Buffers above these sizes are not kept for the next event.
const (
	keepScratch = 64 << 10
	keepOthers  = 1 << 10
	keepPlain   = 1 << 20
)

// Reset makes e the event whose JSON object is raw. raw is borrowed until the
// next Reset and must not be changed.
func (e *Event) Reset(raw []byte) {
	e.open(raw)
	if e.err != nil {
		return
	}
	e.alone = true
	if e.closed {
		e.finish(e.pos)
		return
	}
	end := len(raw)
	for end > 0 && isSpace(raw[end-1]) {
		end--
	}
	if raw[end-1] != '}' {
		e.err = errTruncated
	}
}

// open is Reset for bytes that begin with the object and may go on after it.
func (e *Event) open(raw []byte) {
	e.openAt(raw, 0)
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		e.err = errNoObject
		return
	}
	i = skipSpace(raw, i+1)
	if i < len(raw) && raw[i] == '}' {
		e.finish(i + 1)
		return
	}
	e.pos = i
}

// openAt forgets the event before. The next key is at pos; 0: it is not known.
func (e *Event) openAt(raw []byte, pos int) {
	if e.parsed {
		e.shedParser()
	}
	e.raw, e.quoted = raw, nil
	e.pos, e.closed, e.alone, e.err = pos, false, false, nil
	e.seen, e.last = 0, fieldOther
	if cap(e.others) > keepOthers {
		e.others = nil
	}
	e.others = e.others[:0]
	if cap(e.scratch) > keepScratch {
		e.scratch = nil
	}
	e.scratch = e.scratch[:0]
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// Raw returns the event's bytes, valid until the next Reset.
func (e *Event) Raw() []byte {
	e.plainly()
	return e.raw
}

// Broken returns why the event is known not to be JSON (ErrBroken) or to nest
// too deep (ErrTooDeep), or nil. It knows only of the bytes that were read so
// far, and that the event begins and ends with a brace.
func (e *Event) Broken() error { return e.err }

// Scan returns the value at p without building a tree: a string's unescaped
// text, otherwise the value's JSON text. The first of duplicate keys counts.
// A path that meets an array on its way answers Array (the caller cannot
// decide by it), with the array's text; a path through a scalar answers
// Missing. The empty path is the event itself.
func (e *Event) Scan(p Path) ([]byte, Kind) {
	if e.quoted != nil {
		if len(p) == 1 {
			if f := fieldOf(p[0]); f != fieldOther {
				if text, kind, ok := e.quotedField(f); ok {
					return text, kind
				}
			}
		}
		e.plainly()
	}
	if len(p) == 0 {
		if e.err != nil {
			return nil, Broken
		}
		return e.raw, Object
	}
	s := e.find(p[0])
	for _, key := range p[1:] {
		if s.kind != Object {
			break
		}
		s = e.findInside(s, key)
		p = p[1:]
	}
	switch s.kind {
	case Missing, Broken:
		return nil, s.kind
	case Array, Object:
	default:
		if len(p) > 1 {
			return nil, Missing
		}
	}
	return e.text(s), s.kind
}

// Name returns eventName, nil when it is absent or not a string.
func (e *Event) Name() []byte { return e.stringField(fieldEventName) }

// Source returns eventSource, nil when it is absent or not a string.
func (e *Event) Source() []byte { return e.stringField(fieldEventSource) }

// Time returns eventTime as nanoseconds since the Unix epoch; ok is false when
// it is missing or unreadable.
func (e *Event) Time() (nanos int64, ok bool) {
	b := e.stringField(fieldEventTime)
	if b == nil {
		return 0, false
	}
	return e.day.parse(b)
}

func (e *Event) stringField(f field) []byte {
	if e.quoted != nil {
		if text, kind, ok := e.quotedField(f); ok {
			if kind != String {
				return nil
			}
			return text
		}
	}
	if s := e.findField(f); s.kind == String {
		return e.text(s)
	}
	return nil
}
