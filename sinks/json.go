package sinks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends a as one JSON object: the names of the contract in the
// order of the struct, `group` always an object, `event_ids` always an array,
// times in RFC 3339, UTC, with the precision that they have (null when there
// is none). Raw events are copied byte for byte, white space and all; bytes
// that are not JSON become a JSON string of their text, so that the object as
// a whole always is JSON. Nothing is escaped for HTML.
func (a *Alert) AppendJSON(dst []byte) []byte { return a.appendJSON(dst, appendRaw) }

// AppendLine appends a as AppendJSON does, but as one line of valid UTF-8
// without its end: in raw events, a line break between tokens becomes a space
// and one inside a string its escape, and a broken UTF-8 sequence U+FFFD.
// Compact events come out byte for byte.
func (a *Alert) AppendLine(dst []byte) []byte { return a.appendJSON(dst, appendRawLine) }

// ParseAlert reads what AppendJSON or AppendLine wrote. Unknown names are
// skipped, so that an older version reads what a newer one wrote. The alert
// owns all of its memory; b may be reused.
func ParseAlert(b []byte) (*Alert, error) {
	a := new(Alert)
	if err := json.Unmarshal(b, a); err != nil {
		return nil, fmt.Errorf("parse alert: %w", err)
	}
	for _, t := range []*time.Time{&a.Time, &a.FirstTime, &a.LastTime, &a.DetectedAt} {
		*t = t.UTC()
	}
	if bytes.Equal(a.Event, null) {
		a.Event = nil
	}
	return a, nil
}

var null = []byte("null")

func (a *Alert) appendJSON(dst []byte, raw func(dst, raw []byte) []byte) []byte {
	dst = appendString(append(dst, `{"alert_id":`...), a.AlertID)
	dst = appendString(append(dst, `,"rule_id":`...), a.RuleID)
	dst = appendString(append(dst, `,"title":`...), a.Title)
	dst = appendString(append(dst, `,"severity":`...), a.Severity)
	dst = appendString(append(dst, `,"status":`...), string(a.Status))
	dst = appendTime(append(dst, `,"time":`...), a.Time)
	dst = appendTime(append(dst, `,"first_time":`...), a.FirstTime)
	dst = appendTime(append(dst, `,"last_time":`...), a.LastTime)
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(a.Count), 10)
	if a.CountCapped {
		dst = append(dst, `,"count_capped":true`...)
	}
	if a.Distinct != 0 {
		dst = strconv.AppendInt(append(dst, `,"distinct":`...), int64(a.Distinct), 10)
	}
	dst = appendGroup(append(dst, `,"group":`...), a.Group)
	dst = appendString(append(dst, `,"account":`...), a.Account)
	dst = appendString(append(dst, `,"region":`...), a.Region)
	dst = appendString(append(dst, `,"user":`...), a.User)
	dst = appendString(append(dst, `,"source_ip":`...), a.SourceIP)
	dst = appendString(append(dst, `,"event_name":`...), a.EventName)
	dst = appendString(append(dst, `,"event_source":`...), a.EventSource)
	dst = appendString(append(dst, `,"event_id":`...), a.EventID)
	dst = appendStrings(append(dst, `,"event_ids":`...), a.EventIDs)
	dst = appendString(append(dst, `,"position":`...), a.Position)
	dst = raw(append(dst, `,"event":`...), a.Event)
	if len(a.Events) > 0 {
		dst = append(dst, `,"events":`...)
		sep := byte('[')
		for _, e := range a.Events {
			dst = raw(append(dst, sep), e)
			sep = ','
		}
		dst = append(dst, ']')
	}
	if a.EvidenceCut {
		dst = append(dst, `,"evidence_cut":true`...)
	}
	dst = appendOptional(dst, "merged_into", a.MergedInto)
	dst = appendOptional(dst, "resolution", a.Resolution)
	dst = appendOptional(dst, "description", a.Description)
	dst = appendOptional(dst, "runbook", a.Runbook)
	dst = appendOptionals(dst, "references", a.References)
	dst = appendOptionals(dst, "tags", a.Tags)
	dst = appendOptional(dst, "suppression", a.Suppression)
	dst = appendOptional(dst, "caller_account", a.CallerAccount)
	dst = appendOptionals(dst, "sinks", a.Sinks)
	dst = appendTime(append(dst, `,"detected_at":`...), a.DetectedAt)
	if a.DelaySeconds != 0 {
		dst = strconv.AppendInt(append(dst, `,"delay_seconds":`...), a.DelaySeconds, 10)
	}
	return append(dst, '}')
}

func appendOptional(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendString(dst, s)
}

func appendOptionals(dst []byte, name string, ss []string) []byte {
	if len(ss) == 0 {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendStrings(dst, ss)
}

func appendStrings(dst []byte, ss []string) []byte {
	dst = append(dst, '[')
	for i, s := range ss {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

// appendGroup writes the keys in order, so that equal alerts are equal bytes.
func appendGroup(dst []byte, group map[string]*string) []byte {
	dst = append(dst, '{')
	for i, k := range slices.Sorted(maps.Keys(group)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, k), ':')
		if v := group[k]; v != nil {
			dst = appendString(dst, *v)
		} else {
			dst = append(dst, null...)
		}
	}
	return append(dst, '}')
}

// appendTime writes null for the zero time and for years that RFC 3339 cannot
// say.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); t.IsZero() || y < 0 || y > 9999 {
		return append(dst, null...)
	}
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
}

const hexDigits = "0123456789abcdef"

// appendString writes s as a JSON string. Beside what JSON demands it escapes
// the three Unicode line separators, at which some readers split lines.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = appendControl(append(dst, s[from:i]...), c)
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[from:i]...), `\ufffd`...)
		case r == 0x85:
			dst = append(append(dst, s[from:i]...), `\u0085`...)
		case r == 0x2028 || r == 0x2029:
			dst = append(append(dst, s[from:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xF])
		default:
			i += size
			continue
		}
		i += size
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

func appendControl(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
	}
}

// appendRaw writes an event's own bytes.
func appendRaw(dst, raw []byte) []byte {
	switch {
	case len(raw) == 0:
		return append(dst, null...)
	case !json.Valid(raw):
		return appendString(dst, string(raw))
	}
	return append(dst, raw...)
}

// appendRawLine writes an event's bytes so that they stay on one line of valid
// UTF-8. Line breaks inside a string are not JSON, but lenient writers and
// readers know them; escaped they mean the same.
func appendRawLine(dst, raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 && utf8.Valid(raw) {
		return appendRaw(dst, raw)
	}
	line := make([]byte, 0, len(raw)+16)
	inString, escaped := false, false
	for _, c := range raw {
		switch {
		case c == '\n' || c == '\r':
			if inString {
				line = appendControl(line, c)
			} else {
				line = append(line, ' ')
			}
			escaped = false
			continue
		case escaped:
			escaped = false
		case c == '\\':
			escaped = inString
		case c == '"':
			inString = !inString
		}
		line = append(line, c)
	}
	return appendRaw(dst, bytes.ToValidUTF8(line, []byte("\uFFFD")))
}
