package engine

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/trailtide/trailtide/sinks"
)

// Changes is what a transaction has collected so far. Engines embed it in their
// Txn, for its methods are the collecting half of that interface. The zero
// value is ready; one goroutine owns it.
type Changes struct {
	Positions map[string][]byte
	Alerts    []AlertChange
	Invalid   []InvalidEvent // Time is unset
	// MaxRaw bounds InvalidEvent.Raw in bytes; 0: DefaultMaxRaw.
	MaxRaw int

	entries  []EntryChange
	evidence map[string]int // key → index of its newest change in entries
}

// DefaultMaxRaw is how many bytes of an invalid event are kept.
const DefaultMaxRaw = 4 << 10

// EntryChange is a Put or, with Deleted set, a Delete.
type EntryChange struct {
	Table   Table
	Deleted bool
	Key     []byte
	Value   []byte
}

// AlertChange is one call of Txn.Alert.
type AlertChange struct {
	Alert        *sinks.Alert
	Save, Notify bool
}

// Put collects an entry's new value.
func (c *Changes) Put(t Table, key, value []byte) {
	c.entry(EntryChange{Table: t, Key: key, Value: value})
}

// Delete collects that an entry goes.
func (c *Changes) Delete(t Table, key []byte) {
	c.entry(EntryChange{Table: t, Key: key, Deleted: true})
}

func (c *Changes) entry(e EntryChange) {
	if e.Table == Evidence {
		if c.evidence == nil {
			c.evidence = map[string]int{}
		}
		c.evidence[string(e.Key)] = len(c.entries)
	}
	c.entries = append(c.entries, e)
}

// Position collects a source partition's new position.
func (c *Changes) Position(partition string, position []byte) {
	if c.Positions == nil {
		c.Positions = map[string][]byte{}
	}
	c.Positions[partition] = position
}

// Alert collects an alert's state. The struct is copied, so that the caller may
// go on to build the next state in it.
func (c *Changes) Alert(a *sinks.Alert, save, notify bool) {
	if !save && !notify {
		return
	}
	state := *a
	c.Alerts = append(c.Alerts, AlertChange{Alert: &state, Save: save, Notify: notify})
}

// DeadLetter collects an invalid event, cut to MaxRaw bytes.
func (c *Changes) DeadLetter(position, reason string, raw []byte) {
	limit := c.MaxRaw
	if limit <= 0 {
		limit = DefaultMaxRaw
	}
	c.Invalid = append(c.Invalid, InvalidEvent{
		Position: position, Reason: reason,
		Raw: bytes.Clone(raw[:min(len(raw), limit)]), Size: len(raw),
	})
}

// Empty says that there is nothing to commit.
func (c *Changes) Empty() bool {
	return len(c.entries) == 0 && len(c.Positions) == 0 && len(c.Alerts) == 0 && len(c.Invalid) == 0
}

// Entries returns the newest change of every entry, sorted by table and key:
// the order in which a B-tree takes them fastest. The slice is valid until the
// next Put or Delete.
func (c *Changes) Entries() []EntryChange {
	slices.SortStableFunc(c.entries, func(a, b EntryChange) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), bytes.Compare(a.Key, b.Key))
	})
	out := c.entries[:0]
	for i, e := range c.entries {
		last := i+1 == len(c.entries)
		if last || e.Table != c.entries[i+1].Table || !bytes.Equal(e.Key, c.entries[i+1].Key) {
			out = append(out, e)
		}
	}
	clear(c.entries[len(out):])
	c.entries = out
	for i, e := range out {
		if e.Table == Evidence {
			c.evidence[string(e.Key)] = i
		}
	}
	return out
}

// EvidenceOf returns what the transaction holds for an evidence key: known is
// false when it has not touched it, value is nil when it deleted it.
func (c *Changes) EvidenceOf(key []byte) (value []byte, known bool) {
	i, known := c.evidence[string(key)]
	if !known || c.entries[i].Deleted {
		return nil, known
	}
	return c.entries[i].Value, true
}
