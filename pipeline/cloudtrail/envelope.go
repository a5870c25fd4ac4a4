package cloudtrail

import (
	"bytes"
	"fmt"
)

// Limits bound what a payload may grow to.
type Limits struct {
	MaxInflated int // bytes a compressed payload may inflate to; default 256 MiB
	MaxEvent    int // bytes of one event; default 1 MiB
	MaxDepth    int // nesting of one event, itself counted; default 64, at most 299 (fastjson's own limit)
}

const (
	defaultMaxInflated = 256 << 20
	defaultMaxEvent    = 1 << 20
	greatestMaxDepth   = 299
)

// ItemKind says what an unwrapped item is.
type ItemKind uint8

// The kinds of item.
const (
	ItemEvent   ItemKind = iota // Raw is one event
	ItemSkipped                 // a control message, a digest file or an empty envelope: records_skipped
	ItemInvalid                 // Reason says why; Raw is what there is of it, perhaps cut
)

// Item is one thing found in a payload.
type Item struct {
	Kind    ItemKind
	Raw     []byte // borrowed: valid until emit returns; at most Limits.MaxEvent bytes; see Unwrapper.Lazy
	Index   int    // place in the envelope, from 0
	Wrapped bool   // Raw came out of an envelope with more than one place (Index counts)
	Reason  string // why it is skipped or invalid, for people
}

// Unwrapper finds the events in payloads. One goroutine owns it.
type Unwrapper struct {
	// AnyObject makes an event of every JSON object that is no envelope, also
	// of those that CloudTrail never wrote.
	AnyObject bool
	// KeepEventBridge leaves EventBridge events as they are, instead of taking
	// their detail out, for patterns that look at the envelope. It goes with AnyObject.
	KeepEventBridge bool
	// Lazy leaves Item.Raw nil of most events of CloudWatch Logs messages: ev is
	// at the event as it is written in the message, and unescapes it when more than
	// a top-level field is asked for. ev.Raw has it.
	Lazy bool

	limits  Limits
	entry   Event  // one of logEvents
	texts   []span // of logEvents: where their messages lie
	inflate inflater
}

// NewUnwrapper returns an Unwrapper; limits that are zero or negative are the
// defaults.
func NewUnwrapper(l Limits) *Unwrapper {
	if l.MaxInflated <= 0 {
		l.MaxInflated = defaultMaxInflated
	}
	if l.MaxEvent <= 0 {
		l.MaxEvent = defaultMaxEvent
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultMaxDepth
	}
	l.MaxDepth = min(l.MaxDepth, greatestMaxDepth)
	return &Unwrapper{limits: l}
}

// Unwrap calls emit for each item of the payload, in order, and at least once.
// Before the emit of an ItemEvent, ev is reset to that event, so that what the
// unwrapper had to scan to recognise it is not scanned again; for other items
// ev means nothing. The payload is borrowed for the call. emit may do with ev
// what it likes, but must not call Unwrap. Unwrap does not allocate per event;
// a caller that makes a new closure for each call does.
//
// A payload is, perhaps inside gzip or zstd (recognised by their first bytes,
// at most twice): an event; an object {"Records": […]}; an array of events; an
// EventBridge event from CloudTrail; a CloudWatch Logs subscription message; or
// several of these, one a line or one after the other. The first top-level key
// that only one of the forms has decides which it is.
//
// Everything that is found becomes one item. What is not an event is an
// ItemInvalid, and the unwrapper goes on behind it: a broken line ends at the
// next line that begins with a brace; a broken Records array yields its events
// before the break, and one ItemInvalid for the rest; compressed bytes
// that do not inflate to their end are one ItemInvalid, whatever they would
// have held.
func (u *Unwrapper) Unwrap(payload []byte, ev *Event, emit func(Item)) {
	ev.maxDepth = u.limits.MaxDepth
	r := run{u: u, ev: ev, emit: emit}
	r.payload(payload, 0)
	u.inflate.shed()
}

// run is one call of Unwrap.
type run struct {
	u       *Unwrapper
	ev      *Event
	emit    func(Item)
	index   int
	wrapped bool
}

// payload unwraps b, which came out of the given number of compressions.
func (r *run) payload(b []byte, level int) {
	if c := compressionOf(b); c != uncompressed {
		if level == maxCompressions {
			r.invalid(b, "compressed more than twice")
			return
		}
		out, err := r.u.inflate.inflate(c, b, level, r.u.limits.MaxInflated)
		if err != nil {
			r.invalid(b, err.Error())
			return
		}
		r.payload(out, level+1)
		return
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	b = trimSpace(b)
	switch {
	case len(b) == 0:
		r.invalid(b, "empty payload")
	case r.usual(b):
	case b[0] != '{' && b[0] != '[':
		r.many(b)
	default:
		end, _ := skipContainer(b, 1)
		switch {
		case end == len(b):
			r.whole(b)
		case end < 0 && resync(b, 0) == len(b):
			r.broken(b)
		default:
			r.many(b)
		}
	}
}

// whole unwraps one object or array that is all of b.
func (r *run) whole(b []byte) {
	if b[0] == '[' {
		r.elements(b, 0, events, false)
		return
	}
	r.ev.Reset(b)
	r.object(b, false)
}

// object unwraps the object that ev was opened at. Where open is set it may be
// broken, and bytes that do not belong to it may follow. It returns where to
// go on.
func (r *run) object(b []byte, open bool) int {
	switch c, array := r.classify(); {
	case c == classRecords:
		return r.records(b, array, open)
	case c == classLogs:
		return r.subscription(b, array, open)
	case open:
		n := resync(b, 0)
		err := r.ev.err
		if err == nil {
			err = errTruncated
		}
		r.invalid(b[:n], err.Error())
		return n
	default:
		r.single(c, b)
		return len(b)
	}
}

// single emits what holds no more than one event: ev, classified as c.
func (r *run) single(c class, b []byte) {
	switch {
	case r.ev.err != nil:
		r.invalid(b, r.ev.err.Error())
	case c == classEvent:
		r.event(b)
	case c == classEventBridge && (!r.u.KeepEventBridge || !r.u.AnyObject):
		r.eventBridge(b)
	case r.u.AnyObject:
		r.event(b)
	case c == classDigest:
		r.skipped(b, c.String())
	default:
		r.invalid(b, c.String())
	}
}

func (r *run) event(b []byte) {
	if len(b) > r.u.limits.MaxEvent {
		r.invalid(b, fmt.Sprintf("an event of %d bytes, more than the limit of %d", len(b), r.u.limits.MaxEvent))
		return
	}
	r.put(Item{Kind: ItemEvent, Raw: b})
}

func (r *run) skipped(b []byte, reason string) {
	r.put(Item{Kind: ItemSkipped, Raw: b[:min(len(b), r.u.limits.MaxEvent)], Reason: reason})
}

func (r *run) invalid(b []byte, reason string) {
	r.put(Item{Kind: ItemInvalid, Raw: b[:min(len(b), r.u.limits.MaxEvent)], Reason: reason})
}

func (r *run) put(it Item) {
	it.Index, it.Wrapped = r.index, r.wrapped
	r.index++
	r.emit(it)
}
