// Package e2e holds the end-to-end suites: they run the built binary as a
// person would and judge it by what it prints.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/test/harness"
)

// maxRSS is what a scan may use of memory at its peak, whatever it reads.
const maxRSS = 400 << 20

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// result is what a command left behind.
type result struct {
	code     int // -1: ended by a signal
	out, err string
	rss      int64 // peak resident memory, bytes; 0: not known on this system
}

// command is a run of the program that is being prepared.
type command struct {
	args  []string
	stdin io.Reader
	dir   string
	env   []string
}

func (c command) prepare(ctx context.Context, stdout, stderr io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, harness.Program(), c.args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = c.stdin, stdout, stderr, c.dir
	cmd.Env = append(os.Environ(), c.env...)
	return cmd
}

func (c command) run(t *testing.T) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := c.prepare(ctx, &stdout, &stderr)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", c.args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%v did not end within %v", c.args, harness.Patience)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), peakRSS(cmd.ProcessState)}
}

func trailtide(t *testing.T, args ...string) result {
	t.Helper()
	return command{args: args}.run(t)
}

// must is trailtide for a command that has to succeed.
func must(t *testing.T, args ...string) result {
	t.Helper()
	r := trailtide(t, args...)
	if r.code != 0 {
		t.Fatalf("trailtide %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r
}

// summary reads the key=value pairs of a scan's standard error, and holds them
// to the accounting identity: every event is in exactly one class.
func summary(t *testing.T, stderr string) map[string]int64 {
	t.Helper()
	sum := make(map[string]int64)
	for _, field := range strings.Fields(stderr) {
		if k, v, ok := strings.Cut(field, "="); ok {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				sum[k] = n
			}
		}
	}
	for _, k := range []string{"events_read", "events_invalid", "events_matched", "events_duplicate", "events_unmatched", "records_skipped"} {
		if _, ok := sum[k]; !ok {
			t.Fatalf("the summary lacks %s:\n%s", k, stderr)
		}
	}
	if sum["events_read"] != sum["events_invalid"]+sum["events_matched"]+sum["events_duplicate"]+sum["events_unmatched"] {
		t.Errorf("the accounting does not add up:\n%s", stderr)
	}
	return sum
}

// bounded fails the test when the command used too much memory.
func (r result) bounded(t *testing.T) {
	t.Helper()
	if own := ownPeakRSS(); own >= maxRSS {
		t.Logf("this process itself used %d MiB: what its children use cannot be told", own>>20)
		return
	}
	if r.rss > maxRSS {
		t.Errorf("peak memory is %d MiB, more than %d", r.rss>>20, maxRSS>>20)
	}
}

func deadIn(t *testing.T, path string) []harness.Dead {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return harness.DeadLetters(t, string(b))
}
