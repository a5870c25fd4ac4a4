package lint_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/lint"
	"github.com/trailtide/trailtide/matcher/vocabulary"
)

// patterns returns every string in a JSON file that is a filter pattern.
func patterns(t *testing.T, name string) []string {
	t.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(src, &all); err != nil {
		t.Fatal(err)
	}
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if strings.HasPrefix(strings.TrimSpace(v), "{") {
				out = append(out, v)
			}
		case []any:
			for _, sub := range v {
				walk(sub)
			}
		case map[string]any:
			for _, sub := range v {
				walk(sub)
			}
		}
	}
	walk(all)
	if len(out) < 14 {
		t.Fatalf("only %d patterns in %s", len(out), name)
	}
	return out
}

// Of real events nearly every source, and most names, are known.
func TestVocabularyOfRealEvents(t *testing.T) {
	v := vocabulary.Default()
	unknown, seen := map[string]bool{}, map[string]bool{}
	for _, e := range realEvents(t) {
		var r struct{ EventName, EventSource string }
		if json.Unmarshal(e, &r) != nil || r.EventName == "" {
			continue
		}
		if !v.KnownSource(r.EventSource) {
			t.Errorf("unknown event source %s", r.EventSource)
		}
		seen[r.EventName] = true
		if !v.KnownEvent(r.EventName) {
			unknown[r.EventName] = true
		}
	}
	t.Logf("%d of %d names unknown: %v", len(unknown), len(seen), unknown)
	if 100*len(unknown) > 3*len(seen) {
		t.Errorf("%d of %d names are unknown", len(unknown), len(seen))
	}
}

func realEvents(t *testing.T) [][]byte {
	t.Helper()
	root := os.Getenv("TRAILTIDE_TESTDATA")
	if root == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set")
	}
	names, err := filepath.Glob(filepath.Join(root, "cloudtrail", "*.jsonl*"))
	if err != nil || len(names) == 0 {
		t.Fatal("no events", err)
	}
	var out [][]byte
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(src))
			if err != nil {
				t.Fatal(err)
			}
			if src, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		s := bufio.NewScanner(bytes.NewReader(src))
		s.Buffer(nil, 4<<20)
		for s.Scan() {
			out = append(out, bytes.Clone(s.Bytes()))
		}
	}
	return out
}

// Soundness: a condition that is called dead matches none of the events that
// were made from the words that it is made of.
func TestDeadIsDead(t *testing.T) {
	names := []string{"CreateTrail", "UpdateTrail", "RunInstances", "Nope"}
	sources := []string{"cloudtrail.amazonaws.com", "ec2.amazonaws.com", "nope.amazonaws.com"}
	regions := []string{"us-east-1", "US-EAST-1", "eu-west-1"}
	values := map[string][]string{"eventName": names, "eventSource": sources, "awsRegion": regions, "nowhere": {"x"}, "requestParameters.name": {"x", "true", "5"}}
	paths := []string{"eventName", "eventSource", "awsRegion", "nowhere", "requestParameters.name"}
	var condition func(rt *rapid.T, depth int) matcher.Node
	condition = func(rt *rapid.T, depth int) matcher.Node {
		kind := rapid.IntRange(0, 9).Draw(rt, "kind")
		if depth > 0 && kind < 6 {
			var nodes []matcher.Node
			for range rapid.IntRange(1, 3).Draw(rt, "n") {
				nodes = append(nodes, condition(rt, depth-1))
			}
			switch {
			case kind < 3:
				return &matcher.And{Nodes: nodes}
			case kind < 5:
				return &matcher.Or{Nodes: nodes}
			default:
				return &matcher.Not{Node: nodes[0]}
			}
		}
		path := rapid.SampledFrom(paths).Draw(rt, "path")
		leaf := matcher.Leaf{
			Null:   matcher.NullMode(rapid.IntRange(0, 3).Draw(rt, "null")),
			AsText: matcher.TextMask(rapid.IntRange(0, 3).Draw(rt, "as text")),
			Absent: rapid.IntRange(0, 7).Draw(rt, "absent") == 0,
		}
		set := rapid.SliceOfN(rapid.SampledFrom(values[path]), 1, 2).Draw(rt, "values")
		fold := rapid.Bool().Draw(rt, "fold")
		switch rapid.IntRange(0, 5).Draw(rt, "op") {
		case 0:
			leaf.Op = matcher.Exists()
		case 1:
			leaf.Op = matcher.HasPrefix(fold, set[0][:len(set[0])/2])
		case 2:
			leaf.Op = matcher.Neither(matcher.Equals(fold, set...))
		case 3:
			leaf.Op = matcher.AnyToken(matcher.Equals(false, matcher.Tokens(set[0])...))
		default:
			leaf.Op = matcher.Equals(fold, set...)
		}
		return &matcher.Field{Path: matcher.Dotted(path), Leaf: leaf}
	}
	dead := 0
	rapid.Check(t, func(rt *rapid.T) {
		rule := &matcher.Rule{ID: "r", Enabled: true, Cond: condition(rt, 3)}
		found := lint.Check([]*matcher.Rule{rule}, nil, nil)
		var why *lint.Finding
		for i := range found {
			if found[i].Kind.Dead() {
				why = &found[i]
			}
		}
		if why == nil {
			return
		}
		dead++
		var probe matcher.Probe
		// What events can be: names go with their sources, there is no other field.
		for _, name := range []string{
			`"eventName":"CreateTrail","eventSource":"cloudtrail.amazonaws.com",`, `"eventName":"UpdateTrail","eventSource":"cloudtrail.amazonaws.com",`,
			`"eventName":"RunInstances","eventSource":"ec2.amazonaws.com",`, `"eventSource":"ec2.amazonaws.com",`, `"insightDetails":{},`,
		} {
			for _, region := range []string{"", `"awsRegion":"us-east-1",`, `"awsRegion":"US-EAST-1",`, `"awsRegion":"eu-west-1",`, `"awsRegion":null,`} {
				for _, parameters := range []string{`null`, `{}`, `{"name":null}`, `{"name":"x"}`, `{"name":["x","true"]}`, `{"name":true}`, `{"name":5}`, `{"name":"5"}`, `{"name":"y"}`} {
					src := "{" + name + region + `"requestParameters":` + parameters + "}"
					if probe.Holds(rule.Cond, src) {
						rt.Fatalf("called dead (%s), but matches %s", why, src)
					}
				}
			}
		}
	})
	if dead < 5 {
		t.Errorf("only %d conditions were dead", dead)
	}
}
