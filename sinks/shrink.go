package sinks

import "encoding/json"

// AppendJSONWithin appends a as AppendJSON does, but leaves raw events out
// where the whole would exceed limit bytes: first the evidence (`events`), then
// the event itself; evidence_cut then says so. What remains may still exceed
// the limit: the receiver decides. A receiver with a size limit so gets a
// smaller alert instead of none. a is not changed.
func (a *Alert) AppendJSONWithin(dst []byte, limit int) []byte {
	start := len(dst)
	dst = a.AppendJSON(dst)
	fits := func() bool { return len(dst)-start <= limit }
	if fits() {
		return dst
	}
	small := *a
	small.Events, small.EvidenceCut = nil, true
	if dst = small.AppendJSON(dst[:start]); fits() {
		return dst
	}
	small.Event = json.RawMessage(nil)
	return small.AppendJSON(dst[:start])
}
