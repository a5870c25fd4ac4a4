// Package enginetest is the contract of engines as tests: every engine passes
// it, so that the worker need not know which one it stands on.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
)

// Subject is an engine under test and what else it can do. The fields but
// Engine may be nil: those tests are skipped.
type Subject struct {
	Engine    engine.Engine
	Outbox    engine.Outbox
	Consumers engine.Consumers
	Alerts    alertstore.Store
	// Invalid lists the kept dead letters of invalid events, oldest first.
	Invalid func(t testing.TB) []engine.InvalidEvent
	// Dead lists the kept alerts that sinks could not deliver, oldest first.
	Dead func(t testing.TB) []engine.DeadLetter
}

// Store is an empty durable store, on which engines are opened.
type Store struct {
	// Open starts an engine on the store. The suite closes it.
	Open func(t testing.TB) Subject
	// Shared: a second engine may be open on the store at the same time, and
	// fences the first. Else that is refused, which the engine's own tests show.
	Shared bool
	// Fail makes commits of s answer ErrUnavailable until heal is called; nil:
	// not tested.
	Fail func(t testing.TB, s Subject) (heal func())
	// Position makes the n-th position of a source partition; nil: any bytes do.
	Position func(n int) []byte
	// Source names source partitions; nil: any name does.
	Source func(n int) string
}

// Run runs the suite. newStore makes a new empty store each time.
func Run(t *testing.T, newStore func(t testing.TB) Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"starts empty", startsEmpty},
		{"commits everything together", commitsTogether},
		{"keeps it over a restart", keepsOverRestart},
		{"aborts everything together", abortsTogether},
		{"agrees with a model", agreesWithModel},
		{"needs ownership", needsOwnership},
		{"has one transaction at a time", oneTransaction},
		{"restoring fences itself", restoreFencesItself},
		{"a newer owner fences", newerOwnerFences},
		{"a failing restore owns nothing", failingRestore},
		{"evidence is seen before the commit", evidenceBeforeCommit},
		{"commits again after a failure", commitsAgain},
		{"keeps partitions apart", partitionsApart},
		{"keeps an alert's newest state", alertsNewest},
		{"answers filters", alertsFilters},
		{"outbox keeps the order", outboxOrder},
		{"outbox waits", outboxWaits},
		{"outbox places are durable", outboxPlaces},
		{"outbox consumers register", outboxConsumers},
		{"outbox under load", outboxLoad},
		{"dead letters of events", deadLetters},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, &bench{Store: newStore(t)}) })
	}
}

// bench is where one test works: a store, with the defaults filled in.
type bench struct {
	Store
}

func (b *bench) source(n int) string {
	if b.Source != nil {
		return b.Source(n)
	}
	return fmt.Sprintf("trail/%d", n)
}

func (b *bench) position(n int) []byte {
	if b.Position != nil {
		return b.Position(n)
	}
	return fmt.Appendf(nil, "offset %d", n)
}

// start opens an engine and closes it at the end.
func (b *bench) start(t testing.TB) Subject {
	t.Helper()
	s := b.Open(t)
	t.Cleanup(func() {
		if err := s.Engine.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// open starts an engine and restores its last partition.
func (b *bench) open(t testing.TB) (Subject, int) {
	t.Helper()
	s := b.start(t)
	p := s.Engine.Partitions() - 1
	restore(t, s, p)
	return s, p
}

// reopen closes s and opens the store again, as a restart does.
func (b *bench) reopen(t testing.TB, s Subject) (Subject, int) {
	t.Helper()
	if err := s.Engine.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return b.open(t)
}

// restore returns a partition's state as "table/key" → value.
func restore(t testing.TB, s Subject, p int) map[string]string {
	t.Helper()
	state := map[string]string{}
	err := s.Engine.Restore(t.Context(), p, func(table engine.Table, key, value []byte) error {
		id := fmt.Sprintf("%d/%s", table, key)
		if _, twice := state[id]; twice {
			return fmt.Errorf("%s came twice", id)
		}
		state[id] = string(value)
		return nil
	})
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	return state
}

func positions(t testing.TB, s Subject) map[string]string {
	t.Helper()
	got, err := s.Engine.Positions(t.Context())
	if err != nil {
		t.Fatalf("positions: %v", err)
	}
	out := map[string]string{}
	for k, v := range got {
		out[k] = string(v)
	}
	return out
}

// evidence looks keys up: nil is "-".
func evidence(t testing.TB, s Subject, p int, keys ...string) []string {
	t.Helper()
	var in [][]byte
	for _, k := range keys {
		in = append(in, []byte(k))
	}
	values, err := s.Engine.Evidence(t.Context(), p, in)
	if err != nil {
		t.Fatalf("evidence: %v", err)
	}
	out := make([]string, len(keys))
	for i, v := range values {
		out[i] = "-"
		if v != nil {
			out[i] = string(v)
		}
	}
	return out
}

func begin(t testing.TB, s Subject, p int) engine.Txn {
	t.Helper()
	txn, err := s.Engine.Begin(t.Context(), p)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	return txn
}

// commit commits what fill collects. An engine may abort of its own accord:
// then it is collected again, as the worker does.
func commit(t testing.TB, s Subject, p int, fill func(engine.Txn)) {
	t.Helper()
	for range 5 {
		txn := begin(t, s, p)
		fill(txn)
		err := txn.Commit(t.Context())
		if err == nil {
			return
		}
		if !errors.Is(err, engine.ErrAborted) {
			t.Fatalf("commit: %v", err)
		}
	}
	t.Fatal("commit: aborted five times")
}

// soon is a context that is over at once, for calls that would block.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	t.Cleanup(cancel)
	return ctx
}
