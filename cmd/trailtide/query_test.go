package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestQueryInEveryLanguage asks one question in each language of one file.
func TestQueryInEveryLanguage(t *testing.T) {
	dir := t.TempDir()
	events := filepath.Join(dir, "events.ndjson")
	lines := []string{
		event(1, "StopLogging"),
		event(2, "DescribeTrails"),
		event(2, "DescribeTrails"), // duplicates are not removed
		`{"note": "any JSON object counts", "eventName": "stoplogging"}`,
		`broken`,
		event(3, "StopLogging"),
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(events, strings.Join(lines, "\n")+"\n")
	sigma := filepath.Join(dir, "rule.yml")
	write(sigma, "title: t\nlogsource: {product: aws, service: cloudtrail}\ndetection: {sel: {eventName|cased: StopLogging}, condition: sel}\nlevel: low\n")
	rules := filepath.Join(dir, "rules.yaml")
	write(rules, "rules: [{id: a, title: A, severity: low, match: {eventName: StopLogging}}]")

	at := func(numbers ...string) string {
		var b strings.Builder
		for _, n := range numbers {
			b.WriteString(events + ":" + n + "\n")
		}
		return b.String()
	}
	for _, c := range []struct{ language, expression, want string }{
		{"native", "{eventName: StopLogging}", at("1", "6")},
		{"native", "@" + rules, at("1", "6")},
		{"native", "{note: {exists: true}}", at("4")},
		{"sigma", "@" + sigma, at("1", "6")},
		{"sigma", "{eventName: StopLogging}", at("1", "4", "6")},
		{"cloudwatch", "{ $.eventName = StopLogging }", at("1", "6")},
		{"eventbridge", `{"detail": {"eventName": ["StopLogging"]}}`, at("1", "6")},
		{"lucene", "eventName.keyword:StopLogging", at("1", "6")},
		{"lucene", "eventName:StopLogging", at("1", "4", "6")},
	} {
		var out, errs strings.Builder
		code := run(t.Context(), []string{"query", "-q", "--output", "positions", "--language", c.language, c.expression, events}, stdio{nil, &out, &errs})
		if code != exitOK || out.String() != c.want {
			t.Errorf("%s %s: code %d %s\n%swant\n%s", c.language, c.expression, code, errs.String(), out.String(), c.want)
		}
	}
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"query", "{eventName: {prefix: Stop}}", events}, stdio{nil, &out, &errs}); code != exitOK ||
		out.String() != lines[0]+"\n"+lines[5]+"\n" || !strings.Contains(errs.String(), events+":5") {
		t.Errorf("events: %d\n%s%s", code, out.String(), errs.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{"query", "-q", "--count", "{eventName: DescribeTrails}", events}, stdio{nil, &out, io.Discard}); code != exitOK || out.String() != "2\n" {
		t.Errorf("count: %d %q", code, out.String())
	}
	for _, c := range [][]string{
		{"query", "{evenName", events}, {"query", "-l", "sql", "x", events}, {"query", "-l", "lucene", "a:(", events}, {"query", "-l", "cloudwatch", "{ $.a EXISTS }", events},
	} {
		if code := run(t.Context(), c, stdio{nil, io.Discard, io.Discard}); code != exitUsage {
			t.Errorf("%v: code %d", c, code)
		}
	}
}

// TestConvertedRulesRun takes a table of Lucene alerts through convert, check
// and a scan.
func TestConvertedRulesRun(t *testing.T) {
	dir := t.TempDir()
	table := filepath.Join(dir, "table.md")
	text := "Alert name | Description | Query |\n" +
		"Trail stopped | Somebody stopped a trail | eventName:”StopLogging” |\n" +
		"Dead | As people write it | eventName.keyword:(CreateTrail|DeleteTrail) |\n"
	if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var rules, errs strings.Builder
	if code := run(t.Context(), []string{"rules", "convert", table}, stdio{nil, &rules, &errs}); code != exitOK || !strings.Contains(errs.String(), "2 rules, 0 refused") {
		t.Fatalf("convert: %d %s", code, errs.String())
	}
	converted := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(converted, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	errs.Reset()
	if code := run(t.Context(), []string{"rules", "check", "--no-builtin", "--strict", converted}, stdio{nil, io.Discard, &errs}); code != exitUsage || !strings.Contains(errs.String(), "did you mean") {
		t.Errorf("a dead rule under --strict: %d %s", code, errs.String())
	}
	var out strings.Builder
	code := run(t.Context(), []string{"scan", "-q", "--no-builtin", "-r", converted, "-o", "csv", "--columns", "rule", "-"}, stdio{strings.NewReader(event(1, "StopLogging") + "\n"), &out, io.Discard})
	if code != exitOK || out.String() != "rule\ntrail-stopped\n" {
		t.Errorf("scan: %d %q", code, out.String())
	}
}
