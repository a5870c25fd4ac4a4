package cloudwatch

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// awkward patterns touch what real events hold.
var awkward = []string{
	`{ $.errorCode = * && $.errorCode != "Client.*" }`,
	`{ $.errorMessage NOT EXISTS && $.responseElements IS NULL }`,
	`{ $.requestParameters != "x" }`,
	`{ $.requestParameters IS NULL || $.userIdentity.type NOT EXISTS }`,
	`{ $.readOnly IS FALSE && $.managementEvent IS TRUE }`,
	`{ $.readOnly = true || $.userIdentity.sessionContext.attributes.mfaAuthenticated = false }`,
	`{ $.resources[*].type = "AWS::S3::*" }`,
	`{ $.resources[0].accountId = 123837392027 }`,
	`{ $.recipientAccountId = 123837392027 && $.awsRegion != us-east-1 }`,
	`{ $.recipientAccountId > 200000000000 }`,
	`{ $.requestParameters.maxResults >= 5 }`,
	`{ $.eventName = %^Create|^Delete% && $.userAgent = %[Bb]oto3?/\d+\.% }`,
	`{ $.eventVersion != "1.08" }`,
	`{ $.* = "ec2.amazonaws.com" }`,
	`{ $.userIdentity.* = "*user*" }`,
	`{ $.requestParameters.*.items[0] NOT EXISTS && $.requestParameters.* = * }`,
	`{ $.sourceIPAddress != 10.* && $.sourceIPAddress = *.*.*.* }`,
	`{ $.requestParameters.ipPermissions.items[*].fromPort <= 22 }`,
}

// corpusEvents calls each for every event of the corpora.
func corpusEvents(t *testing.T, each func(string)) {
	t.Helper()
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: no corpus to read")
	}
	files, err := filepath.Glob(filepath.Join(dir, "cloudtrail", "*.jsonl*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no events under %s: %v", dir, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var src io.Reader = f
		if strings.HasSuffix(name, ".gz") {
			if src, err = gzip.NewReader(f); err != nil {
				t.Fatal(err)
			}
		}
		lines := bufio.NewScanner(src)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var wrapped struct{ Event json.RawMessage }
			text := lines.Text()
			if json.Unmarshal([]byte(text), &wrapped) == nil && len(wrapped.Event) > 0 && wrapped.Event[0] == '{' {
				text = string(wrapped.Event)
			}
			each(text)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCorpora compares engine and reference on published patterns and real events.
func TestCorpora(t *testing.T) {
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: no patterns to read")
	}
	data, err := os.ReadFile(filepath.Join(dir, "cloudwatch", "cis-metric-filters.json"))
	if err != nil {
		t.Fatal(err)
	}
	var published []struct{ Name, Pattern string }
	if err := json.Unmarshal(data, &published); err != nil || len(published) != 16 {
		t.Fatalf("%d patterns, %v", len(published), err)
	}
	var patterns []string
	for _, p := range published {
		patterns = append(patterns, p.Pattern)
	}
	patterns = append(patterns, awkward...)
	engines := make([]*engine, len(patterns))
	refs := make([]refCond, len(patterns))
	for i, p := range patterns {
		engines[i] = compile(t, p)
		if refs[i], err = refParse(p); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
	}
	held := make([]int, len(patterns))
	events := 0
	corpusEvents(t, func(text string) {
		events++
		v, err := refDecode(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for i := range patterns {
			got, want := engines[i].match(t, text), refEval(refs[i], v)
			if got != want {
				t.Errorf("engine %t, reference %t: %s\n%.300s", got, want, patterns[i], text)
			}
			if got {
				held[i]++
			}
		}
	})
	if events < 3000 {
		t.Errorf("only %d events", events)
	}
	for i, n := range held {
		t.Logf("%6d %.100s", n, patterns[i])
	}
}

var (
	drawnSelectors = []string{"$.a", "$.b", "$.a.b", "$.a[0]", "$.a[*]", "$.a[*].b", "$.*", "$.a.*", "$.['a.b']", "$.eventName"}
	drawnValues    = []string{
		"x", `"x"`, "X", "x*", `"*y"`, "x*y", "*", `"*"`, "5", "5.0", "-5", "+5", "05", "5e0", `"5"`, "true", "false", "null", `""`,
		"%x%", "%^x|y$%", `%\d{1,2}%`, `"a \"b"`, "1.2.3.4",
	}
)

func drawPattern(t *rapid.T, depth int, stars *int, regexes *int) string {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth == 0 {
		kind = 0
	}
	blank := func() string { return rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "blank") }
	switch kind {
	case 3, 4:
		return drawPattern(t, depth-1, stars, regexes) + blank() + rapid.SampledFrom([]string{"&&", "||"}).Draw(t, "sign") +
			blank() + drawPattern(t, depth-1, stars, regexes)
	case 5:
		return "(" + blank() + drawPattern(t, depth-1, stars, regexes) + blank() + ")"
	}
	sel := rapid.SampledFrom(drawnSelectors).Draw(t, "selector")
	if strings.Contains(sel, "*") {
		if *stars++; *stars > MaxWildcards {
			sel = "$.a"
		}
	}
	switch rapid.IntRange(0, 5).Draw(t, "op") {
	case 0:
		return sel + " " + rapid.SampledFrom([]string{"IS NULL", "IS TRUE", "IS FALSE", "NOT EXISTS"}).Draw(t, "test")
	case 1:
		return sel + blank() + rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "order") + blank() +
			rapid.SampledFrom([]string{"5", "-1", "5.0", "1e1"}).Draw(t, "number")
	}
	value := rapid.SampledFrom(drawnValues).Draw(t, "value")
	if value[0] == '%' {
		if *regexes++; *regexes > MaxRegexes {
			value = "x"
		}
	}
	return sel + blank() + rapid.SampledFrom([]string{"=", "!="}).Draw(t, "op") + blank() + value
}

func drawValue(t *rapid.T, depth int) string {
	most := 7
	if depth == 0 {
		most = 4
	}
	switch rapid.IntRange(0, most).Draw(t, "value") {
	case 0, 1:
		return rapid.SampledFrom([]string{`"x"`, `"X"`, `"xy"`, `"x1y"`, `"5"`, `"5.0"`, `"05"`, `"+5"`, `""`, `"true"`, `"a \"b"`, `"1.2.3.4"`, `"\u0078"`, `"null"`}).Draw(t, "text")
	case 2:
		return rapid.SampledFrom([]string{"5", "5.0", "50e-1", "-5", "0", "12"}).Draw(t, "number")
	case 3:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool")
	case 4:
		return "null"
	case 5:
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			parts = append(parts, drawValue(t, depth-1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return drawObject(t, depth-1)
	}
}

func drawObject(t *rapid.T, depth int) string {
	var parts []string
	for range rapid.IntRange(0, 5).Draw(t, "members") {
		key := rapid.SampledFrom([]string{"a", "b", "a", "eventName", "a.b"}).Draw(t, "key")
		parts = append(parts, fmt.Sprintf("%q : %s", key, drawValue(t, max(depth, 0))))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestReference compares the two on generated patterns and events.
func TestReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stars, regexes := 0, 0
		pattern := "{" + drawPattern(t, 3, &stars, &regexes) + "}"
		n, _, err := Parse("", pattern, matcher.Pos{})
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		ref, err := refParse(pattern)
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		rs, err := matcher.Compile([]*matcher.Rule{{ID: "r", Enabled: true, Cond: n}}, matcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := rs.NewMatcher()
		for range 4 {
			event := drawObject(t, 3)
			v, err := refDecode(event)
			if err != nil {
				t.Fatal(err)
			}
			var ev cloudtrail.Event
			ev.Reset([]byte(event))
			hits, _, err := m.Match(nil, &ev)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(hits) == 1, refEval(ref, v); got != want {
				t.Fatalf("engine %t, reference %t\npattern: %s\nevent: %s", got, want, pattern, compactJSON(event))
			}
		}
	})
}
