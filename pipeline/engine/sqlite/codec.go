package sqlite

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// encoded is an alert as three columns. Raw events stay out of the JSON, so
// that they come back byte for byte even where they are not strict JSON.
type encoded struct {
	body, event, events []byte
}

func encode(a *sinks.Alert) encoded {
	bare := *a
	bare.Event, bare.Events = nil, nil
	e := encoded{body: bare.AppendJSON(nil), event: a.Event}
	for _, raw := range a.Events {
		e.events = binary.AppendUvarint(e.events, uint64(len(raw)))
		e.events = append(e.events, raw...)
	}
	return e
}

// decode reverses encode. The alert keeps e's event columns.
func decode(e encoded) (*sinks.Alert, error) {
	a, err := sinks.ParseAlert(e.body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if len(e.event) > 0 {
		a.Event = json.RawMessage(e.event)
	}
	if a.Events, err = splitEvents(e.events); err != nil {
		return nil, fmt.Errorf("%w: alert %s: %w", ErrDamaged, a.AlertID, err)
	}
	return a, nil
}

var errEvents = errors.New("events are cut short")

func splitEvents(b []byte) ([]json.RawMessage, error) {
	var events []json.RawMessage
	for len(b) > 0 {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return nil, errEvents
		}
		b = b[used:]
		events = append(events, json.RawMessage(b[:n:n]))
		b = b[n:]
	}
	return events, nil
}

var (
	minTime = time.Unix(0, math.MinInt64)
	maxTime = time.Unix(0, math.MaxInt64)
)

// nanos is t in Unix nanoseconds, cut to what fits: the years 1678 to 2261.
func nanos(t time.Time) int64 {
	switch {
	case t.Before(minTime):
		return math.MinInt64
	case t.After(maxTime):
		return math.MaxInt64
	}
	return t.UnixNano()
}
