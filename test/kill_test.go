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
)

// busyRules match a good part of all traffic, so that there is much to lose.
const busyRules = `
rules:
  - {id: plain, title: P, severity: low, match: {eventName: [AssumeRole, CreateTags, PutObject], readOnly: false}}
  - {id: muted, title: M, severity: low, match: {eventName: ListBuckets}, suppress: [{when: {awsRegion: us-east-1}, reason: home}]}
  - {id: many, title: C, severity: high, match: {eventName: {prefix: Describe}}, threshold: {count: 10, window: 1m, group_by: [userIdentity.arn, eventName], realert: 5m}}
  - {id: few, title: F, severity: high, match: {response: failure}, threshold: {count: 2, window: 20s, group_by: [userIdentity.arn]}}
  - {id: spread, title: D, severity: high, match: {eventSource: ec2.amazonaws.com}, threshold: {distinct: {field: awsRegion, count: 3}, window: 2m, group_by: [recipientAccountId]}}
`

// busyInput writes traffic with a broken line here and there, as two NDJSON
// files and a few Records files that overlap in time.
func busyInput(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var lines [2]bytes.Buffer
	var records [3][][]byte
	i := 0
	planted(t, n, func(ev []byte) {
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
		write(t, dir, fmt.Sprintf("lines-%d.ndjson", k), lines[k].String())
	}
	for k, evs := range records {
		all := append(append([]byte(`{"Records":[`), bytes.Join(evs, []byte{','})...), "]}"...)
		write(t, dir, fmt.Sprintf("records-%d.json.gz", k), string(gzipped(t, all)))
	}
	return dir
}

// outcome is what a state file holds, as far as two runs have to agree on it.
type outcome struct{ plain, counted, dead []string }

func outcomeOf(t *testing.T, state string) outcome {
	t.Helper()
	var o outcome
	for _, a := range alertsOf(t, must(t, "alerts", "export", "--state", state).out) {
		switch a.RuleID {
		case "plain", "muted":
			o.plain = append(o.plain, plainLine(&a))
		default:
			// Which episodes stood alone before a late event joined them hangs on the
			// order of reading; what they were folded into does not.
			if a.MergedInto != "" {
				t.Errorf("an export shows an episode that was folded into another: %s", a.AlertID)
			}
			// Whether the end of the input still came to resolve it hangs on which file ended last.
			status := strings.Replace(a.Status, "resolved", "firing", 1)
			o.counted = append(o.counted, episodeKey(a.RuleID, status, a.Group, *a.FirstTime, *a.LastTime, a.Count, a.EventIDs))
		}
	}
	for _, d := range deadOf(t, must(t, "dead-letters", "events", "--state", state).out) {
		o.dead = append(o.dead, d.Position+" "+d.Reason)
	}
	return o
}

// plainLine leaves the position out: of an event that came twice it is the one
// that was read first, and a scan that goes on reads its files side by side in
// another order.
func plainLine(a *alert) string { return a.RuleID + " " + a.Status + " " + a.AlertID }

func (o outcome) same(t *testing.T, got outcome) {
	t.Helper()
	same(t, "plain alerts", o.plain, got.plain)
	same(t, "episodes", o.counted, got.counted)
	same(t, "dead letters", o.dead, got.dead)
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
func killInput(t *testing.T) (args func(state string) []string, want outcome, took time.Duration) {
	t.Helper()
	rules := write(t, t.TempDir(), "busy.yaml", busyRules)
	dir := busyInput(t, sizeFrom(t, "TRAILTIDE_E2E_KILL_EVENTS", 30_000))
	args = func(state string) []string {
		return []string{"scan", "--quiet", "--output", "csv", "--no-builtin", "--rules", rules, "--state", state, dir}
	}
	state := filepath.Join(t.TempDir(), "undisturbed.db")
	start := time.Now()
	must(t, args(state)...)
	took = time.Since(start)
	want = outcomeOf(t, state)
	if len(want.plain) < 500 || len(want.counted) < 20 || len(want.dead) < 5 {
		t.Fatalf("%d plain alerts, %d episodes, %d dead letters: that proves little", len(want.plain), len(want.counted), len(want.dead))
	}
	return args, want, took
}

// However often a scan is killed, at whatever moment, in the end its state
// holds what an undisturbed one holds: nothing lost, nothing twice.
func TestKilledScansLoseAndInventNothing(t *testing.T) {
	kills := sizeFrom(t, "TRAILTIDE_E2E_KILLS", 12)
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
				for _, a := range alertsOf(t, left.out) {
					if a.Count == 1 && !slices.Contains(want.plain, plainLine(&a)) {
						t.Errorf("a killed scan left an alert that should not be: %s", plainLine(&a))
					}
				}
			}
			if resumed > 50*kills {
				t.Fatal("scans make no progress")
			}
		}
		want.same(t, outcomeOf(t, state))
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
	want.same(t, outcomeOf(t, state))

	// Once more on the finished state: nothing changes, and all is told again.
	before := must(t, "alerts", "export", "--state", state).out
	again := must(t, slices.DeleteFunc(args(state), func(a string) bool { return a == "--quiet" })...)
	if sum := summary(t, again.err); sum["events_read"] != 0 {
		t.Errorf("a finished scan reads %d events again", sum["events_read"])
	}
	if must(t, "alerts", "export", "--state", state).out != before {
		t.Error("a scan with nothing to do changed the alerts")
	}
	if n := strings.Count(again.out, "\n"); n < len(want.plain)+len(want.counted) {
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
	other := write(t, dir, "events.ndjson", `{"eventName":"StopLogging"}`+"\n")
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
	if n := len(alertsOf(t, out.String())); n == 0 {
		t.Error("the first scan found nothing")
	}
}
