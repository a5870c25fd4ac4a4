// Package e2e holds the end-to-end suites: they run the built binary as a
// person would and judge it by what it prints.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// binary is the program under test, made once by TestMain.
var binary string

// patience is the longest that a command may take.
const patience = 10 * time.Minute

// maxRSS is what a scan may use of memory at its peak, whatever it reads.
const maxRSS = 400 << 20

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// buildAndRun builds the program, unless TRAILTIDE_E2E_BINARY names one, such
// as one that is built with the race detector.
func buildAndRun(m *testing.M) (code int, err error) {
	if binary = os.Getenv("TRAILTIDE_E2E_BINARY"); binary != "" {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "trailtide-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary = filepath.Join(dir, "trailtide.exe")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "../cmd/trailtide")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// sizeFrom reads the size of a suite from the environment.
func sizeFrom(t *testing.T, name string, def int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number above 0", name, v)
	}
	return n
}

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
	cmd := exec.CommandContext(ctx, binary, c.args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = c.stdin, stdout, stderr, c.dir
	cmd.Env = append(os.Environ(), c.env...)
	return cmd
}

func (c command) run(t *testing.T) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := c.prepare(ctx, &stdout, &stderr)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", c.args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%v did not end within %v", c.args, patience)
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

// alert is what the suites read of a line of --output ndjson.
type alert struct {
	AlertID     string             `json:"alert_id"`
	RuleID      string             `json:"rule_id"`
	Title       string             `json:"title"`
	Severity    string             `json:"severity"`
	Status      string             `json:"status"`
	Time        *time.Time         `json:"time"`
	FirstTime   *time.Time         `json:"first_time"`
	LastTime    *time.Time         `json:"last_time"`
	Count       int                `json:"count"`
	Group       map[string]*string `json:"group"`
	Account     *string            `json:"account"`
	Region      *string            `json:"region"`
	User        *string            `json:"user"`
	SourceIP    *string            `json:"source_ip"`
	EventName   *string            `json:"event_name"`
	EventSource *string            `json:"event_source"`
	EventID     *string            `json:"event_id"`
	EventIDs    []string           `json:"event_ids"`
	Position    string             `json:"position"`
	Event       json.RawMessage    `json:"event"`
	MergedInto  string             `json:"merged_into"`
	Suppression string             `json:"suppression"`
}

// alertsOf parses NDJSON output.
func alertsOf(t *testing.T, out string) []alert {
	t.Helper()
	var all []alert
	eachLine(t, out, func(line []byte) {
		var a alert
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatalf("a line of output is not an alert: %v\n%.300s", err, line)
		}
		all = append(all, a)
	})
	return all
}

func eachLine(t *testing.T, text string, each func([]byte)) {
	t.Helper()
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, 1<<30)
	for sc.Scan() {
		each(sc.Bytes())
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
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

// dead is one line of a dead letter.
type dead struct {
	Position string `json:"position"`
	Reason   string `json:"reason"`
	Raw      string `json:"raw"`
}

func deadIn(t *testing.T, path string) []dead {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return deadOf(t, string(b))
}

func deadOf(t *testing.T, text string) []dead {
	t.Helper()
	var all []dead
	eachLine(t, text, func(line []byte) {
		var d dead
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatalf("a line of the dead letter is not JSON: %v\n%.300s", err, line)
		}
		all = append(all, d)
	})
	return all
}

// write makes a file below dir and returns its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
