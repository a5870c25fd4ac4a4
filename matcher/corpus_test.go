package matcher

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// corpus returns the events of the JSON-lines files in the directory that the
// environment names.
func corpus(t *testing.T) [][]byte {
	t.Helper()
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA does not name a directory with CloudTrail corpora")
	}
	files, err := filepath.Glob(filepath.Join(dir, "cloudtrail", "*.jsonl*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpora in %s: %v", dir, err)
	}
	var events [][]byte
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			r, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		for line := range bytes.Lines(data) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				events = append(events, line)
			}
		}
	}
	return events
}

// fieldsOf lists string fields of an event: dotted path and text.
func fieldsOf(v *fastjson.Value, path []string, into map[string]string) {
	switch v.Type() {
	case fastjson.TypeObject:
		v.GetObject().Visit(func(key []byte, member *fastjson.Value) {
			fieldsOf(member, append(slices.Clip(path), string(key)), into)
		})
	case fastjson.TypeString:
		into[strings.Join(path, "\x00")] = string(v.GetStringBytes())
	default: // no string and nothing that holds one
	}
}

// TestCorpusThroughIndex: rules made from the fields of real events find those
// events, and no rule is found or missed because of the index.
func TestCorpusThroughIndex(t *testing.T) {
	events := corpus(t)
	r := rand.New(rand.NewPCG(3, 4))
	var rules []*Rule
	var ev cloudtrail.Event
	for i := range 400 {
		ev.Reset(events[r.IntN(len(events))])
		v, err := ev.Parse()
		if err != nil {
			continue // corpora may hold broken lines
		}
		fields := map[string]string{}
		fieldsOf(v, nil, fields)
		var nodes []Node
		paths := slices.Sorted(maps.Keys(fields))
		r.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
		for _, path := range paths[:min(3, len(paths))] {
			text := fields[path]
			fold := r.IntN(2) == 0
			op := Equals(fold, text)
			if r.IntN(4) == 0 {
				op = HasPrefix(fold, text[:len(text)/2])
			}
			nodes = append(nodes, &Field{Path: Keys(strings.Split(path, "\x00")...), Leaf: Leaf{Op: op}})
		}
		if r.IntN(2) == 0 {
			nodes = append(nodes, field("eventName", Equals(true, fields["eventName"])))
		}
		rules = append(rules, rule(fmt.Sprintf("r%03d", i), &And{Nodes: nodes}))
	}
	rs := mustCompile(t, Options{}, rules...)
	m := rs.NewMatcher()
	var e evaluator
	matched := 0
	for _, raw := range events {
		ev.Reset(raw)
		v, err := ev.Parse()
		if err != nil {
			continue
		}
		var want []string
		e.begin()
		for _, r := range rs.Rules() {
			if r.Cond.eval(&e, v) {
				want = append(want, r.ID)
			}
		}
		ev.Reset(raw)
		hits, _, err := m.Match(nil, &ev)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if got := ids(hits); got != strings.Join(want, " ") {
			t.Errorf("%s:\nthe index finds %q, evaluating all finds %q", raw, got, want)
		}
		matched += len(want)
	}
	if matched < len(rules) {
		t.Errorf("%d matches of %d rules: each should match the event that it was made from", matched, len(rules))
	}
}
