//go:build unix

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trailtide/trailtide/test/harness"
)

// busyInput writes traffic with a broken line here and there, as two NDJSON
// files and a few Records files that overlap in time.
func busyInput(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var lines [2]bytes.Buffer
	var records [3][][]byte
	i := 0
	harness.Planted(t, n, func(ev []byte) {
		i++
		switch k := i % 5; {
		case k < 2:
			lines[k].Write(ev)
			lines[k].WriteByte('\n')
			if i%5000 < 5 {
				lines[k].Write(ev[:len(ev)/2])
				lines[k].WriteByte('\n')
			}
		default:
			records[k-2] = append(records[k-2], bytes.Clone(ev))
		}
	})
	for k := range lines {
		harness.Write(t, dir, fmt.Sprintf("lines-%d.ndjson", k), lines[k].String())
	}
	for k, evs := range records {
		all := append(append([]byte(`{"Records":[`), bytes.Join(evs, []byte{','})...), "]}"...)
		harness.Write(t, dir, fmt.Sprintf("records-%d.json.gz", k), string(gzipped(t, all)))
	}
	return dir
}

// scanUntil runs a scan and sends it sig after that time. It returns whether
// the scan had ended by itself before, and how.
func scanUntil(t *testing.T, sig syscall.Signal, after time.Duration, args ...string) (ended bool, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	var stderr bytes.Buffer
	cmd := command{args: args}.prepare(ctx, io.Discard, &stderr)
	cmd.Cancel = func() error { return cmd.Process.Signal(sig) }
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	code = cmd.ProcessState.ExitCode()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		if status.Signal() != sig {
			t.Fatalf("the scan died of %v\n%s", status.Signal(), stderr.String())
		}
		return false, code
	}
	if code == 0 {
		return true, code
	}
	if sig == syscall.SIGKILL {
		t.Fatalf("the scan failed with exit code %d\n%s", code, stderr.String())
	}
	if !strings.Contains(stderr.String(), "stopped") {
		t.Errorf("a scan that was asked to stop says\n%s", stderr.String())
	}
	summary(t, stderr.String())
	return false, code
}

// killInput prepares input, rules and the undisturbed outcome.
func killInput(t *testing.T) (args func(state string) []string, want harness.Outcome, took time.Duration) {
	t.Helper()
	rules := harness.Write(t, t.TempDir(), "busy.yaml", harness.BusyRules)
	dir := busyInput(t, harness.SizeFrom(t, "TRAILTIDE_E2E_KILL_EVENTS", 30_000))
	args = func(state string) []string {
		return []string{"scan", "--quiet", "--output", "csv", "--no-builtin", "--rules", rules, "--state", state, dir}
	}
	state := filepath.Join(t.TempDir(), "undisturbed.db")
	start := time.Now()
	must(t, args(state)...)
	took = time.Since(start)
	want = harness.OutcomeOf(t, state)
	want.Telling(t)
	return args, want, took
}

// However often a scan is killed, at whatever moment, in the end its state
// holds what an undisturbed one holds: nothing lost, nothing twice.
func TestKilledScansLoseAndInventNothing(t *testing.T) {
	kills := harness.SizeFrom(t, "TRAILTIDE_E2E_KILLS", 12)
	args, want, took := killInput(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d; a whole scan takes %v", seed, took)
	r := rand.New(rand.NewPCG(seed, 0))
	killed := 0
	for run := 0; killed < kills; run++ {
		state := filepath.Join(t.TempDir(), "state.db")
		for resumed := 0; ; resumed++ {
			ended, _ := scanUntil(t, syscall.SIGKILL, time.Duration(r.Int64N(int64(took))), args(state)...)
			if ended {
				break
			}
			killed++
			if _, err := os.Stat(state); err == nil && resumed%4 == 1 {
				// What a dead scan left can be read as it is, and holds nothing that is not so.
				left := trailtide(t, "alerts", "export", "--state", state) // or nothing, if it had not come far
				for _, a := range harness.Alerts(t, left.out) {
					if a.Count == 1 && !slices.Contains(want.Plain, harness.PlainLine(&a)) {
						t.Errorf("a killed scan left an alert that should not be: %s", harness.PlainLine(&a))
					}
				}
			}
			if resumed > 50*kills {
				t.Fatal("scans make no progress")
			}
		}
		want.Same(t, harness.OutcomeOf(t, state))
	}
	t.Logf("%d kills", killed)
}

// A scan that is asked to stop commits what it has, says so by its exit code,
// and goes on from there.
func TestStoppedScansGoOn(t *testing.T) {
	args, want, took := killInput(t)
	state := filepath.Join(t.TempDir(), "state.db")
	stops := 0
	for after := took / 8; ; after += took / 8 {
		ended, code := scanUntil(t, syscall.SIGTERM, after, slices.DeleteFunc(args(state), func(a string) bool { return a == "--quiet" })...)
		if ended {
			break
		}
		if stops++; code != 3 && code != -1 {
			t.Errorf("a stopped scan ends with %d, not 3", code)
		}
	}
	if stops == 0 {
		t.Error("no scan was stopped")
	}
	want.Same(t, harness.OutcomeOf(t, state))

	// Once more on the finished state: nothing changes, and all is told again.
	before := must(t, "alerts", "export", "--state", state).out
	again := must(t, slices.DeleteFunc(args(state), func(a string) bool { return a == "--quiet" })...)
	if sum := summary(t, again.err); sum["events_read"] != 0 {
		t.Errorf("a finished scan reads %d events again", sum["events_read"])
	}
	if must(t, "alerts", "export", "--state", state).out != before {
		t.Error("a scan with nothing to do changed the alerts")
	}
	if n := strings.Count(again.out, "\n"); n < len(want.Plain)+len(want.Counted) {
		t.Errorf("a finished scan prints %d lines", n)
	}
}

// One scan at a time may have a state file.
func TestTwoScansOfOneStateAreRefused(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state.db")
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	var out, stderr bytes.Buffer
	first := command{args: []string{"scan", "--state", state, "--output", "ndjson", pipe}}.prepare(ctx, &out, &stderr)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the scan reads
	if err != nil {
		t.Fatal(err)
	}
	other := harness.Write(t, dir, "events.ndjson", `{"eventName":"StopLogging"}`+"\n")
	r := trailtide(t, "scan", "--state", state, other)
	if r.code != 3 || !strings.Contains(r.err, state) {
		t.Errorf("a second scan on the same state: exit code %d\n%s", r.code, r.err)
	}
	t.Logf("it says: %s", r.err)
	if r := trailtide(t, "alerts", "list", "--state", state); r.code != 0 {
		t.Errorf("reading alerts beside a scan: exit code %d\n%s", r.code, r.err)
	}
	if _, err := io.WriteString(w, `{"eventName":"StopLogging","eventSource":"cloudtrail.amazonaws.com","eventID":"e1"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if n := len(harness.Alerts(t, out.String())); n == 0 {
		t.Error("the first scan found nothing")
	}
}
