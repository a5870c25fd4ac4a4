package repartition

import (
	"encoding/binary"
	"fmt"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/alerting"
)

// AppendEvent appends an event's record with the given ones of its matches.
// Their rules are named by hash: AppendRule has to tell of them before.
func AppendEvent(dst []byte, ev *alerting.Event, matches []alerting.Match) []byte {
	dst = header(dst, kindEvent)
	dst = appendFlags(dst, ev.Timed, ev.HasTime, ev.Secondary)
	dst = append(dst, ev.Identity[:]...)
	dst = binary.BigEndian.AppendUint32(dst, ev.Sum)
	for _, n := range []int64{ev.Time, ev.Reached, ev.Arrived, int64(ev.Folded)} {
		dst = binary.AppendVarint(dst, n)
	}
	for _, s := range summary(ev) {
		dst = appendString(dst, *s)
	}
	dst = appendString(dst, ev.Raw)
	dst = binary.AppendUvarint(dst, uint64(len(matches)))
	for i := range matches {
		m := &matches[i]
		dst = binary.BigEndian.AppendUint64(dst, m.Rule.Hash)
		dst = appendFlags(dst, m.NoValue, m.NoGroup, m.Suppressed != nil, m.Suppressed != nil && m.Suppressed.OnKey)
		if m.Suppressed != nil {
			dst = appendString(dst, m.Suppressed.Reason)
		}
		dst = appendString(dst, m.Key)
		dst = binary.BigEndian.AppendUint64(dst, m.Value)
	}
	return dst
}

func summary(ev *alerting.Event) [10]*string {
	s := &ev.Summary
	return [10]*string{
		&s.EventID, &s.EventName, &s.EventSource, &s.Account, &s.CallerAccount, &s.Region, &s.User, &s.SourceIP,
		&ev.Position, &ev.Partition,
	}
}

// DecodeEvent reads an event's record without its matches; nil if the record
// is of another kind.
func DecodeEvent(b []byte) (*alerting.Event, error) {
	if len(b) > 1 && b[0] == version && b[1] != kindEvent {
		return nil, nil //nolint:nilnil // another kind of record is a valid answer
	}
	rec, err := Decode(b, nil)
	return rec.Event, err
}

func (r *reader) event(rule func(hash uint64) *alerting.Rule) *alerting.Event {
	ev := &alerting.Event{}
	r.flags(&ev.Timed, &ev.HasTime, &ev.Secondary)
	copy(ev.Identity[:], r.take(uint64(len(ev.Identity))))
	if b := r.take(4); b != nil {
		ev.Sum = binary.BigEndian.Uint32(b)
	}
	ev.Time, ev.Reached, ev.Arrived, ev.Folded = r.varint(), r.varint(), r.varint(), int(r.varint())
	for _, s := range summary(ev) {
		*s = r.string()
	}
	ev.Raw = r.bytes()
	if rule == nil {
		return ev
	}
	n := r.count(8)
	ev.Matches = make([]alerting.Match, 0, n)
	for range n {
		hash := r.uint64()
		m := alerting.Match{Rule: rule(hash)}
		var suppressed, onKey bool
		r.flags(&m.NoValue, &m.NoGroup, &suppressed, &onKey)
		if suppressed {
			m.Suppressed = &matcher.Suppression{Reason: r.string(), OnKey: onKey}
		}
		m.Key = r.bytes()
		m.Value = r.uint64()
		if r.err == nil && m.Rule == nil {
			r.fail(fmt.Errorf("repartition record has a match of rule %016x, of which no record told", hash))
		}
		if r.err != nil {
			return nil
		}
		ev.Matches = append(ev.Matches, m)
	}
	return ev
}
