// Package alerting is the alert stage: the owner of one partition of window
// state. It takes matches in, removes duplicates, counts, and is the only
// place where alerts are made. It prepares everything that a commit makes
// durable and can undo it when the commit is aborted.
//
// One goroutine owns a Stage. It reads no clock but the one it is given.
package alerting

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Event is what the alert stage keeps of a matched event: owned copies.
type Event struct {
	cloudtrail.Summary

	Raw       []byte
	Position  string // for people: FILE:LINE, FILE#INDEX, topic/partition@offset
	Partition string // source partition, for the watermark
	Identity  cloudtrail.Identity
	Sum       uint32 // of the bytes: same identity with another sum is a conflict
	Time      int64  // event time, Unix nanoseconds
	// Timed is false where the event time is missing, unreadable or too far
	// ahead of the wall clock: thresholds cannot count the event.
	Timed bool
	// HasTime is false where the event time is missing or unreadable.
	HasTime bool
	// Watermark is the greatest event time of the event's partition up to and
	// including this event (math.MinInt64: none yet).
	Reached int64
	Arrived int64 // when the record reached its bus, Unix nanoseconds; 0: unknown
	// Archived: the event can be found again by Options.Lookup, at Offset. State
	// then holds that in place of the event.
	Archived bool
	Offset   int64
	// Secondary: these are some of the event's matches, and another Event that
	// stands for it accounts for it.
	Secondary bool
	// Folded events were left out for this newer one, which says all that they
	// would have: they are accounted for with it.
	Folded  int
	Matches []Match
}

// Match is one rule whose condition held for an event.
type Match struct {
	Rule       *Rule
	Suppressed *matcher.Suppression
	Key        []byte // of a threshold: the group-by key
	Value      uint64 // of a distinct threshold: hash of the value; of a correlation: see window.Match
	NoValue    bool   // the event lacks the field whose value counts, or has no number there
	NoGroup    bool   // of a correlation: the event lacks a group-by field
}

// The first byte of an encoded evidence entry. Only that of a firing, which
// stands for several events, needs the second version; the third says where the
// event lies.
const (
	evidenceVersion = 1
	firingVersion   = 2
	archivedVersion = 3
)

var errEvidence = errors.New("evidence entry is damaged")

// evidence is what an alert may later tell of a counted event.
type evidence struct {
	summary     cloudtrail.Summary
	position    string
	suppression string
	raw         []byte
	ids         []string // of a firing: the IDs of all its events
	missing     bool     // there is no such entry: it was dropped for a bound
	archived    bool     // only the event's ID is here, the rest is at offset
	offset      int64
}

// eventIDs are the IDs of the events that e is about.
func (e *evidence) eventIDs() []string {
	if e.ids != nil {
		return e.ids
	}
	return []string{e.summary.EventID}
}

func (e *evidence) strings() [10]*string {
	s := &e.summary
	return [10]*string{
		&s.EventID, &s.EventName, &s.EventSource, &s.Account, &s.CallerAccount,
		&s.Region, &s.User, &s.SourceIP, &e.position, &e.suppression,
	}
}

// append encodes e: the version, then each field with its length.
func (e *evidence) append(dst []byte) []byte {
	if e.archived {
		dst = append(dst, archivedVersion)
		dst = binary.AppendVarint(dst, e.offset)
		dst = binary.AppendUvarint(dst, uint64(len(e.summary.EventID)))
		dst = append(dst, e.summary.EventID...)
		return append(dst, e.suppression...)
	}
	if e.ids == nil {
		dst = append(dst, evidenceVersion)
	} else {
		dst = append(dst, firingVersion)
	}
	for _, s := range e.strings() {
		dst = binary.AppendUvarint(dst, uint64(len(*s)))
		dst = append(dst, *s...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.raw)))
	dst = append(dst, e.raw...)
	if e.ids != nil {
		dst = binary.AppendUvarint(dst, uint64(len(e.ids)))
		for _, id := range e.ids {
			dst = binary.AppendUvarint(dst, uint64(len(id)))
			dst = append(dst, id...)
		}
	}
	return dst
}

// decode reads what append wrote. raw points into b.
func (e *evidence) decode(b []byte) error {
	if len(b) == 0 {
		return errEvidence
	}
	version := b[0]
	if version < evidenceVersion || version > archivedVersion {
		return fmt.Errorf("evidence entry has format %d, this version reads up to %d", version, archivedVersion)
	}
	b = b[1:]
	next := func() ([]byte, bool) {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return nil, false
		}
		field := b[w : w+int(n)]
		b = b[w+int(n):]
		return field, true
	}
	if version == archivedVersion {
		var w int
		if e.offset, w = binary.Varint(b); w <= 0 {
			return errEvidence
		}
		b = b[w:]
		id, ok := next()
		if !ok {
			return errEvidence
		}
		e.archived, e.summary.EventID, e.suppression = true, string(id), string(b)
		return nil
	}
	for _, s := range e.strings() {
		field, ok := next()
		if !ok {
			return errEvidence
		}
		*s = string(field)
	}
	raw, ok := next()
	if !ok {
		return errEvidence
	}
	e.raw = raw
	if version == evidenceVersion {
		return nil
	}
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)) {
		return errEvidence
	}
	b = b[w:]
	e.ids = make([]string, 0, n)
	for range n {
		id, ok := next()
		if !ok {
			return errEvidence
		}
		e.ids = append(e.ids, string(id))
	}
	return nil
}
