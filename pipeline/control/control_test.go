package control

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/sinks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func text(s string) *string { return &s }

func grouped(user string) *sinks.Alert {
	return &sinks.Alert{
		AlertID: "g-" + user, RuleID: "brute-force", Status: sinks.Firing, Count: 20, Time: noon, DetectedAt: noon,
		Group: map[string]*string{"user": &user, "region": nil},
	}
}

func plain(user string) *sinks.Alert {
	return &sinks.Alert{
		AlertID: "p-" + user, RuleID: "root-login", Status: sinks.Firing, Count: 1, Time: noon, DetectedAt: noon,
		Group: map[string]*string{}, Account: "111122223333", User: user, EventSource: "signin.amazonaws.com", EventName: "ConsoleLogin",
	}
}

func TestFormat(t *testing.T) {
	for want, r := range map[string]*Record{
		`{"v":1,"action":"ack","alert_id":"a","by":"jane","reason":"on it","at":"2026-05-04T12:00:00Z"}`: {
			Action: Ack, AlertID: "a", By: "jane", Reason: "on it", At: noon,
		},
		`{"v":1,"action":"close","alert_id":"a","at":"2026-05-04T12:00:00Z"}`: {Action: Close, AlertID: "a", At: noon},
		`{"v":1,"action":"ignore","alert_id":"g-joe","rule_id":"brute-force","group":{"region":null,"user":"joe"},"at":"2026-05-04T12:00:00Z","until":"2026-05-04T13:00:00Z"}`: {
			Action: Ignore, AlertID: "g-joe", Scope: ScopeOf(grouped("joe")), At: noon, Until: noon.Add(time.Hour),
		},
		`{"v":1,"action":"unignore","rule_id":"root-login","plain":true,"account":"111122223333","user":"joe","event_source":"signin.amazonaws.com","event_name":"ConsoleLogin","at":"2026-05-04T12:00:00Z"}`: {
			Action: Unignore, Scope: ScopeOf(plain("joe")), At: noon,
		},
	} {
		got, err := r.Append(nil)
		if err != nil || string(got) != want {
			t.Errorf("written %s, %v; want %s", got, err, want)
		}
		back, err := Parse([]byte(want))
		if d := cmp.Diff(r, back); err != nil || d != "" {
			t.Errorf("read %v (-want +got):\n%s", err, d)
		}
	}
	if _, err := Parse([]byte(`{"v":2,"action":"burn"}`)); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer version: %v", err)
	}
	long := strings.Repeat("x", maxText+1)
	for _, r := range []*Record{
		{},
		{Action: "x", At: noon},
		{Action: Ack, At: noon},
		{Action: Close, AlertID: "a"},
		{Action: Ack, AlertID: "a", At: noon, Reason: long},
		{Action: Ignore, Scope: Scope{RuleID: "r"}, At: noon},
		{Action: Ignore, Scope: Scope{RuleID: "r"}, At: noon, Until: noon},
		{Action: Ignore, At: noon, Until: noon.Add(1)},
		{Action: Unignore, At: noon},
	} {
		if _, err := r.Append(nil); err == nil {
			t.Errorf("%+v was written", r)
		}
	}
}

func TestScope(t *testing.T) {
	a, b := ScopeOf(grouped("joe")), ScopeOf(grouped("joe"))
	if a.ID() != b.ID() || len(a.ID()) != 32 {
		t.Errorf("IDs %s, %s", a.ID(), b.ID())
	}
	others := []*sinks.Alert{grouped("ann"), plain("joe"), plain("ann")}
	none, empty := grouped("joe"), grouped("joe")
	none.Group["region"], empty.Group["user"] = text("-"), text("")
	other := grouped("joe")
	other.RuleID = "another"
	seen := map[string]bool{a.ID(): true}
	for _, o := range append(others, none, empty, other) {
		id := ScopeOf(o).ID()
		if seen[id] {
			t.Errorf("%s shares a scope", ScopeOf(o))
		}
		seen[id] = true
	}
	if got := a.String(); got != "brute-force region missing user=joe" {
		t.Errorf("scope %q", got)
	}
	if got := ScopeOf(plain("joe")).String(); got != "root-login account=111122223333 user=joe event_source=signin.amazonaws.com event_name=ConsoleLogin" {
		t.Errorf("scope %q", got)
	}
}

func TestBook(t *testing.T) {
	now := noon.Add(time.Minute)
	b := &Book{Now: func() time.Time { return now }}
	is := func(name string, a *sinks.Alert, status sinks.Status, want string) {
		t.Helper()
		a.Status = status
		if got, muted := b.Muted(a); got != want || muted != (want != "") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	is("nothing was said", plain("joe"), sinks.Firing, "")
	b.Put(&Record{Action: Ack, AlertID: "g-joe", At: now})
	is("an acked alert that waits to be told", grouped("joe"), sinks.Firing, "")
	is("an update of an acked alert", grouped("joe"), sinks.Update, Acked)
	is("the end of an acked alert", grouped("joe"), sinks.Resolved, "")
	is("an update of another", grouped("ann"), sinks.Update, "")
	b.Put(&Record{Action: Close, AlertID: "g-joe", At: now})
	is("the end of a closed alert", grouped("joe"), sinks.Resolved, Closed)

	b.Put(&Record{Action: Ignore, AlertID: "g-ann", Scope: ScopeOf(grouped("ann")), At: now, Until: now.Add(time.Hour)})
	next := grouped("ann")
	next.AlertID, next.Time = "later", now.Add(time.Minute)
	is("the next of an ignored kind", next, sinks.Firing, Ignored)
	is("its end", next, sinks.Resolved, Ignored)
	is("the end of one that was told before", grouped("ann"), sinks.Resolved, "")
	is("another group", grouped("eve"), sinks.Firing, "")
	b.Put(&Record{Action: Ignore, AlertID: "p-joe", Scope: ScopeOf(plain("joe")), At: now, Until: now.Add(2 * time.Hour)})
	is("an ignored plain alert", plain("joe"), sinks.Firing, Ignored)
	is("a plain alert of another user", plain("ann"), sinks.Firing, "")
	if got := b.Ignores(now); len(got) != 2 || got[0].AlertID != "g-ann" {
		t.Errorf("ignores %+v", got)
	}
	now = now.Add(90 * time.Minute)
	is("after until", next, sinks.Firing, "")
	is("before until", plain("joe"), sinks.Firing, Ignored)
	b.Put(&Record{Action: Unignore, Scope: ScopeOf(plain("joe")), At: now})
	is("lifted", plain("joe"), sinks.Firing, "")
	if got := b.Ignores(now); len(got) != 0 {
		t.Errorf("ignores %+v", got)
	}
	b.Delete("close/g-joe")
	is("the close is forgotten", grouped("joe"), sinks.Resolved, "")
	if got := b.Of(grouped("joe")); len(got) != 1 || got[0].Action != Ack {
		t.Errorf("said about it: %+v", got)
	}
}

func TestBookIsBounded(t *testing.T) {
	b := &Book{Max: 2}
	for _, id := range []string{"a", "b", "a", "c"} {
		b.Put(&Record{Action: Close, AlertID: id, At: noon})
	}
	for id, want := range map[string]bool{"a": false, "b": true, "c": true} {
		if _, muted := b.Muted(&sinks.Alert{AlertID: id}); muted != want {
			t.Errorf("%s: %t", id, muted)
		}
	}
}

func TestFollowFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails atomic.Bool
		fails.Store(true)
		f := FollowFile(func(_ context.Context, after int64) ([]*Record, int64, error) {
			if fails.Load() {
				return nil, after, errors.New("away")
			}
			return []*Record{{Action: Close, AlertID: string(rune('a' + after)), At: noon}}, after + 1, nil
		}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		time.Sleep(3 * time.Second)
		select {
		case <-f.Loaded():
			t.Error("loaded from a store that fails")
		default:
		}
		fails.Store(false)
		<-f.Loaded()
		time.Sleep(1500 * time.Millisecond)
		for _, id := range []string{"a", "b"} {
			if _, muted := f.Muted(&sinks.Alert{AlertID: id}); !muted {
				t.Errorf("%s is not closed", id)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, r := range []*Record{
		{Action: Ack, AlertID: "a", By: "jane", Reason: "on it", At: noon},
		{Action: Ignore, AlertID: "g", Scope: ScopeOf(grouped("joe")), At: noon, Until: noon.Add(time.Hour)},
		{Action: Unignore, Scope: ScopeOf(plain("joe")), At: noon},
	} {
		b, err := r.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		again, err := r.Append(nil)
		if err != nil {
			t.Fatalf("%s was read and cannot be written: %v", b, err)
		}
		back, err := Parse(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if d := cmp.Diff(r, back); d != "" || r.Key() != back.Key() {
			t.Fatalf("%s became %s:\n%s", b, again, d)
		}
	})
}
