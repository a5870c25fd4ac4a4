package memory

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// TestFromTime: a sink may begin at the first alert of a time.
func TestFromTime(t *testing.T) {
	e := New(Options{})
	if err := e.Restore(t.Context(), 0, func(engine.Table, []byte, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	if err := e.Register(t.Context(), engine.FromOldest, "keeper"); err != nil {
		t.Fatal(err)
	}
	txn, err := e.Begin(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []string{"a", "b", "c"} {
		txn.Alert(&sinks.Alert{AlertID: id, DetectedAt: at.Add(time.Duration(i) * time.Minute)}, false, true)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from engine.Start
		want int64
	}{
		"before all":    {engine.FromTime(at.Add(-time.Hour)), 3},
		"at the second": {engine.FromTime(at.Add(time.Minute)), 2},
		"between":       {engine.FromTime(at.Add(90 * time.Second)), 1},
		"after all":     {engine.FromTime(at.Add(time.Hour)), 0},
		"before 1970":   {engine.FromTime(time.Time{}), 3},
	} {
		if err := e.Register(t.Context(), c.from, name); err != nil {
			t.Fatal(err)
		}
		if unread, err := e.Forget(t.Context(), name); err != nil || unread != c.want {
			t.Errorf("%s: %d unread, %v; want %d", name, unread, err, c.want)
		}
	}
}
