package memory_test

import (
	"errors"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/enginetest"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/sinks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func subject(e engine.Engine, m *memory.Engine) enginetest.Subject {
	return enginetest.Subject{
		Engine: e, Outbox: m, Consumers: m, Alerts: m,
		Invalid: func(testing.TB) []engine.InvalidEvent { kept, _ := m.InvalidEvents(); return kept },
		Dead:    func(testing.TB) []engine.DeadLetter { kept, _ := m.DeadLetters(); return kept },
	}
}

func TestContract(t *testing.T) {
	enginetest.Run(t, func(testing.TB) enginetest.Store {
		store := memory.NewStore()
		return enginetest.Store{
			Shared: true,
			Open: func(testing.TB) enginetest.Subject {
				e := memory.New(memory.Options{Store: store})
				return subject(e, e)
			},
			Fail: func(testing.TB, enginetest.Subject) func() {
				store.Fail(errors.New("no space left"))
				return func() { store.Fail(nil) }
			},
		}
	})
}

// An engine that aborts every third commit keeps the contract all the same.
func TestContractWithAborts(t *testing.T) {
	enginetest.Run(t, func(testing.TB) enginetest.Store {
		store := memory.NewStore()
		return enginetest.Store{Open: func(testing.TB) enginetest.Subject {
			e := memory.New(memory.Options{Store: store})
			return subject(enginetest.FailEvery(e, 3, engine.ErrAborted), e)
		}}
	})
}

func start(t *testing.T, o memory.Options) *memory.Engine {
	t.Helper()
	e := memory.New(o)
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Restore(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	return e
}

func commit(t *testing.T, e engine.Engine, fill func(engine.Txn)) {
	t.Helper()
	txn, err := e.Begin(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	fill(txn)
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestStreamsAlerts(t *testing.T) {
	var got, letters []string
	e := start(t, memory.Options{
		OnAlert:      func(a *sinks.Alert) { got = append(got, a.AlertID) },
		OnDeadLetter: func(d engine.InvalidEvent) { letters = append(letters, d.Position) },
	})
	aborted, err := e.Begin(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	aborted.Alert(&sinks.Alert{AlertID: "x"}, true, true)
	if err := aborted.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit(t, e, func(txn engine.Txn) {
		txn.Alert(&sinks.Alert{AlertID: "b"}, true, true)
		txn.Alert(&sinks.Alert{AlertID: "a"}, true, false)
		txn.DeadLetter("f:1", "broken", nil)
		if len(got) != 0 {
			t.Error("told before the commit")
		}
	})
	if !slices.Equal(got, []string{"b", "a"}) || !slices.Equal(letters, []string{"f:1"}) {
		t.Errorf("streamed %v and %v", got, letters)
	}
	if n, err := e.Count(t.Context(), alertstore.Filter{}, alertstore.ByNothing); err != nil || n[0].Count != 0 {
		t.Errorf("kept %v alerts (%v), want none", n, err)
	}
	if kept, _ := e.InvalidEvents(); len(kept) != 0 {
		t.Errorf("kept dead letters %v", kept)
	}
}

func TestBounds(t *testing.T) {
	e := start(t, memory.Options{AlertsMaxRows: 2, DeadLettersMaxRows: 3, NoOutbox: true})
	for _, id := range []string{"a", "b", "c", "b", "d"} {
		commit(t, e, func(txn engine.Txn) {
			txn.Alert(&sinks.Alert{AlertID: id}, true, true)
			txn.DeadLetter(id, "broken", nil)
		})
	}
	var ids []string
	for a, err := range e.List(t.Context(), alertstore.Filter{OldestFirst: true}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.AlertID)
	}
	if !slices.Equal(ids, []string{"c", "d"}) {
		t.Errorf("kept %v, want the newest two", ids)
	}
	if kept, dropped := e.InvalidEvents(); len(kept) != 3 || dropped != 2 {
		t.Errorf("kept %d and dropped %d dead letters, want 3 and 2", len(kept), dropped)
	}
	if err := e.Register(t.Context(), engine.FromOldest, "soc"); err != nil {
		t.Fatal(err)
	}
	if places, err := e.Places(t.Context()); err != nil || places[0].Unread != 0 {
		t.Errorf("places %v, %v; want an empty outbox", places, err)
	}
}
