package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/enginetest"
	"github.com/trailtide/trailtide/sinks"
)

func TestMain(m *testing.M) {
	if helper := helperNamed(os.Getenv("SQLITE_TEST_HELPER")); helper != nil {
		if err := helper(os.Getenv("SQLITE_TEST_FILE")); err != nil {
			fmt.Println("helper:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func openAt(t testing.TB, path string, o Options) *Engine {
	t.Helper()
	e, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func startAt(t testing.TB, path string, o Options) *Engine {
	t.Helper()
	e := openAt(t, path, o)
	if err := e.Restore(t.Context(), 0, func(engine.Table, []byte, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return e
}

func begin(t testing.TB, e *Engine, fill func(engine.Txn)) engine.Txn {
	t.Helper()
	txn, err := e.Begin(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	fill(txn)
	return txn
}

func commit(t testing.TB, e *Engine, fill func(engine.Txn)) {
	t.Helper()
	if err := begin(t, e, fill).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// pragma sets a pragma of the connection that writes, for the failures that need one.
func pragma(t testing.TB, e *Engine, set string) {
	t.Helper()
	<-e.w.turn
	defer func() { e.w.turn <- struct{}{} }()
	if _, err := e.w.conn.ExecContext(t.Context(), "PRAGMA "+set); err != nil {
		t.Fatal(err)
	}
}

// fillDisk sets the size at which the disk is full to the size there is now.
func fillDisk(t testing.TB, e *Engine) (heal func()) {
	t.Helper()
	pragma(t, e, "max_page_count = 1") // is raised to the present size
	commitUntilFull(t, e)
	return func() { pragma(t, e, "max_page_count = 1000000") }
}

// commitUntilFull uses up the pages that are free within the file.
func commitUntilFull(t testing.TB, e *Engine) {
	t.Helper()
	for i := range 10_000 {
		err := e.w.update(t.Context(), func(x *tx) error {
			return x.exec("INSERT INTO evidence(key, value) VALUES(?, zeroblob(20))", fmt.Appendf(nil, "filler %d", i))
		})
		if errors.Is(err, engine.ErrUnavailable) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the disk does not fill up")
}

func TestContract(t *testing.T) {
	enginetest.Run(t, func(t testing.TB) enginetest.Store {
		t.Helper()
		path := filepath.Join(t.TempDir(), "state ?#%.db")
		return enginetest.Store{
			Open: func(t testing.TB) enginetest.Subject {
				t.Helper()
				return subject(openRaw(t, path))
			},
			Fail: func(t testing.TB, s enginetest.Subject) func() {
				t.Helper()
				e := s.Engine.(*Engine)
				commit(t, e, func(txn engine.Txn) { txn.Put(engine.Evidence, []byte("filler"), make([]byte, 100)) })
				return fillDisk(t, e)
			},
		}
	})
}

func openRaw(t testing.TB, path string) *Engine {
	t.Helper()
	e, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func subject(e *Engine) enginetest.Subject {
	return enginetest.Subject{
		Engine: e, Outbox: e, Consumers: e, Alerts: e,
		Invalid: func(t testing.TB) (all []engine.InvalidEvent) {
			t.Helper()
			for d, err := range e.InvalidEvents(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, d)
			}
			return all
		},
		Dead: func(t testing.TB) (all []engine.DeadLetter) {
			t.Helper()
			for d, err := range e.DeadLetters(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, d)
			}
			return all
		},
	}
}

func TestContractWithAborts(t *testing.T) {
	enginetest.Run(t, func(t testing.TB) enginetest.Store {
		t.Helper()
		path := filepath.Join(t.TempDir(), "state.db")
		return enginetest.Store{Open: func(t testing.TB) enginetest.Subject {
			t.Helper()
			e := openRaw(t, path)
			s := subject(e)
			s.Engine = enginetest.FailEvery(e, 4, engine.ErrAborted)
			return s
		}}
	})
}

func TestSecondWorkerIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	first := openAt(t, path, Options{})
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link} {
		e, err := Open(t.Context(), p, Options{})
		if !errors.Is(err, ErrInUse) {
			t.Fatalf("second open of %s: %v, %v; want ErrInUse", p, e, err)
		}
		if !strings.Contains(err.Error(), fmt.Sprintf("process %d on ", os.Getpid())) {
			t.Errorf("the message does not name the holder: %v", err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, path, Options{})
}

func TestOpenRefuses(t *testing.T) {
	put := func(t *testing.T, set string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "state.db")
		e := openAt(t, path, Options{})
		if err := e.w.update(t.Context(), func(x *tx) error { return x.exec(set) }); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := func(t *testing.T, content string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "state.db")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		path string
		want string
		is   error
	}{
		{"a newer format", put(t, fmt.Sprintf("UPDATE meta SET value = %d WHERE name = 'needs'", format+1)), "newer version of trailtide", nil},
		{"another program's database", put(t, "PRAGMA application_id = 7"), "not a Trailtide state file", nil},
		{"a database without a mark", put(t, "PRAGMA application_id = 0"), "not a Trailtide state file", nil},
		{"no database", text(t, strings.Repeat("this is text\n", 1000)), "damaged", ErrDamaged},
		{"a directory that is not there", filepath.Join(t.TempDir(), "no", "state.db"), "no such file", os.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, _ := os.ReadFile(c.path)
			_, err := Open(t.Context(), c.path, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("open: %v, want %q", err, c.want)
			}
			if errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("%v looks like it were worth another try", err)
			}
			if _, err := OpenReader(t.Context(), c.path); err == nil || !strings.Contains(err.Error(), c.want) && !errors.Is(c.is, os.ErrNotExist) {
				t.Errorf("open for reading: %v, want %q", err, c.want)
			}
			if after, _ := os.ReadFile(c.path); !slices.Equal(before, after) {
				t.Error("the refused file has changed")
			}
		})
	}
	t.Run("the version after this one, which this one can live with", func(t *testing.T) {
		startAt(t, put(t, fmt.Sprintf("UPDATE meta SET value = %d WHERE name = 'format'", format+1)), Options{})
	})
}

// A file that is damaged in the middle is told apart from one that is busy or full.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	e := startAt(t, path, Options{})
	commit(t, e, func(txn engine.Txn) {
		for i := range 2000 {
			txn.Put(engine.Windows, fmt.Append(nil, i), make([]byte, 100))
		}
	})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(content) / 2; i < len(content); i++ {
		content[i] = 0xa5
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	e = openAt(t, path, Options{})
	err = e.Restore(t.Context(), 0, func(engine.Table, []byte, []byte) error { return nil })
	if !errors.Is(err, ErrDamaged) || errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("restore of a damaged file: %v, want ErrDamaged", err)
	}
}

func saving(ids ...string) func(engine.Txn) {
	return func(txn engine.Txn) {
		for _, id := range ids {
			txn.Alert(&sinks.Alert{AlertID: id, Severity: "low", Time: time.Unix(1, 0)}, true, true)
		}
	}
}

// A commit whose end is in doubt (the log was written, the answer was an error)
// is not made twice.
func TestCommitInDoubt(t *testing.T) {
	e := startAt(t, filepath.Join(t.TempDir(), "state.db"), Options{})
	txn := begin(t, e, saving("a")).(*txn)
	// What a failed sync leaves when the log has reached the disk after all: the
	// transaction is there, and its owner was told that it is not.
	txn.encoded = []encoded{encode(txn.Alerts[0].Alert)}
	err := e.w.update(t.Context(), func(x *tx) error {
		if _, err := txn.check(x); err != nil {
			return err
		}
		_, err := txn.apply(x)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatalf("second try: %v", err)
	}
	entries, err := e.Read(t.Context(), "soc", 10)
	if err != nil || len(entries) != 1 {
		t.Fatalf("outbox: %v, %v; want one entry", entries, err)
	}
	commit(t, e, saving("b"))
	if entries, err = e.Read(t.Context(), "soc", 10); err != nil || len(entries) != 2 {
		t.Fatalf("outbox: %v, %v; want two entries", entries, err)
	}
}

// The lock keeps a second worker out; where it does not (a file system whose
// locks are not), the epoch fences the older one.
func TestFencedWithoutLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	older := startAt(t, path, Options{})
	open := begin(t, older, saving("a"))
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	newer := startAt(t, path, Options{})
	if err := open.Commit(t.Context()); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("commit of the older: %v, want ErrFenced", err)
	}
	if _, err := older.Begin(t.Context(), 0); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("begin of the older: %v, want ErrFenced", err)
	}
	commit(t, newer, saving("b"))
}

// A store that turns read-only is unavailable, and recovers on a new connection.
func TestReadOnlyStore(t *testing.T) {
	e := startAt(t, filepath.Join(t.TempDir(), "state.db"), Options{})
	commit(t, e, saving("a"))
	open := begin(t, e, saving("b"))
	pragma(t, e, "query_only = 1")
	if err := open.Commit(t.Context()); !errors.Is(err, engine.ErrUnavailable) {
		t.Fatalf("commit: %v, want ErrUnavailable", err)
	}
	if err := open.Commit(t.Context()); err != nil {
		t.Fatalf("commit after recovery: %v", err)
	}
}

func TestCommitOfAnEndedContext(t *testing.T) {
	e := startAt(t, filepath.Join(t.TempDir(), "state.db"), Options{})
	open := begin(t, e, saving("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	<-e.w.turn // somebody else writes
	err := open.Commit(ctx)
	e.w.turn <- struct{}{}
	if !errors.Is(err, engine.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v, want ErrUnavailable and Canceled", err)
	}
	if err := open.Commit(t.Context()); err != nil {
		t.Errorf("commit: %v", err)
	}
}

// listing is a directory's files with the content of those that hold data.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range entries {
		files[f.Name()] = ""
		if !strings.HasSuffix(f.Name(), "-shm") { // the readers' marks
			content, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			files[f.Name()] = string(content)
		}
	}
	return files
}

func TestReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	look := func(t *testing.T, path string, want int64) {
		t.Helper()
		r, err := OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := r.Count(t.Context(), alertstore.Filter{}, alertstore.ByNothing)
		if err != nil || got[0].Count != want {
			t.Errorf("sees %v, %v; want %d alerts", got, err, want)
		}
		if _, err := r.db.ExecContext(t.Context(), "DELETE FROM alerts"); err == nil {
			t.Error("a reader can write")
		}
	}
	if _, err := OpenReader(t.Context(), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("open of nothing: %v", err)
	}
	if files := listing(t, filepath.Dir(path)); len(files) != 0 {
		t.Fatalf("opening for reading left %v", files)
	}
	e := startAt(t, path, Options{})
	commit(t, e, saving("a"))
	look(t, path, 1) // beside the worker
	commit(t, e, saving("b"))
	look(t, path, 2)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	before := listing(t, filepath.Dir(path))
	look(t, path, 2) // without one
	if after := listing(t, filepath.Dir(path)); !equal(before, after) {
		t.Error("reading a closed file changed its directory")
	}
	lone := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(lone, []byte(before["state.db"]), 0o600); err != nil {
		t.Fatal(err)
	}
	look(t, lone, 2) // a copy of the main file alone
	if files := listing(t, filepath.Dir(lone)); len(files) != 1 {
		t.Errorf("reading a copy left %d files", len(files))
	}
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func TestRetention(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	o := Options{AlertsMaxAge: time.Hour, AlertsMaxRows: 700, DeadLettersMaxRows: 10, NoOutbox: true, Now: func() time.Time { return now }}
	e := startAt(t, filepath.Join(t.TempDir(), "state.db"), o)
	var ids []string
	for i := range 1500 {
		ids = append(ids, fmt.Sprintf("%04d", i))
	}
	alive := func() int64 {
		t.Helper()
		got, err := e.Count(t.Context(), alertstore.Filter{}, alertstore.ByNothing)
		if err != nil {
			t.Fatal(err)
		}
		return got[0].Count
	}
	commit(t, e, saving(ids...))
	if got := alive(); got != 1500-retainChunk {
		t.Errorf("%d alerts after one chunk", got)
	}
	for range 3 { // one chunk a commit, then one look a second
		now = now.Add(time.Second)
		commit(t, e, func(txn engine.Txn) { txn.DeadLetter("f", "r", nil); txn.DeadLetter("f", "r", nil) })
	}
	if got := alive(); got != 700 {
		t.Errorf("%d alerts, want the newest 700", got)
	}
	if _, err := e.Get(t.Context(), "0799"); !errors.Is(err, alertstore.ErrNotFound) {
		t.Errorf("an old alert is there: %v", err)
	}
	now = now.Add(30 * time.Minute)
	commit(t, e, saving("1499", "new")) // one told again: it stays an hour longer
	now = now.Add(31 * time.Minute)
	for range 10 {
		commit(t, e, func(txn engine.Txn) { txn.DeadLetter("f", "r", nil) })
		now = now.Add(time.Second)
	}
	if got := alive(); got != 2 {
		t.Errorf("%d alerts after an hour, want 2", got)
	}
	s, err := e.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.AlertsSaved != 1501 || s.AlertsExpired != 1499 || s.Invalid != 16 || s.InvalidExpired != 6 || s.OutboxRows != 0 {
		t.Errorf("counters %+v", s)
	}
}

func TestOutboxIsTrimmed(t *testing.T) {
	e := startAt(t, filepath.Join(t.TempDir(), "state.db"), Options{})
	if err := e.Register(t.Context(), engine.FromOldest, "fast", "slow"); err != nil {
		t.Fatal(err)
	}
	commit(t, e, saving("a", "b", "c"))
	rows := func() int64 {
		t.Helper()
		s, err := e.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.OutboxRows
	}
	for _, step := range []struct {
		consumer string
		seq      int64
		want     int64
	}{{"fast", 3, 3}, {"slow", 1, 2}, {"slow", 3, 0}} {
		if err := e.Done(t.Context(), step.consumer, step.seq, nil); err != nil {
			t.Fatal(err)
		}
		if got := rows(); got != step.want {
			t.Errorf("%d entries after %s at %d, want %d", got, step.consumer, step.seq, step.want)
		}
	}
}
