package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// outboxed skips engines without an outbox.
func outboxed(t *testing.T, b *bench) (Subject, int) {
	s, p := b.open(t)
	if s.Outbox == nil || s.Consumers == nil {
		t.Skip("no outbox")
	}
	return s, p
}

func (b *bench) notify(t testing.TB, s Subject, p int, alerts ...string) {
	t.Helper()
	commit(t, s, p, func(txn engine.Txn) {
		txn.Position(b.source(0), b.position(len(alerts)))
		for i, id := range alerts {
			txn.Alert(alert(id, i), i%2 == 0, true)
		}
	})
}

func read(t testing.TB, s Subject, consumer string, limit int) []engine.Entry {
	t.Helper()
	entries, err := s.Outbox.Read(t.Context(), consumer, limit)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	for i, e := range entries {
		if i > 0 && e.Seq <= entries[i-1].Seq {
			t.Fatalf("entry %d comes after %d", e.Seq, entries[i-1].Seq)
		}
	}
	return entries
}

func names(entries []engine.Entry) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Alert.AlertID)
	}
	return out
}

func expect(t testing.TB, s Subject, consumer string, limit int, want ...string) []engine.Entry {
	t.Helper()
	got := read(t, s, consumer, limit)
	if d := cmp.Diff(want, names(got)); d != "" {
		t.Fatalf("outbox of %s (-want +got):\n%s", consumer, d)
	}
	return got
}

func expectEmpty(t testing.TB, s Subject, consumer string) {
	t.Helper()
	if got, err := s.Outbox.Read(soon(t), consumer, 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("read of an empty outbox: %v, %v; want it to wait", names(got), err)
	}
}

func done(t testing.TB, s Subject, consumer string, seq int64, dead ...engine.DeadLetter) {
	t.Helper()
	if err := s.Outbox.Done(t.Context(), consumer, seq, dead); err != nil {
		t.Fatalf("done: %v", err)
	}
}

func outboxOrder(t *testing.T, b *bench) {
	s, p := outboxed(t, b)
	b.notify(t, s, p, "a", "b", "a")
	commit(t, s, p, func(txn engine.Txn) {
		txn.Position(b.source(0), b.position(4))
		txn.Alert(alert("saved only", 1), true, false)
	})
	aborted := begin(t, s, p)
	aborted.Alert(alert("aborted", 1), true, true)
	if err := aborted.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.notify(t, s, p, "c")
	entries := expect(t, s, "soc", 3, "a", "b", "a")
	same(t, alert("b", 1), entries[1].Alert)
	if entries[0].Alert.Count != 0 || entries[2].Alert.Count != 2 {
		t.Errorf("an entry holds another state than that of its time: %d, %d", entries[0].Alert.Count, entries[2].Alert.Count)
	}
	expect(t, s, "soc", 3, "a", "b", "a") // until it is done
	done(t, s, "soc", entries[0].Seq)
	entries = expect(t, s, "soc", 10, "b", "a", "c")
	done(t, s, "soc", entries[2].Seq)
	done(t, s, "soc", entries[0].Seq) // a place never moves back
	expectEmpty(t, s, "soc")
}

func outboxWaits(t *testing.T, b *bench) {
	s, p := outboxed(t, b)
	expectEmpty(t, s, "soc")
	type answer struct {
		entries []engine.Entry
		err     error
	}
	answers := make(chan answer, 2)
	wait := func(ctx context.Context) {
		entries, err := s.Outbox.Read(ctx, "soc", 10)
		answers <- answer{entries, err}
	}
	go wait(t.Context())
	b.notify(t, s, p, "a")
	if got := <-answers; got.err != nil || len(got.entries) != 1 {
		t.Fatalf("a waiting read: %+v", got)
	} else {
		done(t, s, "soc", got.entries[0].Seq)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go wait(ctx)
	cancel()
	if got := <-answers; !errors.Is(got.err, context.Canceled) {
		t.Errorf("a cancelled read: %+v", got)
	}
	go wait(t.Context())
	if err := s.Engine.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := <-answers; got.err == nil {
		t.Errorf("a read of a closed engine: %+v", got)
	}
}

func outboxPlaces(t *testing.T, b *bench) {
	s, p := outboxed(t, b)
	if err := s.Consumers.Register(t.Context(), engine.FromOldest, "soc", "archive"); err != nil {
		t.Fatal(err)
	}
	b.notify(t, s, p, "a", "b", "c")
	entries := expect(t, s, "soc", 2, "a", "b")
	letter := engine.DeadLetter{Seq: entries[1].Seq, AlertID: "b", Sink: "slack", Reason: "410 Gone", Body: []byte(`{"alert_id":"b"}`)}
	done(t, s, "soc", entries[1].Seq, letter)
	s, p = b.reopen(t, s)
	expect(t, s, "soc", 10, "c")
	entries = expect(t, s, "archive", 10, "a", "b", "c")
	done(t, s, "archive", entries[2].Seq)
	expectEmpty(t, s, "archive")
	b.notify(t, s, p, "d")
	after := expect(t, s, "archive", 10, "d")
	if after[0].Seq <= entries[2].Seq {
		t.Errorf("number %d was used again after a restart", after[0].Seq)
	}
	if s.Dead != nil {
		if d := cmp.Diff([]engine.DeadLetter{letter}, s.Dead(t)); d != "" {
			t.Errorf("dead letters (-want +got):\n%s", d)
		}
	}
}

func outboxConsumers(t *testing.T, b *bench) {
	s, p := outboxed(t, b)
	register := func(from engine.Start, names ...string) {
		t.Helper()
		if err := s.Consumers.Register(t.Context(), from, names...); err != nil {
			t.Fatalf("register: %v", err)
		}
	}
	register(engine.FromOldest, "soc")
	b.notify(t, s, p, "a", "b")
	register(engine.FromNewest, "late", "soc")
	register(engine.FromOldest, "early", "late")
	b.notify(t, s, p, "c")
	expect(t, s, "soc", 10, "a", "b", "c")
	expect(t, s, "early", 10, "a", "b", "c")
	entries := expect(t, s, "late", 10, "c")
	done(t, s, "soc", entries[0].Seq)
	done(t, s, "late", entries[0].Seq)

	places, err := s.Consumers.Places(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []engine.Place{
		{Consumer: "early", Seq: entries[0].Seq - 3, Unread: 3},
		{Consumer: "late", Seq: entries[0].Seq},
		{Consumer: "soc", Seq: entries[0].Seq},
	}
	if d := cmp.Diff(want, places); d != "" {
		t.Errorf("places (-want +got):\n%s", d)
	}
	if unread, err := s.Consumers.Forget(t.Context(), "early"); err != nil || unread != 3 {
		t.Errorf("forget: %d unread, %v; want 3", unread, err)
	}
	if unread, err := s.Consumers.Forget(t.Context(), "early"); err != nil || unread != 0 {
		t.Errorf("forget twice: %d unread, %v; want 0", unread, err)
	}
	// What all have passed is trimmed, and numbers go on.
	done(t, s, "soc", entries[0].Seq)
	register(engine.FromOldest, "new")
	expectEmpty(t, s, "new")
	b.notify(t, s, p, "d")
	if got := expect(t, s, "new", 10, "d"); got[0].Seq <= entries[0].Seq {
		t.Errorf("number %d was used again after trimming", got[0].Seq)
	}
	expect(t, s, "soc", 10, "d")
}

// outboxLoad: commits and consumers at the same time, each sees all in order.
func outboxLoad(t *testing.T, b *bench) {
	s, p := outboxed(t, b)
	consumers := []string{"one", "two"}
	if err := s.Consumers.Register(t.Context(), engine.FromOldest, consumers...); err != nil {
		t.Fatal(err)
	}
	const total = 200
	var wg sync.WaitGroup
	for i, c := range consumers {
		wg.Go(func() {
			for next := 0; next < total; {
				entries, err := s.Outbox.Read(t.Context(), c, 7+i)
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				for _, e := range entries {
					if want := fmt.Sprint(next); e.Alert.AlertID != want {
						t.Errorf("%s got alert %s, want %s", c, e.Alert.AlertID, want)
						return
					}
					next++
				}
				if err := s.Outbox.Done(t.Context(), c, entries[len(entries)-1].Seq, nil); err != nil {
					t.Errorf("done: %v", err)
					return
				}
			}
		})
	}
	for i := 0; i < total; i += 5 {
		commit(t, s, p, func(txn engine.Txn) {
			txn.Position(b.source(0), b.position(i))
			for j := range 5 {
				txn.Alert(alert(fmt.Sprint(i+j), i), false, true)
			}
		})
	}
	wg.Wait()
}

func deadLetters(t *testing.T, b *bench) {
	s, p := b.open(t)
	if s.Invalid == nil {
		t.Skip("keeps no dead letters")
	}
	raw := []byte("not JSON \xff")
	commit(t, s, p, func(txn engine.Txn) {
		txn.Position(b.source(0), b.position(1))
		txn.DeadLetter("f.json:1", "not JSON", raw)
		txn.DeadLetter("f.json:2", "too large", make([]byte, 100_000))
		txn.DeadLetter("f.json:3", "empty", nil)
	})
	lost := begin(t, s, p)
	lost.DeadLetter("f.json:4", "aborted", raw)
	if err := lost.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, _ = b.reopen(t, s)
	got := s.Invalid(t)
	if len(got) != 3 {
		t.Fatalf("%d dead letters, want 3", len(got))
	}
	for i, want := range []engine.InvalidEvent{
		{Position: "f.json:1", Reason: "not JSON", Size: 10}, {Position: "f.json:2", Reason: "too large", Size: 100_000}, {Position: "f.json:3", Reason: "empty"},
	} {
		g := got[i]
		if g.Position != want.Position || g.Reason != want.Reason || g.Size != want.Size || g.Time.IsZero() {
			t.Errorf("dead letter %d: %s %s %d %s, want %s %s %d", i, g.Position, g.Reason, g.Size, g.Time, want.Position, want.Reason, want.Size)
		}
	}
	if string(got[0].Raw) != "not JSON \xff" || len(got[1].Raw) != engine.DefaultMaxRaw {
		t.Errorf("kept %q and %d bytes", got[0].Raw, len(got[1].Raw))
	}
}
