//go:build unix

package kafkabroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TRAILTIDE_TEST_ORPHAN"); dir != "" {
		orphan(dir)
	}
	goleak.VerifyTestMain(m)
}

func client(t *testing.T, c *Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := c.Client(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func ends(t *testing.T, cl *kgo.Client) int64 {
	t.Helper()
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), "a")
	if err := errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	o, _ := ends.Lookup("a", 0)
	return o.Offset
}

// One node is killed, stopped and paused; what was acknowledged stays.
func TestOneNode(t *testing.T) {
	start := time.Now()
	c := Start(t, Options{})
	t.Logf("format and start: %v", time.Since(start))
	cl := client(t, c)
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, nil, "a"); err != nil {
		t.Fatal(err)
	}
	n := c.Node(1)
	for i, down := range []func() error{n.Kill, n.Stop} {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		if err := down(); err != nil {
			t.Fatal(err)
		}
		if n.Running() {
			t.Error("it runs on")
		}
		t.Logf("down after %v", time.Since(start))
		start = time.Now()
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("start again: %v", time.Since(start))
		if got := ends(t, cl); got != int64(i)+1 {
			t.Errorf("%d records of %d", got, i+1)
		}
	}

	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := client(t, c, kgo.RequestTimeoutOverhead(time.Second), kgo.RequestRetries(0)).Ping(t.Context()); err == nil {
		t.Error("a paused broker answers")
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := client(t, c).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	dir := c.dir
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left behind: %v", err)
	}
}

// An end that nobody asked for is told.
func TestDeathIsTold(t *testing.T) {
	Need(t)
	c, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Node(1).proc
	if err := p.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "node 1: it ended by itself: signal: killed") {
		t.Errorf("closing says: %v", err)
	}
}

// A setting that the broker refuses shows up in the error.
func TestRefusedConfig(t *testing.T) {
	Need(t)
	dir := t.TempDir()
	_, err := New(t.Context(), Options{Dir: dir, Config: map[string]string{"num.io.threads": "many"}})
	if err == nil || !strings.Contains(err.Error(), "num.io.threads") {
		t.Errorf("the error does not name the setting: %v", err)
	}
}

// orphan starts a cluster and dies without closing it.
func orphan(note string) {
	c, err := New(context.Background(), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	line := fmt.Sprintf("%d %s", c.Node(1).proc.cmd.Process.Pid, c.dir)
	if err := os.WriteFile(note, []byte(line), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// Nothing outlives a test process that is killed.
func TestKilledTestLeavesNothing(t *testing.T) {
	Need(t)
	if _, err := Jars(t.Context()); err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(t.TempDir(), "note")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TRAILTIDE_TEST_ORPHAN="+note)
	out, err := cmd.CombinedOutput()
	b, readErr := os.ReadFile(note)
	if readErr != nil {
		t.Fatalf("%v: %v\n%s", readErr, err, out)
	}
	var pid int
	var dir string
	if _, err := fmt.Sscan(string(b), &pid, &dir); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		_, statErr := os.Stat(dir)
		if errors.Is(statErr, os.ErrNotExist) && (dieTogether() == nil || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("the broker %d or its directory %s is still there", pid, dir)
		case <-tick.C:
		}
	}
}
