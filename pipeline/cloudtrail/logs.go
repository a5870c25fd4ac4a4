package cloudtrail

import (
	"errors"
	"fmt"
)

// subscription unwraps a CloudWatch Logs subscription message: each of its logEvents
// has a message whose text is a CloudTrail event, or an EventBridge event with
// one. The array of logEvents begins at array; 0: it was not met yet.
// A message without messageType is taken as data.
//
// Semantics: CloudWatch Logs user guide, subscription filters.
func (r *run) subscription(b []byte, array int, open bool) int {
	kind := r.ev.findField(fieldMessageType)
	switch kind.kind {
	case Missing:
	case Broken:
		return r.malformed(b, r.ev.err.Error(), open)
	case String:
		switch text := r.ev.text(kind); string(text) {
		case "DATA_MESSAGE":
		case "CONTROL_MESSAGE":
			return r.control(b, open)
		default:
			return r.malformed(b, fmt.Sprintf("a CloudWatch Logs message of unknown type %q", text[:min(len(text), 100)]), open)
		}
	default:
		return r.malformed(b, "a CloudWatch Logs message whose messageType is not a string", open)
	}
	if array == 0 {
		if array = r.logEvents(); array == 0 {
			if err := r.ev.err; err != nil {
				return r.malformed(b, err.Error(), open)
			}
			return r.malformed(b, "a CloudWatch Logs message whose logEvents is not an array", open)
		}
	}
	return r.elements(b, array, logs, open)
}

// logEvents reads on to the array of logEvents and returns where it begins.
func (r *run) logEvents() int {
	ev := r.ev
	for {
		if ev.seen&(1<<fieldLogEvents) != 0 {
			if s := ev.at[fieldLogEvents]; s.kind == Array {
				return s.start
			}
			return 0
		}
		if at := ev.arrayAhead(`"logEvents"`); at > 0 {
			return at
		}
		if _, ok := ev.next(); !ok {
			return 0
		}
	}
}

// control skips a control message, by which CloudWatch Logs tries whether the
// destination can be reached.
func (r *run) control(b []byte, open bool) int {
	if open {
		return r.malformed(b, errTruncated.Error(), open)
	}
	r.skipped(b, "a CloudWatch Logs control message")
	return len(b)
}

// logEvent unwraps the element of logEvents that b begins with and returns
// where it ends, or -1.
func (r *run) logEvent(b []byte, open bool) int {
	if len(b) == 0 || b[0] != '{' {
		return r.element(b, open)
	}
	entry := &r.u.entry
	entry.maxDepth = r.u.limits.MaxDepth
	entry.open(b)
	message := entry.find("message")
	end := entry.close()
	if end < 0 || open && errors.Is(entry.err, ErrBroken) {
		return -1
	}
	switch message.kind {
	case String:
		r.message(entry.text(message))
	case Broken:
		r.invalid(b[:end], entry.err.Error())
	default:
		r.invalid(b[:end], "a log event whose message is not a string")
	}
	return end
}

// message unwraps the text of one log event.
func (r *run) message(b []byte) {
	b = trimSpace(b)
	if len(b) == 0 || b[0] != '{' {
		r.invalid(b, "a log event that is no JSON object")
		return
	}
	r.ev.Reset(b)
	c, _ := r.classify()
	r.single(c, b)
}
