package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// TestControls: what is said beside a running worker reaches its reader; a
// later word replaces an earlier one, and a lifted Ignore keeps its story.
func TestControls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	e := startAt(t, path, Options{})
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	scope := control.Scope{RuleID: "r", Plain: true, User: "joe"}
	say := func(r *control.Record) {
		t.Helper()
		if err := Say(t.Context(), path, r); err != nil {
			t.Fatal(err)
		}
	}
	ack := &control.Record{Action: control.Ack, AlertID: "a", By: "jane", At: at}
	ignore := &control.Record{Action: control.Ignore, AlertID: "b", Scope: scope, At: at, Until: at.Add(time.Hour)}
	say(ack)
	say(ignore)
	got, last, err := e.Controls(t.Context(), 0)
	if d := cmp.Diff([]*control.Record{ack, ignore}, got); err != nil || d != "" {
		t.Fatalf("%v (-want +got):\n%s", err, d)
	}
	say(&control.Record{Action: control.Unignore, Scope: scope, At: at.Add(time.Minute)})
	ignore.Until = at.Add(time.Minute)
	got, last, err = e.Controls(t.Context(), last)
	if d := cmp.Diff([]*control.Record{ignore}, got); err != nil || d != "" {
		t.Fatalf("%v (-want +got):\n%s", err, d)
	}
	if got, _, err := e.Controls(t.Context(), last); err != nil || len(got) != 0 {
		t.Errorf("nothing new: %v, %v", got, err)
	}
	if err := e.Control(t.Context(), []ControlChange{{Key: ack.Key()}}, nil); err != nil {
		t.Fatal(err)
	}
	if got, _, err := e.Controls(t.Context(), 0); err != nil || len(got) != 1 {
		t.Errorf("after the ack has gone: %v, %v", got, err)
	}
	if err := Say(t.Context(), path+"x", ack); err == nil {
		t.Error("a file was created")
	}
}

// TestUpgrade: a file of the first format has nothing that was said, and gets
// the table with its next owner.
func TestUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	e := startAt(t, path, Options{})
	for _, q := range []string{"DROP TABLE controls", "UPDATE meta SET value = 1 WHERE name = 'format'"} {
		if err := e.w.update(t.Context(), func(x *tx) error { return x.exec(q) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := r.Controls(t.Context(), 0); err != nil || len(got) != 0 {
		t.Errorf("a file of format 1: %v, %v", got, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	e = startAt(t, path, Options{})
	err = Say(t.Context(), path, &control.Record{Action: control.Close, AlertID: "a", At: time.Now()})
	if got, _, also := e.Controls(t.Context(), 0); err != nil || also != nil || len(got) != 1 {
		t.Errorf("after the upgrade: %v, %v, %v", got, err, also)
	}
	if s, err := e.Stats(t.Context()); err != nil || s.StateFormat != format {
		t.Errorf("format %d, %v", s.StateFormat, err)
	}
}

// TestFromTime: a sink may begin at the first alert of a time.
func TestFromTime(t *testing.T) {
	e := startAt(t, filepath.Join(t.TempDir(), "state.db"), Options{})
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	if err := e.Register(t.Context(), engine.FromOldest, "keeper"); err != nil {
		t.Fatal(err)
	}
	commit(t, e, func(txn engine.Txn) {
		for i, id := range []string{"a", "b", "c"} {
			txn.Alert(&sinks.Alert{AlertID: id, DetectedAt: at.Add(time.Duration(i) * time.Minute)}, false, true)
		}
	})
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
