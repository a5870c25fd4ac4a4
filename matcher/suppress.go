package matcher

import (
	"slices"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// onKey says whether every field that the suppression reads is one of the
// threshold's group-by fields.
func (s *Suppression) onKey(t *Threshold) bool {
	if t == nil {
		return false
	}
	read, all := 0, true
	s.Cond.reads(func(p Path) {
		read++
		keys, ok := p.Plain()
		all = all && ok && slices.ContainsFunc(t.GroupBy, func(g cloudtrail.Path) bool {
			return slices.Equal(g, keys)
		})
	})
	return read > 0 && all
}

// globalSuppressions hold for every rule. Whether one is on a rule's key
// depends on the rule, so that there are two of each.
type globalSuppressions struct{ onEvent, onKey []*Suppression }

func newGlobalSuppressions(list []*Suppression) globalSuppressions {
	var g globalSuppressions
	for _, s := range list {
		event, key := *s, *s
		event.OnKey, key.OnKey = false, true
		g.onEvent = append(g.onEvent, &event)
		g.onKey = append(g.onKey, &key)
	}
	return g
}

// with returns the suppressions of r, its own first; those on the key come
// last, for one that keeps a match from counting says more than one that
// mutes its alert.
func (g globalSuppressions) with(r *Rule) []*Suppression {
	var event, key []*Suppression
	add := func(own, asKey *Suppression) {
		if own.onKey(r.Threshold) {
			key = append(key, asKey)
		} else {
			event = append(event, own)
		}
	}
	for _, s := range r.Suppress {
		if on := s.onKey(r.Threshold); s.OnKey != on {
			s.OnKey = on
		}
		add(s, s)
	}
	for i, s := range g.onEvent {
		if s.Covers(r.ID) {
			add(s, g.onKey[i])
		}
	}
	return append(event, key...)
}

// inForce says whether the suppression still holds for an event of that time.
// One that expires needs a readable time.
func (s *Suppression) inForce(nanos int64, timed bool) bool {
	return s.Expires.IsZero() || timed && nanos < s.Expires.UnixNano()
}
