//go:build unix

package harness

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Worker is a run of the program that goes on beside the test. One that still
// runs at the test's end is killed.
type Worker struct {
	pid    int
	stderr lockedBuffer
	done   chan struct{}
	err    error // of its end; set before done is closed
	kill   func() error
	signal func(syscall.Signal) error
}

// StartWorker runs the program with these arguments, such as run -c FILE.
func StartWorker(t testing.TB, args ...string) *Worker {
	t.Helper()
	w := &Worker{done: make(chan struct{})}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Stderr = &w.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.pid, w.kill = cmd.Process.Pid, cmd.Process.Kill
	w.signal = func(s syscall.Signal) error { return cmd.Process.Signal(s) }
	go func() {
		w.err = cmd.Wait()
		close(w.done)
	}()
	t.Cleanup(func() {
		_ = w.kill() // most have ended before
		<-w.done
	})
	return w
}

// PID is the worker's process ID.
func (w *Worker) PID() int { return w.pid }

// Stderr is what the worker has logged so far.
func (w *Worker) Stderr() string { return w.stderr.String() }

// Started says whether the worker has logged that it starts.
func (w *Worker) Started() bool { return strings.Contains(w.Stderr(), "trailtide starts") }

// Done is closed when the worker has ended.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Alive fails the test when the worker has ended.
func (w *Worker) Alive(t testing.TB) {
	t.Helper()
	select {
	case <-w.done:
		t.Fatalf("the worker ended by itself: %v\n%s", w.err, w.Stderr())
	default:
	}
}

// RunFor returns after that time. It fails the test when the worker ends before.
func (w *Worker) RunFor(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.done:
		w.Alive(t)
	case <-timer.C:
	}
}

// Signal sends a signal.
func (w *Worker) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := w.signal(s); err != nil {
		t.Errorf("send %v to the worker: %v", s, err)
	}
}

// Kill sends SIGKILL and returns when the worker is gone.
func (w *Worker) Kill(t testing.TB) {
	t.Helper()
	w.Signal(t, syscall.SIGKILL)
	<-w.done
	if w.err == nil {
		t.Fatal("the worker survived SIGKILL")
	}
}

// Stop sends SIGTERM and fails the test when the worker does not end well.
func (w *Worker) Stop(t testing.TB) {
	t.Helper()
	w.Signal(t, syscall.SIGTERM)
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
		t.Fatalf("the worker does not stop\n%s", w.Stderr())
	}
	if w.err != nil {
		t.Fatalf("the worker's stop: %v\n%s", w.err, w.Stderr())
	}
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
