package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// corpora copies the events of TRAILTIDE_TESTDATA to NDJSON files, one a
// corpus, and returns their paths by name.
func corpora(t *testing.T) map[string]string {
	t.Helper()
	root := os.Getenv("TRAILTIDE_TESTDATA")
	if root == "" {
		t.Skip("TRAILTIDE_TESTDATA does not name the corpora")
	}
	dir := t.TempDir()
	paths := make(map[string]string)
	for name, wrapped := range map[string]bool{
		"invictus.jsonl.gz": false, "stratus-dev.jsonl": false, "otrf-ec2-proxy-s3.jsonl": false,
		"panther-dev.jsonl": true, "awsdocs-dev.jsonl": true,
	} {
		short, _, _ := strings.Cut(name, ".")
		paths[short] = extract(t, filepath.Join(root, "cloudtrail", name), filepath.Join(dir, short+".jsonl"), wrapped)
	}
	return paths
}

// extract writes the events of a corpus to a file of their own. wrapped: a
// line holds the event under the key event.
func extract(t *testing.T, from, to string, wrapped bool) string {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var r io.Reader = in
	if strings.HasSuffix(from, ".gz") {
		if r, err = gzip.NewReader(in); err != nil {
			t.Fatal(err)
		}
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		line := sc.Bytes()
		if wrapped {
			var w struct {
				Event json.RawMessage `json:"event"`
			}
			if err := json.Unmarshal(line, &w); err != nil {
				t.Fatal(err)
			}
			line = w.Event
		}
		if _, err := out.Write(append(line[:len(line):len(line)], '\n')); err != nil {
			t.Fatal(err)
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}

func gzipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
