package file

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/sinktest"
)

var _ sinks.Sink = (*Sink)(nil)

// glob receives what stands in all files of a pattern.
type glob string

func (g glob) Received(t *testing.T) []*sinks.Alert {
	t.Helper()
	files, err := filepath.Glob(string(g))
	if err != nil {
		t.Fatal(err)
	}
	var out []*sinks.Alert
	for _, f := range files {
		for line := range strings.Lines(read(t, f)) {
			a, err := sinks.ParseAlert([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, a)
		}
	}
	return out
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func open(t *testing.T, o Options) *Sink {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) }) // a second close does nothing
	return s
}

func write(t *testing.T, s *Sink, from, to int) {
	t.Helper()
	if err := s.Write(t.Context(), sinktest.Alerts(from, to)); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	for name, o := range map[string]Options{
		"plain":    {},
		"sync":     {Sync: true},
		"rotating": {MaxBytes: 4000},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, sinktest.Harness{
				New: func(t *testing.T) (sinks.Sink, sinktest.Receiver) {
					t.Helper()
					o.Path = filepath.Join(t.TempDir(), "alerts.ndjson")
					return open(t, o), glob(o.Path + "*")
				},
				Failing: func(t *testing.T) sinks.Sink {
					t.Helper()
					if _, err := os.Stat("/dev/full"); err != nil {
						t.Skip("there is no /dev/full here")
					}
					return open(t, Options{Path: "/dev/full"})
				},
			})
		})
	}
}

// TestTornLine: a crash has left half a line; what follows stands on lines of
// its own.
func TestTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.ndjson")
	if err := os.WriteFile(path, []byte("{\"whole\":1}\n{\"half\":"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: path})
	write(t, s, 0, 1)
	write(t, s, 1, 2)
	lines := strings.Split(read(t, path), "\n")
	if len(lines) != 5 || lines[1] != `{"half":` || lines[2] != string(sinktest.Alert(0).AppendLine(nil)) || lines[4] != "" {
		t.Errorf("lines %q", lines)
	}
}

// TestTornByFullDisk cuts a write in the middle, as a full disk does.
func TestTornByFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.ndjson")
	s := open(t, Options{Path: path})
	if _, err := s.f.WriteString(`{"half":`); err != nil {
		t.Fatal(err)
	}
	s.torn = true
	write(t, s, 0, 1)
	if got, want := read(t, path), "{\"half\":\n"+string(sinktest.Alert(0).AppendLine(nil))+"\n"; got != want {
		t.Errorf("file %q, want %q", got, want)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "alerts.ndjson")
	s := open(t, Options{Path: path})
	write(t, s, 0, 1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, s, 1, 2) // still the renamed file
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 2, 3)
	if a, b := len(glob(path+".1").Received(t)), len(glob(path).Received(t)); a != 2 || b != 1 {
		t.Errorf("%d alerts in the renamed file and %d in the new one, want 2 and 1", a, b)
	}
}

func TestRotate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "alerts.ndjson")
	stranger := path + ".notes"
	if err := os.WriteFile(stranger, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	size := int64(len(sinktest.Alert(1).AppendLine(nil)) + 1)
	s := open(t, Options{Path: path, MaxBytes: 2 * size, Keep: 2})
	s.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) } // all in one instant
	for i := range 9 {
		write(t, s, i, i+1)
	}
	// Two a file, five files, the three newest are left.
	var got [][]string
	for _, f := range []string{path + ".20260102T030405.000000008Z", path + ".20260102T030405.000000009Z", path} {
		var ids []string
		for _, a := range glob(f).Received(t) {
			ids = append(ids, a.EventID)
		}
		got = append(got, ids)
	}
	if len(got[0]) != 2 || len(got[1]) != 2 || len(got[2]) != 1 || got[2][0] != "e-8" || got[0][0] != "e-4" {
		t.Errorf("files hold %v", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 4 {
		t.Errorf("%d files, want 4: %v", len(entries), entries)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2*size {
		t.Errorf("size %v, %v", info.Size(), err)
	}
}

// TestTwoWriters: two sinks on one file do not mix their lines.
func TestTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.ndjson")
	a, b := open(t, Options{Path: path}), open(t, Options{Path: path})
	for i := range 10 {
		write(t, a, i*10, i*10+5)
		write(t, b, i*10+5, i*10+10)
	}
	if got := len(glob(path).Received(t)); got != 100 {
		t.Errorf("%d alerts, want 100", got)
	}
}

func TestOptions(t *testing.T) {
	err := (&Options{MaxBytes: -1, Keep: -1, Mode: os.ModeDir}).Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("want four problems, have %v", err)
	}
	if _, err := New(Options{Path: filepath.Join(t.TempDir(), "no", "such", "directory")}); err == nil {
		t.Error("a missing directory is not reported at start")
	}
	path := filepath.Join(t.TempDir(), "f")
	write(t, open(t, Options{Path: path}), 0, 1)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v, %v: others may read alerts", info.Mode(), err)
	}
	if !bytes.HasSuffix([]byte(read(t, path)), []byte("\n")) {
		t.Error("no line end")
	}
}
