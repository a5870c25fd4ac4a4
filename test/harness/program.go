// Package harness is what the end-to-end suites share: the program under test,
// workers that are killed, and what alerts two runs have to agree on.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Patience is the longest that a command may take.
const Patience = 10 * time.Minute

// program is the path of the program under test, set by Main before any test.
var program string

// Program is the path of the program under test.
func Program() string { return program }

// Main is what a TestMain calls. It builds the program, unless
// TRAILTIDE_E2E_BINARY names one, such as one that is built with the race
// detector, and runs the tests. It returns the exit code.
func Main(m *testing.M) int {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func buildAndRun(m *testing.M) (code int, err error) {
	if program = os.Getenv("TRAILTIDE_E2E_BINARY"); program != "" {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "trailtide-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program = filepath.Join(dir, "trailtide.exe")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", program, "github.com/trailtide/trailtide/cmd/trailtide")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// Output runs a command of the program that has to succeed, and returns what it prints.
func Output(t testing.TB, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("trailtide %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return stdout.String()
}

// SizeFrom reads the size of a suite from the environment.
func SizeFrom(t testing.TB, name string, def int) int {
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

// Write makes a file below dir and returns its path.
func Write(t testing.TB, dir, name, content string) string {
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
