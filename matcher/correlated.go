package matcher

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Scale is what numbers are multiplied by to be added and compared as whole
// numbers: values count with four decimals.
const Scale = 10_000

// greatestNumber is the greatest absolute value of a scaled number.
const greatestNumber = math.MaxInt64 - 1

// feed appends the correlations that rule i, which has just matched, belongs to.
func (m *Matcher) feed(dst []Hit, i int32, own *Suppression, ev *cloudtrail.Event) []Hit {
	for k := range m.rs.fed[i] {
		f := &m.rs.fed[i][k]
		s := own
		switch {
		case s == nil:
			s = m.suppressed(f.rule, ev)
		case s.OnKey:
			onEvent := *s // the key is the member's, not the correlation's
			onEvent.OnKey = false
			s = &onEvent
		}
		dst = append(dst, Hit{Rule: m.rs.rules[f.rule], Suppressed: s, Member: f.member, Tag: f.tag})
	}
	return dst
}

// AppendKey appends the member's key of an event, as Threshold.AppendKey does;
// ok is false when the event lacks one of the fields: it belongs to no group.
func (m *Member) AppendKey(dst []byte, ev *cloudtrail.Event) (key []byte, ok bool) {
	root, err := ev.Parse()
	if err != nil {
		return dst, false
	}
	var e evaluator
	for _, p := range m.GroupBy {
		start := len(dst) + 1
		if dst, ok = e.appendValue(append(dst, 1), root, p); !ok {
			return dst, false
		}
		dst = lengthBefore(dst, start)
	}
	return dst, true
}

// Value is what an event counts with in a correlation of kind k: the hash of
// the values of Fields, or a number times Scale. ok is false when the event lacks
// one of them or has no number there (JSON strings that are numbers count).
func (m *Member) Value(k CorrelationKind, ev *cloudtrail.Event) (value uint64, ok bool) {
	root, err := ev.Parse()
	if err != nil || len(m.Fields) == 0 {
		return 0, false
	}
	var e evaluator
	if k.Numeric() {
		text, ok := e.appendValue(nil, root, m.Fields[0])
		if !ok {
			return 0, false
		}
		v, ok := ScaleNumber(text)
		return uint64(v), ok
	}
	var all []byte
	for _, p := range m.Fields {
		start := len(all)
		if all, ok = e.appendValue(all, root, p); !ok {
			return 0, false
		}
		all = lengthBefore(all, start)
	}
	return xxhash.Sum64(all), true
}

// AppendKeyOf appends the key and the values that a firing of a rule, with the
// given group, has in the correlation that f feeds; ok is false when one is
// missing.
func (f *Feed) AppendKeyOf(dst []byte, group []KeyField) (key []byte, value uint64, ok bool) {
	for _, i := range f.Keys {
		if i >= len(group) || group[i].Missing {
			return dst, 0, false
		}
		dst = appendLengthed(append(dst, 1), group[i].Value)
	}
	var all []byte
	for _, i := range f.Fields {
		if i >= len(group) || group[i].Missing {
			return dst, 0, false
		}
		all = appendLengthed(all, group[i].Value)
	}
	return dst, xxhash.Sum64(all), true
}

// ScaleNumber reads a JSON number as a whole number of 1/Scale, rounded to the
// nearest, halves away from zero; what is too great is the greatest there is.
func ScaleNumber(s []byte) (int64, bool) {
	d, ok := parseDecimal(s)
	if !ok {
		return 0, false
	}
	whole := d.exp + 4 // digits before the point, once scaled
	n, count := uint64(0), int64(d.digits())
	for i := int64(0); i < whole; i++ {
		digit := uint64(0)
		if i < count {
			digit = uint64(d.digit(int(i)) - '0')
		}
		if n > (greatestNumber-9)/10 {
			n = greatestNumber
			break
		}
		if n = n*10 + digit; n == 0 {
			break
		}
	}
	if whole >= 0 && whole < count && d.digit(int(whole)) >= '5' && n < greatestNumber {
		n++
	}
	if d.neg {
		return -int64(n), true
	}
	return int64(n), true
}
