//go:build unix

package kafkabroker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a child that somebody else may end.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of its end; set before done is closed
}

// startProcess starts a program whose output is added to a file. The child dies
// with this process where the system can do that. The context bounds nothing
// but the starting.
func startProcess(ctx context.Context, log, dir, name string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own; nothing was written here
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.SysProcAttr = dieTogether()
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal at the parent's death comes when the thread ends that made the
		// child: so that thread is kept for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends a signal; a child that is gone already needs none.
func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v: %w", sig, err)
	}
	return nil
}

// wait returns how the child ended; it is killed when the context ends first.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		err := p.signal(syscall.SIGKILL)
		<-p.done
		return errors.Join(ctx.Err(), err)
	}
}

// reaper is a child that removes a directory when this process dies. It learns
// of that from a pipe whose other end nobody else holds.
type reaper struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func startReaper(ctx context.Context, dir string) (*reaper, error) {
	// The pause is for the brokers to be gone, too.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "sh", "-c", `cat >/dev/null; sleep 1; rm -rf -- "$1"`, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start what cleans up: %w", err)
	}
	return &reaper{cmd, pipe}, nil
}

// dismiss ends the reaper, whose work is done.
func (r *reaper) dismiss() error {
	// It leads a process group; the cat that it waits for belongs to it.
	err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	var killed *exec.ExitError
	if waited := r.cmd.Wait(); waited != nil && !errors.As(waited, &killed) {
		err = errors.Join(err, waited)
	}
	return err
}
