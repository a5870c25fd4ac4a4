package alerting

import (
	"bytes"

	"github.com/cespare/xxhash/v2"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Matches makes an Event's Matches of the hits on it, with keys and values of
// their own. rules describes the rules of the set that matched. scratch is used
// and returned.
func Matches(hits []matcher.Hit, rules Rules, ev *cloudtrail.Event, scratch []byte) ([]Match, []byte) {
	out := make([]Match, 0, len(hits))
	for i := range hits {
		h := &hits[i]
		m := Match{Rule: rules[h.Rule], Suppressed: h.Suppressed}
		t := h.Rule.Threshold
		switch {
		case t == nil:
		case h.Member != nil:
			var ok bool
			if scratch, ok = correlated(&m, h, ev, scratch); ok {
				if twin := find(out, &m); twin != nil {
					if t.Correlation.Kind.Tagged() {
						twin.Value |= m.Value
					}
					continue // one event counts once
				}
			}
		default:
			scratch = t.AppendKey(scratch[:0], ev)
			m.Key = bytes.Clone(scratch)
			if t.Distinct != nil {
				value, ok := t.AppendDistinct(scratch[:0], ev)
				scratch = value
				m.Value, m.NoValue = xxhash.Sum64(value), !ok
			}
		}
		out = append(out, m)
	}
	return out, scratch
}

// correlated fills in what a member's hit counts for; ok is false when it
// counts for nothing.
func correlated(m *Match, h *matcher.Hit, ev *cloudtrail.Event, scratch []byte) ([]byte, bool) {
	c := h.Rule.Threshold.Correlation
	key, ok := h.Member.AppendKey(scratch[:0], ev)
	if !ok {
		m.NoGroup = true
		return key, false
	}
	m.Key = bytes.Clone(key)
	switch {
	case c.Kind.Tagged():
		m.Value = 1 << h.Tag
	case len(h.Member.Fields) > 0:
		m.Value, ok = h.Member.Value(c.Kind, ev)
		// What fires at once must not be taken back by a number below 0.
		m.NoValue = !ok || atOnce(c) && c.Kind == matcher.SumOf && int64(m.Value) < 0
	}
	return key, !m.NoValue
}

// find returns the match that the event has under the same key already.
func find(list []Match, m *Match) *Match {
	for i := range list {
		x := &list[i]
		if x.Rule == m.Rule && x.Suppressed == m.Suppressed && !x.NoGroup && !x.NoValue && bytes.Equal(x.Key, m.Key) {
			return x
		}
	}
	return nil
}
