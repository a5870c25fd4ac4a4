package control

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Why an alert is not told; the only answers of Book.Muted.
const (
	Acked   = "acked"
	Closed  = "closed"
	Ignored = "ignored"
)

// maxMarks bounds how many acked and closed alerts a Book remembers; the
// oldest are forgotten first. A mark takes some 300 bytes.
const maxMarks = 1_000_000

// Book is what is in force. The zero value is an empty one, ready for use; safe
// for concurrent use.
type Book struct {
	// Now is the wall clock that ends an Ignore; nil: time.Now. Set before use.
	Now func() time.Time
	// Max is how many acked and closed alerts are remembered; 0: 1,000,000.
	Max int

	mu      sync.RWMutex
	records map[string]*Record // by Key
	marks   []string           // keys of acks and closes, the oldest first
}

// Put enters a record: it replaces the one with its key.
func (b *Book) Put(r *Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.records == nil {
		b.records = map[string]*Record{}
	}
	key := r.Key()
	_, known := b.records[key]
	b.records[key] = r
	if known || r.Action == Ignore || r.Action == Unignore {
		return
	}
	b.marks = append(b.marks, key)
	limit := b.Max
	if limit == 0 {
		limit = maxMarks
	}
	for len(b.marks) > limit {
		delete(b.records, b.marks[0])
		b.marks = b.marks[1:]
	}
}

// Delete forgets the record with a key.
func (b *Book) Delete(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.records[key]; r != nil {
		delete(b.records, key)
		if r.Action == Ack || r.Action == Close {
			b.marks = slices.DeleteFunc(b.marks, func(k string) bool { return k == key })
		}
	}
}

// Muted says whether an alert's state is not to be told, and why: Acked, Closed
// or Ignored.
func (b *Book) Muted(a *sinks.Alert) (reason string, muted bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.records) == 0 {
		return "", false
	}
	if b.records["close/"+a.AlertID] != nil {
		return Closed, true
	}
	if a.Status == sinks.Update && b.records["ack/"+a.AlertID] != nil {
		return Acked, true
	}
	r := b.ignored(a)
	if r == nil {
		return "", false
	}
	// Who was told the beginning before is told the end, too.
	if a.Status == sinks.Resolved && a.Time.Before(r.At) {
		return "", false
	}
	return Ignored, true
}

// ignored returns the Ignore in force for the alert, nil without one.
func (b *Book) ignored(a *sinks.Alert) *Record {
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	for _, s := range scopes(a) {
		if r := b.records["ignore/"+s.ID()]; r != nil && r.Action == Ignore && now().Before(r.Until) {
			return r
		}
	}
	return nil
}

// Of returns what was said about an alert, for people to see: that it is acked,
// that it is closed, and the Ignore that was said at it or held when its
// newest state was made.
func (b *Book) Of(a *sinks.Alert) []*Record {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*Record
	for _, key := range []string{"ack/" + a.AlertID, "close/" + a.AlertID} {
		if r := b.records[key]; r != nil {
			out = append(out, r)
		}
	}
	for _, s := range scopes(a) {
		r := b.records["ignore/"+s.ID()]
		if r != nil && r.Action == Ignore && (r.AlertID == a.AlertID || !a.DetectedAt.Before(r.At) && a.DetectedAt.Before(r.Until)) {
			return append(out, r)
		}
	}
	return out
}

// scopes are those that an alert may be in.
func scopes(a *sinks.Alert) []Scope {
	s := []Scope{{RuleID: a.RuleID, Group: a.Group}}
	if len(a.Group) == 0 {
		// Its state does not always tell whether its rule has a threshold.
		s = append(s, plainScope(a))
	}
	return s
}

// Ignores lists the Ignores in force, the one that ends first first.
func (b *Book) Ignores(now time.Time) []*Record {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*Record
	for _, r := range b.records {
		if r.Action == Ignore && now.Before(r.Until) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y *Record) int {
		return cmp.Or(x.Until.Compare(y.Until), cmp.Compare(x.Key(), y.Key()))
	})
	return out
}
