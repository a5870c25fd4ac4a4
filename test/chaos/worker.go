//go:build unix

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/trailtide/trailtide/test/harness"
)

// worker is one process.
type worker struct {
	place  int
	cmd    *exec.Cmd
	done   chan struct{}
	made   time.Time
	err    error // of its end; set before done is closed
	halted bool
	meant  bool // its end was asked for
}

// launch starts a worker whose log goes to the end of its place's file.
func launch(dir, conf string, place int) (*worker, error) {
	log, err := os.OpenFile(logFile(dir, place), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	w := &worker{place: place, done: make(chan struct{}), made: time.Now()}
	w.cmd = exec.CommandContext(context.Background(), harness.Program(), "run", "-c", conf)
	w.cmd.Stdout, w.cmd.Stderr = log, log
	w.cmd.SysProcAttr = dieTogether()
	started := make(chan error)
	go func() {
		// The signal at the parent's death comes when the thread ends that made the
		// child: so that thread is kept for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := w.cmd.Start()
		started <- err
		if err == nil {
			w.err = w.cmd.Wait()
			close(w.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(log, "=== process %d\n", w.cmd.Process.Pid); err != nil {
		return nil, err
	}
	return w, nil
}

func logFile(dir string, place int) string {
	return filepath.Join(dir, fmt.Sprintf("place-%d.log", place))
}

func (w *worker) name() string {
	return fmt.Sprintf("place %d (process %d)", w.place, w.cmd.Process.Pid)
}

// signal sends one; a worker that has ended needs none.
func (w *worker) signal(s syscall.Signal) { _ = w.cmd.Process.Signal(s) }

func (w *worker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// kill ends it at once and returns when it is gone.
func (w *worker) kill() {
	w.meant = true
	w.signal(syscall.SIGKILL)
	<-w.done
}

// stopWithin is more than stop_within, and what else a stop does.
const stopWithin = 25 * time.Second

// stop ends it in good order, and says what was wrong about that.
func (w *worker) stop() (problem string) {
	w.meant = true
	w.signal(syscall.SIGTERM)
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-w.done:
		if w.err != nil && !w.unborn() {
			return fmt.Sprintf("%s stops with %v", w.name(), w.err)
		}
		return ""
	case <-timer.C:
	}
	w.signal(syscall.SIGQUIT) // the log then has where it hangs
	<-w.done
	return fmt.Sprintf("%s had not stopped after %v", w.name(), stopWithin)
}

// unborn says whether the signal met a process that had hardly been made: one that
// did not yet listen for it dies as any program does, and has nothing to put in order.
func (w *worker) unborn() bool {
	status, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGTERM && time.Since(w.made) < 3*time.Second
}

// tail is the end of a log.
func tail(path string, most int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(b) > most {
		b = b[len(b)-most:]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return string(b)
}
