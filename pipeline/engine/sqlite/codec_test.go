package sqlite

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Raw events come back byte for byte, whatever they are.
func FuzzCodec(f *testing.F) {
	f.Add("user", []byte(`{"a":1}`), []byte("{ \"a\" : 1.50, \"h\":\"<&>\" }\n"), []byte("\xff\x00 no JSON"))
	f.Add("\xff\x00<b>", []byte(nil), []byte{}, bytes.Repeat([]byte("x"), 300))
	f.Fuzz(func(t *testing.T, user string, event, one, two []byte) {
		want := &sinks.Alert{AlertID: "a", User: user, Count: 3, Event: event, Events: []json.RawMessage{one, two}}
		got, err := decode(encode(want))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want.Event, got.Event) || !slices.EqualFunc(want.Events, got.Events, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Errorf("events %q %q, want %q %q", got.Event, got.Events, want.Event, want.Events)
		}
		// JSON holds no broken UTF-8: what it makes of it stays.
		again, err := sinks.ParseAlert((&sinks.Alert{User: user}).AppendJSON(nil))
		if err != nil {
			t.Fatal(err)
		}
		if got.User != again.User || got.AlertID != "a" || got.Count != 3 {
			t.Errorf("alert %+v, want that of user %q", got, again.User)
		}
	})
}

// Damaged columns are an error, never a panic.
func FuzzDecode(f *testing.F) {
	e := encode(&sinks.Alert{AlertID: "a", Events: []json.RawMessage{[]byte("{}")}})
	f.Add(e.body, e.events)
	f.Add([]byte("{"), []byte{5, 'x'})
	f.Add(e.body, bytes.Repeat([]byte{0xff}, 11))
	f.Fuzz(func(t *testing.T, body, events []byte) {
		a, err := decode(encoded{body: body, events: events})
		if (a == nil) == (err == nil) {
			t.Fatalf("decode: %v, %v", a, err)
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("decode: %v, want ErrDamaged", err)
		}
	})
}

func TestNanos(t *testing.T) {
	for _, c := range []struct {
		t    time.Time
		want int64
	}{
		{time.Unix(1, 5), 1_000_000_005},
		{time.Time{}, math.MinInt64},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		{time.Unix(0, math.MaxInt64), math.MaxInt64},
		{time.Unix(0, math.MinInt64), math.MinInt64},
	} {
		if got := nanos(c.t); got != c.want {
			t.Errorf("nanos(%s) = %d, want %d", c.t, got, c.want)
		}
	}
}
