package alerting

import (
	"context"
	"fmt"
	"slices"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/window"
)

// A correlation may count the firings of a rule with a threshold, another
// correlation among them. A firing is a match like any other: its time is that
// of the alert, its identity the alert's ID, its group the alert's.

// feedInfo is a matcher.Feed as it is stored beside windows.
type feedInfo struct {
	Hash   uint64        `json:"hash,string"` // of the correlation's rule
	Policy window.Policy `json:"policy"`
	Tagged bool          `json:"tagged,omitempty"`
	Tag    int           `json:"tag,omitempty"`
	Keys   []int         `json:"keys,omitempty"`
	Fields []int         `json:"fields,omitempty"`
}

// derived is a firing that counted: of which key it was, and which evidence of
// other keys it is to be.
type derived struct {
	key    string
	serial window.ID
}

// advance moves the windows to the watermark. Where firings count as matches,
// it stops at each time at which something may fire, so that what it feeds is
// neither late nor after what it should have been part of.
func (s *Stage) advance(live bool) {
	w := s.marks.Value()
	if s.rules.chained {
		for due := s.store.NextDue(live); due < w; due = s.store.NextDue(live) {
			s.store.Advance(due+1, live)
			s.feed()
		}
	}
	s.store.Advance(w, live)
	s.feed()
}

// feed counts the firings since it was last called, and those that this makes.
func (s *Stage) feed() {
	for {
		s.fired = s.store.TakeFired(s.fired[:0])
		if len(s.fired) == 0 || !s.rules.chained {
			return
		}
		for i := range s.fired {
			s.derive(&s.fired[i])
		}
	}
}

func (s *Stage) derive(f *window.Firing) {
	hash, groupKey, ok := splitWindowKey([]byte(f.Key))
	info := s.rules.get(hash)
	if !ok || info == nil || len(info.Feeds) == 0 {
		return
	}
	group, err := info.threshold().DecodeKey(groupKey)
	if err != nil {
		return // change reports it
	}
	id := window.ID(thresholdID(info.ID, groupKey, f.Serial))
	for i := range info.Feeds {
		feed := &info.Feeds[i]
		to := matcher.Feed{Keys: feed.Keys, Fields: feed.Fields}
		key, value, ok := to.AppendKeyOf(appendWindowKey(s.key[:0], feed.Hash, nil), group)
		s.key = key
		if !ok {
			s.counts.Ungrouped++
			continue
		}
		if feed.Tagged {
			value = 1 << feed.Tag
		}
		m := window.Match{Key: key, Policy: feed.Policy, ID: id, Value: value}
		// What silence fires becomes known when the source is live again.
		m.Time = max(f.Time, s.store.Reached(&feed.Policy))
		if s.store.Observe(&m) == window.Counted {
			d := derived{key: f.Key, serial: f.Serial}
			s.derived[d] = append(s.derived[d], evidenceKey(key, id))
		}
	}
}

// drainDerived is drain in an interval in which firings counted: their evidence
// has to be there before any alert asks for it.
func (s *Stage) drainDerived(ctx context.Context) error {
	var all []window.Change
	s.store.Drain(func(c *window.Change) {
		c2 := *c
		c2.Key, c2.Members = slices.Clone(c.Key), slices.Clone(c.Members)
		all = append(all, c2)
	})
	for i := range all {
		c := &all[i]
		keys := s.derived[derived{string(c.Key), c.Serial}]
		if c.Type != window.Fired || len(keys) == 0 {
			continue
		}
		e, err := s.derivedEvidence(ctx, c)
		if err != nil {
			return err
		}
		for _, k := range keys {
			s.txn.Put(engine.Evidence, k, e.append(nil))
		}
	}
	for i := range all {
		if err := s.change(ctx, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

// maxDerivedIDs bounds the event IDs that stand for one firing.
const maxDerivedIDs = 1024

// derivedEvidence is what an alert tells of a firing: its newest event, and the
// IDs of all that it counted.
func (s *Stage) derivedEvidence(ctx context.Context, c *window.Change) (*evidence, error) {
	list, err := s.evidence(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("read the evidence of a correlated alert: %w", err)
	}
	if err := s.lookUp(ctx, list); err != nil {
		return nil, err
	}
	out := &evidence{}
	for i := range list {
		if list[i].missing {
			continue
		}
		ids := list[i].eventIDs()
		*out, ids = list[i], append(out.ids, ids...)
		out.ids = ids[:min(len(ids), maxDerivedIDs)]
	}
	return out, nil
}
