//go:build unix

package sqlite

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// helperNamed is what the test binary does instead of testing when it is run again.
func helperNamed(name string) func(path string) error {
	switch name {
	case "commit":
		return commitForEver
	case "no room":
		return commitWithoutRoom
	}
	return nil
}

// helper runs the test binary again as one of the helpers.
func helper(t *testing.T, name, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "SQLITE_TEST_HELPER="+name, "SQLITE_TEST_FILE="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// at reads what the state holds as the number of the last transaction, from
// each of the places that have to agree.
func at(ctx context.Context, e *Engine) (position, state uint64, entries int, err error) {
	err = e.Restore(ctx, 0, func(t engine.Table, _, value []byte) error {
		if t == engine.Meta {
			state = binary.BigEndian.Uint64(value)
		}
		entries++
		return nil
	})
	if err != nil {
		return 0, 0, 0, err
	}
	positions, err := e.Positions(ctx)
	if p := positions["trail"]; p != nil {
		position = binary.BigEndian.Uint64(p)
	}
	return position, state, entries, err
}

// commitForEver goes on from where the file stands: transaction n puts window
// n, deletes window n-50, saves and tells alert n, and moves the position to n. It
// prints n when it is durable.
func commitForEver(path string) error {
	ctx := context.Background()
	e, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	n, _, _, err := at(ctx, e)
	if err != nil {
		return err
	}
	for {
		n++
		txn, err := e.Begin(ctx, 0)
		if err != nil {
			return err
		}
		num := binary.BigEndian.AppendUint64(nil, n)
		txn.Put(engine.Meta, []byte("n"), num)
		txn.Put(engine.Windows, num, make([]byte, n*37%2000))
		if n > 50 {
			txn.Delete(engine.Windows, binary.BigEndian.AppendUint64(nil, n-50))
		}
		txn.Put(engine.Evidence, num, make([]byte, 500))
		txn.Position("trail", num)
		txn.Alert(&sinks.Alert{AlertID: fmt.Sprintf("%032x", n), Severity: "low", Time: time.Unix(int64(n), 0)}, true, true)
		txn.DeadLetter(fmt.Sprint(n), "none", nil)
		if err := txn.Commit(ctx); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// Killed at any moment, the file holds a whole number of transactions, at least
// those that were told to be durable, and its next worker gets it at once.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a few seconds")
	}
	path := filepath.Join(t.TempDir(), "state.db")
	var told uint64
	for round := range 25 {
		cmd, lines := helper(t, "commit", path)
		if !lines.Scan() {
			t.Fatalf("round %d: the worker did nothing", round)
		}
		kill := time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for {
			if _, err := fmt.Sscan(lines.Text(), &told); err != nil {
				t.Fatalf("round %d: the worker says %q", round, lines.Text())
			}
			if !lines.Scan() {
				break
			}
		}
		err := cmd.Wait()
		kill.Stop()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != -1 {
			t.Fatalf("round %d: the worker ended by itself: %v", round, err)
		}
		checkKilled(t, path, told)
	}
	t.Logf("%d transactions in 25 lives", told)
}

func checkKilled(t *testing.T, path string, told uint64) {
	t.Helper()
	e, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatalf("open after a kill: %v", err)
	}
	defer e.Close()
	position, state, entries, err := at(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if position != state || position < told || position > told+1 {
		t.Fatalf("position %d, state %d, told %d", position, state, told)
	}
	if want := int(min(position, 50)) + 1; entries != want {
		t.Fatalf("%d entries at %d, want %d", entries, position, want)
	}
	next := uint64(0)
	for a, err := range e.List(t.Context(), alertstore.Filter{OldestFirst: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if next++; a.AlertID != fmt.Sprintf("%032x", next) {
			t.Fatalf("alert %s at place %d", a.AlertID, next)
		}
	}
	s, err := e.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if next != position || s.OutboxRows != int64(position) || s.Invalid != int64(position) || s.AlertsSaved != int64(position) {
		t.Fatalf("%d alerts at %d, counters %+v", next, position, s)
	}
}

// commitWithoutRoom meets a real error of the file system: no file may grow
// beyond a bound. The same transaction is committed once there is room.
func commitWithoutRoom(path string) error {
	ctx := context.Background()
	signal.Ignore(syscall.SIGXFSZ)
	e, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	if _, _, _, err := at(ctx, e); err != nil {
		return err
	}
	var had syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &had); err != nil {
		return err
	}
	room := func(bytes uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: had.Max})
	}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	if err := room(uint64(info.Size()) + 20_000); err != nil {
		return err
	}
	num := binary.BigEndian.AppendUint64(nil, 1)
	txn, err := e.Begin(ctx, 0)
	if err != nil {
		return err
	}
	txn.Put(engine.Meta, []byte("n"), num)
	txn.Position("trail", num)
	for i := range 1000 {
		txn.Put(engine.Windows, fmt.Append(nil, i), make([]byte, 500))
	}
	txn.Alert(&sinks.Alert{AlertID: "a"}, true, true)
	for range 3 {
		if err := txn.Commit(ctx); !errors.Is(err, engine.ErrUnavailable) {
			return fmt.Errorf("commit without room: %w, want ErrUnavailable", err)
		}
		if positions, err := e.Positions(ctx); err != nil || len(positions) != 0 {
			return fmt.Errorf("positions without room: %v, %w", positions, err)
		}
	}
	if err := room(had.Cur); err != nil {
		return err
	}
	if err := txn.Commit(ctx); err != nil {
		return fmt.Errorf("commit with room again: %w", err)
	}
	entries, err := e.Read(ctx, "soc", 10)
	if err != nil || len(entries) != 1 {
		return fmt.Errorf("outbox %v: %w", entries, err)
	}
	if position, state, n, err := at(ctx, e); position != 1 || state != 1 || n != 1001 || err != nil {
		return fmt.Errorf("position %d, state %d, %d entries: %w", position, state, n, err)
	}
	return e.Close()
}

func TestNoRoom(t *testing.T) {
	cmd, lines := helper(t, "no room", filepath.Join(t.TempDir(), "state.db"))
	said := ""
	for lines.Scan() {
		said += lines.Text() + "\n"
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}
