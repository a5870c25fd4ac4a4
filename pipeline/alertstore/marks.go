package alertstore

import (
	"encoding/json"
	"time"

	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/sinks"
)

// Marks are what people said about an alert. The JSON names are a contract.
type Marks struct {
	AckedBy      string     `json:"acked_by,omitempty"`
	AckedAt      *time.Time `json:"acked_at,omitempty"` // set: it is acked
	AckReason    string     `json:"ack_reason,omitempty"`
	ClosedBy     string     `json:"closed_by,omitempty"`
	ClosedAt     *time.Time `json:"closed_at,omitempty"` // set: it is closed
	CloseReason  string     `json:"close_reason,omitempty"`
	IgnoredBy    string     `json:"ignored_by,omitempty"`
	IgnoredAt    *time.Time `json:"ignored_at,omitempty"` // set: alerts of its kind are ignored
	IgnoredUntil *time.Time `json:"ignored_until,omitempty"`
	IgnoreReason string     `json:"ignore_reason,omitempty"`
}

// MarksOf collects what a book says about an alert.
func MarksOf(b *control.Book, a *sinks.Alert) Marks {
	var m Marks
	for _, r := range b.Of(a) {
		m.Mark(r)
	}
	return m
}

// Mark notes what a record says.
func (m *Marks) Mark(r *control.Record) {
	switch r.Action {
	case control.Ack:
		m.AckedBy, m.AckedAt, m.AckReason = r.By, &r.At, r.Reason
	case control.Close:
		m.ClosedBy, m.ClosedAt, m.CloseReason = r.By, &r.At, r.Reason
	case control.Ignore:
		m.IgnoredBy, m.IgnoredAt, m.IgnoredUntil, m.IgnoreReason = r.By, &r.At, &r.Until, r.Reason
	case control.Unignore: // what it lifts is not in force
	}
}

// Words are the marks in short: "acked", "closed", "ignored".
func (m *Marks) Words() []string {
	var words []string
	for _, w := range []struct {
		at   *time.Time
		word string
	}{{m.AckedAt, control.Acked}, {m.ClosedAt, control.Closed}, {m.IgnoredAt, control.Ignored}} {
		if w.at != nil {
			words = append(words, w.word)
		}
	}
	return words
}

// Extend adds the marks to the end of an alert's JSON object, as further names.
// Without marks the object stays as it is.
func (m *Marks) Extend(object []byte) []byte {
	b, err := json.Marshal(m)
	if err != nil || len(b) <= len("{}") {
		return object // only a time beyond the year 9999 cannot be written, and no record holds one
	}
	object[len(object)-1] = ','
	return append(object, b[1:]...)
}
