package enginetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/engine"
)

func startsEmpty(t *testing.T, b *bench) {
	s := b.start(t)
	if got := positions(t, s); len(got) != 0 {
		t.Errorf("positions %v of an empty store", got)
	}
	for p := range s.Engine.Partitions() {
		if got := restore(t, s, p); len(got) != 0 {
			t.Errorf("state %v of an empty store", got)
		}
		if got := evidence(t, s, p, "x"); got[0] != "-" {
			t.Errorf("evidence %v of an empty store", got)
		}
	}
}

// fill collects a bit of everything.
func (b *bench) fill(txn engine.Txn) {
	txn.Put(engine.Windows, []byte("w"), []byte("one"))
	txn.Put(engine.Seen, []byte("w"), []byte("same key, other table"))
	txn.Put(engine.Meta, []byte("watermark"), nil)
	txn.Put(engine.Meta, nil, []byte("empty key"))
	txn.Put(engine.Windows, []byte("gone"), []byte("x"))
	txn.Delete(engine.Windows, []byte("gone"))
	txn.Delete(engine.Windows, []byte("never there"))
	txn.Put(engine.Windows, []byte("twice"), []byte("first"))
	txn.Put(engine.Windows, []byte("twice"), []byte("second"))
	txn.Put(engine.Evidence, []byte("e1"), []byte("raw one"))
	txn.Put(engine.Evidence, []byte("e2"), []byte("raw two"))
	txn.Position(b.source(0), b.position(1))
	txn.Position(b.source(1), b.position(1))
	txn.Position(b.source(1), b.position(2))
}

func (b *bench) checkFilled(t *testing.T, s Subject, p int) {
	t.Helper()
	wantState := map[string]string{
		"1/w": "one", "2/w": "same key, other table", "4/watermark": "", "4/": "empty key", "1/twice": "second",
	}
	if d := cmp.Diff(wantState, restore(t, s, p)); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
	wantPositions := map[string]string{b.source(0): string(b.position(1)), b.source(1): string(b.position(2))}
	if d := cmp.Diff(wantPositions, positions(t, s)); d != "" {
		t.Errorf("positions (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"raw two", "-", "raw one"}, evidence(t, s, p, "e2", "e3", "e1")); d != "" {
		t.Errorf("evidence (-want +got):\n%s", d)
	}
}

func commitsTogether(t *testing.T, b *bench) {
	s, p := b.open(t)
	commit(t, s, p, b.fill)
	b.checkFilled(t, s, p)
}

func keepsOverRestart(t *testing.T, b *bench) {
	s, p := b.open(t)
	commit(t, s, p, b.fill)
	s, p = b.reopen(t, s)
	b.checkFilled(t, s, p)
	commit(t, s, p, func(txn engine.Txn) {
		txn.Delete(engine.Evidence, []byte("e1"))
		txn.Delete(engine.Windows, []byte("w"))
		txn.Position(b.source(0), b.position(7))
	})
	s, p = b.reopen(t, s)
	if got := restore(t, s, p); got["1/w"] != "" || got["2/w"] == "" {
		t.Errorf("state after a delete: %v", got)
	}
	if got := evidence(t, s, p, "e1", "e2"); got[0] != "-" || got[1] != "raw two" {
		t.Errorf("evidence after a delete: %v", got)
	}
	want := map[string]string{b.source(0): string(b.position(7)), b.source(1): string(b.position(2))}
	if d := cmp.Diff(want, positions(t, s)); d != "" {
		t.Errorf("positions (-want +got):\n%s", d)
	}
}

func abortsTogether(t *testing.T, b *bench) {
	s, p := b.open(t)
	commit(t, s, p, b.fill)
	txn := begin(t, s, p)
	txn.Put(engine.Windows, []byte("w"), []byte("two"))
	txn.Delete(engine.Seen, []byte("w"))
	txn.Put(engine.Evidence, []byte("e1"), []byte("other"))
	txn.Delete(engine.Evidence, []byte("e2"))
	txn.Put(engine.Evidence, []byte("e3"), []byte("raw three"))
	txn.Position(b.source(0), b.position(9))
	txn.Position(b.source(2), b.position(9))
	if err := txn.Abort(t.Context()); err != nil {
		t.Fatalf("abort: %v", err)
	}
	b.checkFilled(t, s, p)
	commit(t, s, p, func(txn engine.Txn) { txn.Position(b.source(0), b.position(1)) })
	b.checkFilled(t, s, p)
}

// agreesWithModel runs random transactions, aborts and restarts against maps.
func agreesWithModel(t *testing.T, b *bench) {
	s, p := b.open(t)
	type world struct{ State, Evidence, Positions map[string]string }
	model := world{map[string]string{}, map[string]string{}, map[string]string{}}
	clone := func(m map[string]string) map[string]string {
		c := map[string]string{}
		for k, v := range m {
			c[k] = v
		}
		return c
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		next := world{clone(model.State), clone(model.Evidence), clone(model.Positions)}
		txn := begin(t, s, p)
		var keys, want []string
		for range rapid.IntRange(1, 20).Draw(rt, "changes") {
			n++
			table := engine.Table(rapid.IntRange(1, 4).Draw(rt, "table"))
			key := fmt.Sprintf("k%d", rapid.IntRange(0, 9).Draw(rt, "key"))
			value := fmt.Sprintf("v%d", n)
			into, id := next.State, fmt.Sprintf("%d/%s", table, key)
			if table == engine.Evidence {
				into, id = next.Evidence, key
			}
			switch rapid.IntRange(0, 3).Draw(rt, "op") {
			case 0:
				txn.Delete(table, []byte(key))
				delete(into, id)
			case 1:
				src := b.source(n % 3)
				txn.Position(src, b.position(n))
				next.Positions[src] = string(b.position(n))
			default:
				txn.Put(table, []byte(key), []byte(value))
				into[id] = value
			}
		}
		for k := range 10 {
			key := fmt.Sprintf("k%d", k)
			keys = append(keys, key)
			if v, ok := next.Evidence[key]; ok {
				want = append(want, v)
			} else {
				want = append(want, "-")
			}
		}
		if d := cmp.Diff(want, evidence(t, s, p, keys...)); d != "" {
			t.Fatalf("evidence in the transaction (-want +got):\n%s", d)
		}
		if rapid.IntRange(0, 3).Draw(rt, "abort") == 0 {
			if err := txn.Abort(t.Context()); err != nil {
				t.Fatalf("abort: %v", err)
			}
		} else if err := txn.Commit(t.Context()); err == nil {
			model = next
		} else if !errors.Is(err, engine.ErrAborted) {
			t.Fatalf("commit: %v", err)
		}
		if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
			s, p = b.reopen(t, s)
		}
		got := world{State: restore(t, s, p), Positions: positions(t, s), Evidence: map[string]string{}}
		for i, v := range evidence(t, s, p, keys...) {
			if v != "-" {
				got.Evidence[keys[i]] = v
			}
		}
		if d := cmp.Diff(model, got); d != "" {
			t.Fatalf("durable (-want +got):\n%s", d)
		}
	})
}

func needsOwnership(t *testing.T, b *bench) {
	s := b.start(t)
	p := s.Engine.Partitions() - 1
	if _, err := s.Engine.Begin(t.Context(), p); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("begin before restore: %v, want ErrFenced", err)
	}
	restore(t, s, p)
	txn := begin(t, s, p)
	b.fill(txn)
	if err := s.Engine.Release(t.Context(), p); err != nil {
		t.Fatalf("release: %v", err)
	}
	if err := txn.Commit(t.Context()); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("commit after release: %v, want ErrFenced", err)
	}
	if err := txn.Abort(t.Context()); err != nil {
		t.Errorf("abort after release: %v", err)
	}
	if _, err := s.Engine.Begin(t.Context(), p); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("begin after release: %v, want ErrFenced", err)
	}
	if err := s.Engine.Release(t.Context(), p); err != nil {
		t.Errorf("second release: %v", err)
	}
	if got := positions(t, s); len(got) != 0 {
		t.Errorf("positions %v after a released transaction", got)
	}
	if got := restore(t, s, p); len(got) != 0 {
		t.Errorf("state %v after a released transaction", got)
	}
	commit(t, s, p, b.fill)
	b.checkFilled(t, s, p)
}

func oneTransaction(t *testing.T, b *bench) {
	s, p := b.open(t)
	txn := begin(t, s, p)
	if _, err := s.Engine.Begin(t.Context(), p); err == nil {
		t.Fatal("a second transaction began beside an open one")
	}
	b.fill(txn)
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatalf("commit: %v", err)
	}
	if err := txn.Commit(t.Context()); err == nil {
		t.Error("a committed transaction was committed again")
	}
	next := begin(t, s, p)
	txn.Put(engine.Windows, []byte("w"), []byte("after the end"))
	if err := next.Commit(t.Context()); err != nil && !errors.Is(err, engine.ErrAborted) {
		t.Errorf("commit of nothing: %v", err)
	}
	b.checkFilled(t, s, p)
}

func restoreFencesItself(t *testing.T, b *bench) {
	s, p := b.open(t)
	commit(t, s, p, b.fill)
	txn := begin(t, s, p)
	txn.Position(b.source(0), b.position(9))
	b.checkFilled(t, s, p) // restores
	if err := txn.Commit(t.Context()); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("commit of before the restore: %v, want ErrFenced", err)
	}
	b.checkFilled(t, s, p)
	commit(t, s, p, b.fill)
}

func newerOwnerFences(t *testing.T, b *bench) {
	if !b.Shared {
		t.Skip("the store is one engine's at a time")
	}
	older, p := b.open(t)
	commit(t, older, p, b.fill)
	txn := begin(t, older, p)
	txn.Position(b.source(0), b.position(9))
	txn.Put(engine.Windows, []byte("w"), []byte("of the zombie"))
	newer, _ := b.open(t)
	if err := txn.Commit(t.Context()); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("commit of the older: %v, want ErrFenced", err)
	}
	if next, err := older.Engine.Begin(t.Context(), p); err == nil {
		next.Position(b.source(0), b.position(9))
		err = next.Commit(t.Context())
		if !errors.Is(err, engine.ErrFenced) {
			t.Errorf("next commit of the older: %v, want ErrFenced", err)
		}
	} else if !errors.Is(err, engine.ErrFenced) {
		t.Errorf("next begin of the older: %v, want ErrFenced", err)
	}
	b.checkFilled(t, newer, p)
	commit(t, newer, p, b.fill)
}

func failingRestore(t *testing.T, b *bench) {
	s, p := b.open(t)
	commit(t, s, p, b.fill)
	broken := errors.New("value of another version")
	err := s.Engine.Restore(t.Context(), p, func(engine.Table, []byte, []byte) error { return broken })
	if !errors.Is(err, broken) {
		t.Fatalf("restore: %v, want the callback's error", err)
	}
	if _, err := s.Engine.Begin(t.Context(), p); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("begin after a failed restore: %v, want ErrFenced", err)
	}
	b.checkFilled(t, s, p)
}

func evidenceBeforeCommit(t *testing.T, b *bench) {
	s, p := b.open(t)
	commit(t, s, p, b.fill)
	txn := begin(t, s, p)
	txn.Position(b.source(0), b.position(3))
	txn.Put(engine.Evidence, []byte("e1"), []byte("newer"))
	txn.Put(engine.Evidence, []byte("e3"), []byte("raw three"))
	txn.Delete(engine.Evidence, []byte("e2"))
	want := []string{"newer", "-", "raw three"}
	if d := cmp.Diff(want, evidence(t, s, p, "e1", "e2", "e3")); d != "" {
		t.Errorf("before the commit (-want +got):\n%s", d)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatalf("commit: %v", err)
	}
	if d := cmp.Diff(want, evidence(t, s, p, "e1", "e2", "e3")); d != "" {
		t.Errorf("after the commit (-want +got):\n%s", d)
	}
}

// commitsAgain: a commit that the store refuses leaves nothing, and the same
// transaction is committed once the store has recovered, once.
func commitsAgain(t *testing.T, b *bench) {
	if b.Fail == nil {
		t.Skip("no way to make the store fail")
	}
	s, p := b.open(t)
	if s.Consumers != nil {
		if err := s.Consumers.Register(t.Context(), engine.FromOldest, "soc"); err != nil {
			t.Fatal(err)
		}
	}
	heal := b.Fail(t, s)
	txn := begin(t, s, p)
	b.fill(txn)
	txn.Alert(alert("a1", 1), true, true)
	txn.DeadLetter("f:1", "no JSON", []byte("x"))
	for range 3 {
		if err := txn.Commit(t.Context()); !errors.Is(err, engine.ErrUnavailable) {
			t.Fatalf("commit on a failing store: %v, want ErrUnavailable", err)
		}
		if got := positions(t, s); len(got) != 0 {
			t.Fatalf("positions %v are visible", got)
		}
		if got := evidence(t, s, p, "e1"); got[0] != "raw one" {
			t.Fatalf("the open transaction's evidence is gone: %v", got)
		}
	}
	heal()
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatalf("commit after recovery: %v", err)
	}
	b.checkFilled(t, s, p)
	if s.Outbox != nil {
		entries, err := s.Outbox.Read(t.Context(), "soc", 10)
		if err != nil || len(entries) != 1 {
			t.Errorf("outbox %v, %v; want one entry", entries, err)
		}
	}
	if s.Invalid != nil && len(s.Invalid(t)) != 1 {
		t.Errorf("dead letters %v, want one", s.Invalid(t))
	}
}

func partitionsApart(t *testing.T, b *bench) {
	s := b.start(t)
	n := s.Engine.Partitions()
	for _, p := range []int{-1, n} {
		if _, err := s.Engine.Begin(t.Context(), p); err == nil {
			t.Errorf("partition %d of %d began a transaction", p, n)
		}
		if err := s.Engine.Restore(t.Context(), p, nil); err == nil {
			t.Errorf("partition %d of %d was restored", p, n)
		}
	}
	for p := range n {
		restore(t, s, p)
		commit(t, s, p, func(txn engine.Txn) {
			txn.Put(engine.Windows, []byte("k"), fmt.Append(nil, p))
			txn.Put(engine.Evidence, []byte("e"), fmt.Append(nil, p))
			txn.Position(b.source(p), b.position(p))
		})
	}
	for p := range n {
		if d := cmp.Diff(map[string]string{"1/k": fmt.Sprint(p)}, restore(t, s, p)); d != "" {
			t.Errorf("state of partition %d (-want +got):\n%s", p, d)
		}
		if got := evidence(t, s, p, "e"); got[0] != fmt.Sprint(p) {
			t.Errorf("evidence of partition %d: %v", p, got)
		}
	}
	if got := positions(t, s); len(got) != n {
		t.Errorf("positions %v of %d partitions", got, n)
	}
}
