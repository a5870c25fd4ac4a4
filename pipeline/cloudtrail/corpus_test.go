package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCorpus sees every event of the corpora under TRAILTIDE_TESTDATA/cloudtrail
// as encoding/json does.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: it names a directory with cloudtrail/*.jsonl[.gz]")
	}
	files, err := filepath.Glob(filepath.Join(dir, "cloudtrail", "*.jsonl*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus in %s: %v", dir, err)
	}
	u := NewUnwrapper(Limits{})
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			lines := corpusLines(t, file)
			for i, line := range lines {
				checkCorpusEvent(t, u, i+1, line)
			}
			// All in one payload: lines, and a file.
			for _, payload := range [][]byte{
				bytes.Join(lines, []byte("\n")),
				[]byte(`{"Records":[` + string(bytes.Join(lines, []byte(","))) + `]}`),
			} {
				n := 0
				ev := new(Event)
				u.Unwrap(payload, ev, func(it Item) {
					if it.Kind != ItemEvent || it.Index != n || !bytes.Equal(it.Raw, lines[n]) {
						t.Fatalf("item %d: kind %d, index %d, %s", n, it.Kind, it.Index, it.Reason)
					}
					n++
				})
				if n != len(lines) {
					t.Errorf("%d items of %d events", n, len(lines))
				}
			}
		})
	}
}

// corpusLines returns the events of a corpus file; some lines hold the event
// beside what is known about it.
func corpusLines(t *testing.T, file string) [][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(all), []byte("\n"))
	for i, line := range lines {
		var outer struct{ Event json.RawMessage }
		if err := json.Unmarshal(line, &outer); err != nil {
			t.Fatal(err)
		}
		if outer.Event != nil {
			lines[i] = outer.Event
		}
	}
	return lines
}

func checkCorpusEvent(t *testing.T, u *Unwrapper, number int, line []byte) {
	t.Helper()
	items := 0
	ev := new(Event)
	u.Unwrap(line, ev, func(it Item) {
		items++
		if it.Kind != ItemEvent {
			t.Errorf("line %d: kind %d, %s", number, it.Kind, it.Reason)
			return
		}
		if err := ev.Validate(); err != nil {
			t.Errorf("line %d: %v", number, err)
		}
		name, kind := lookup(t, line, []string{"eventName"})
		if kind != String {
			name = ""
		}
		if string(ev.Name()) != name {
			t.Errorf("line %d: name %q, want %q", number, ev.Name(), name)
		}
		text, _ := lookup(t, line, []string{"eventTime"})
		want, err := time.Parse(time.RFC3339, text)
		if nanos, ok := ev.Time(); ok != (err == nil) || ok && nanos != want.UnixNano() {
			t.Errorf("line %d: time %d, %v; want %v", number, nanos, ok, want)
		}
		for _, p := range corpusPaths(t, line) {
			text, kind := lookup(t, line, p)
			if got, gotKind := ev.Scan(p); string(got) != text || gotKind != kind {
				t.Errorf("line %d: Scan(%s) = %q, %d; want %q, %d", number, p, got, gotKind, text, kind)
			}
		}
	})
	if items != 1 {
		t.Errorf("line %d: %d items", number, items)
	}
}

// corpusPaths returns the paths of all fields of the first three levels.
func corpusPaths(t *testing.T, line []byte) []Path {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(line, &v); err != nil {
		t.Fatal(err)
	}
	var paths []Path
	var walk func(p Path, v map[string]any)
	walk = func(p Path, v map[string]any) {
		for key, value := range v {
			at := append(p[:len(p):len(p)], key)
			paths = append(paths, at)
			if inner, ok := value.(map[string]any); ok && len(at) < 3 {
				walk(at, inner)
			}
		}
	}
	walk(nil, v)
	return paths
}
