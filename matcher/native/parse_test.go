package native

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// schema has every key of a rule.
const schema = `# Rules of the login team.
rules:
  - id: console-login-brute-force
    title: Repeated console login failures
    severity: high
    enabled: false
    description: |
      What it means.

        # not a comment
    runbook: What to do about it.
    references: ["https://example.com/login"]
    tags: [attack.t1110, cis.4.6]
    match:
      eventSource: signin.amazonaws.com
      eventName: [ConsoleLogin, SwitchRole]
      responseElements.ConsoleLogin: Failure
      awsRegion: {not: [us-east-1, eu-west-1]}
      sourceIPAddress: {cidr: [203.0.113.0/24]}
      requestParameters.cidrIp: {exists: true}
      response: failure
      any:
        - userAgent: {wildcard: "*aws-cli*"}
        - userAgent: {regex: "(?i)boto"}
    threshold:
      count: 20
      window: 1m
      group_by: [recipientAccountId, userIdentity.arn]
      realert: 15m
    suppress:
      - when: {userIdentity.arn: {wildcard: "arn:aws:iam::*:user/ci-*"}}
        reason: build robots
        author: jane
        expires: 2027-06-30
    sinks: [soc-slack]
    save: false
    tests:
      - name: a failure matches
        event: {eventName: ConsoleLogin, n: 12345678901234567890, f: 1.10, t: 2026-01-02, "null": ~, l: [true, <a>]}
        match: true
        suppressed: false
      - name: text
        event_json: '{"eventName": "X"}'
        match: false
  # The second one.
  - id: b
    title: B
    severity: info
    match: {eventName: X}

suppress:
  - when: {recipientAccountId: "111122223333"}
    rules: ["console-*", b]
    reason: sandbox
---
rules: [{id: c, title: C, severity: critical, match: {eventName: Y}, threshold: {distinct: {field: sourceIPAddress, count: 5}, window: 1d12h, group_by: awsRegion}}]
---
rules:
- id: d
  title: D
  severity: low
  match: {eventName: Z}
  threshold: {absent_for: 30m}
`

func TestParseEveryKey(t *testing.T) {
	s, err := Loader{}.Parse("f.yaml", []byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Warnings) > 0 {
		t.Errorf("warnings: %v", s.Warnings)
	}
	no := false
	at := func(line, col int) matcher.Pos { return matcher.Pos{File: "f.yaml", Line: line, Col: col} }
	lines := strings.SplitAfter(schema, "\n")
	dedent := func(text string, n int) string {
		text = strings.ReplaceAll("\n"+text, "\n"+strings.Repeat(" ", n), "\n")[1:]
		return text
	}
	want := []*matcher.Rule{
		{
			ID: "console-login-brute-force", Title: "Repeated console login failures", Severity: matcher.High,
			Description: "What it means.\n\n  # not a comment\n", Runbook: "What to do about it.",
			References: []string{"https://example.com/login"}, Tags: []string{"attack.t1110", "cis.4.6"},
			Sinks: []string{"soc-slack"}, Pos: at(3, 5), Language: "native",
			Threshold: &matcher.Threshold{
				Count: 20, Window: time.Minute, Realert: 15 * time.Minute,
				GroupBy: []cloudtrail.Path{{"recipientAccountId"}, {"userIdentity", "arn"}},
			},
			Suppress: []*matcher.Suppression{{
				Reason: "build robots", Author: "jane", Pos: at(31, 9),
				Expires: time.Date(2027, 6, 30, 23, 59, 59, 999999999, time.UTC),
			}},
			Tests: []matcher.Test{
				{
					Name: "a failure matches", Match: true, Suppressed: &no, Pos: at(38, 9),
					Event: []byte(`{"eventName":"ConsoleLogin","n":12345678901234567890,"f":1.10,"t":"2026-01-02","null":null,"l":[true,"<a>"]}`),
				},
				{Name: "text", Event: []byte(`{"eventName": "X"}`), Pos: at(42, 9)},
			},
			Source: dedent(strings.Join(lines[2:44], ""), 4)[len("- ")-2:],
		},
		{ID: "b", Title: "B", Severity: matcher.Info, Enabled: true, Save: true, Pos: at(46, 5), Language: "native"},
		{
			ID: "c", Title: "C", Severity: matcher.Critical, Enabled: true, Save: true, Pos: at(56, 9), Language: "native",
			Threshold: &matcher.Threshold{
				Count: 5, Distinct: cloudtrail.Path{"sourceIPAddress"}, Window: 36 * time.Hour, GroupBy: []cloudtrail.Path{{"awsRegion"}},
			},
		},
		{
			ID: "d", Title: "D", Severity: matcher.Low, Enabled: true, Save: true, Pos: at(59, 3), Language: "native",
			Threshold: &matcher.Threshold{AbsentFor: 30 * time.Minute},
		},
	}
	want[0].Source = strings.Replace(want[0].Source, "  - id:", "id:", 1)
	want[1].Source = "id: b\ntitle: B\nseverity: info\nmatch: {eventName: X}\n"
	want[2].Source = "{id: c, title: C, severity: critical, match: {eventName: Y}, threshold: {distinct: {field: sourceIPAddress, count: 5}, window: 1d12h, group_by: awsRegion}}\n"
	want[3].Source = "id: d\ntitle: D\nseverity: low\nmatch: {eventName: Z}\nthreshold: {absent_for: 30m}\n"
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Cond" || p.Last().String() == ".OnKey" }, cmp.Ignore())
	if diff := cmp.Diff(want, s.Rules, ignore, cmpopts.IgnoreUnexported(matcher.Rule{})); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	global := []*matcher.Suppression{{Reason: "sandbox", Rules: []string{"console-*", "b"}, Pos: at(52, 5)}}
	if diff := cmp.Diff(global, s.Suppress, ignore); diff != "" {
		t.Errorf("global suppressions (-want +got):\n%s", diff)
	}
}

// The text kept of a rule is the rule: it parses to the same.
func TestSourceParsesAgain(t *testing.T) {
	rules, _, err := Parse("f.yaml", []byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		again, _, err := Parse("g.yaml", []byte("rules:\n  - "+strings.ReplaceAll(rule.Source, "\n", "\n    ")))
		if err != nil {
			t.Errorf("%s: %v\n%s", rule.ID, err, rule.Source)
			continue
		}
		unplaced := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Pos" || p.Last().String() == ".Cond" }, cmp.Ignore())
		if diff := cmp.Diff([]*matcher.Rule{rule}, again, unplaced, cmpopts.IgnoreUnexported(matcher.Rule{})); diff != "" {
			t.Errorf("%s (-first +again):\n%s", rule.ID, diff)
		}
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, src := range []string{"", "# nothing\n", "---\n", "rules: []\n", "rules: []\nsuppress: []\n"} {
		s, err := Loader{}.Parse("f.yaml", []byte(src))
		if err != nil || len(s.Rules) > 0 {
			t.Errorf("%q: %d rules, %v", src, len(s.Rules), err)
		}
	}
}

func TestOtherLanguages(t *testing.T) {
	broken := errors.New("broken")
	l := Loader{Languages: map[string]Language{
		"eventbridge": func(_ string, n *yaml.Node) (matcher.Node, error) {
			if n.Kind != yaml.MappingNode {
				return nil, broken
			}
			return &matcher.And{}, nil
		},
		"lucene": func(file string, n *yaml.Node) (matcher.Node, error) {
			return nil, &Error{Pos: matcher.Pos{File: file, Line: n.Line, Col: n.Column + 3}, Msg: "here"}
		},
	}}
	s, err := l.Parse("f.yaml", []byte(ruleWith("eventbridge: {}")))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Rules[0].Cond.(*matcher.And); !ok || s.Rules[0].Language != "eventbridge" {
		t.Errorf("got %+v", s.Rules[0])
	}
	for body, want := range map[string]string{
		"eventbridge: x": "f.yaml:5:18: eventbridge: broken",
		"lucene: x":      "f.yaml:5:16: here",
		"cloudwatch: x":  `f.yaml:5:5: conditions in the language "cloudwatch" cannot be read here; available are match, eventbridge, lucene`,
	} {
		_, err := l.Parse("f.yaml", []byte(ruleWith(body)))
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
	if _, err := l.Parse("f.yaml", []byte(ruleWith("eventbridge: x"))); !errors.Is(err, broken) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func minimal(id string) []byte {
	return []byte("rules:\n  - {id: " + id + ", title: T, severity: low, match: {eventName: X}}\n")
}

func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, src []byte) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, src, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// As Kubernetes mounts a config map: a link to a file below a hidden directory.
	write("..2026/one.yaml", minimal("linked"))
	if err := os.Symlink(filepath.Join("..2026", "one.yaml"), filepath.Join(dir, "one.yaml")); err != nil {
		t.Fatal(err)
	}
	write("b/two.yml", minimal("two"))
	write("b/README.md", []byte("no rules"))
	write("a/three.yaml", minimal("three"))
	if err := os.Symlink("b", filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	write("extra.rules", minimal("extra"))
	extra := filepath.Join(dir, "extra.rules")

	s, err := LoadFiles([]string{dir, extra, filepath.Join(dir, "b")})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range s.Rules {
		ids = append(ids, r.ID)
	}
	if diff := cmp.Diff([]string{"three", "two", "linked", "extra"}, ids); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	files := []string{filepath.Join(dir, "a/three.yaml"), filepath.Join(dir, "b/two.yml"), filepath.Join(dir, "one.yaml"), extra}
	if diff := cmp.Diff(files, s.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{dir, filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "b")}, s.Dirs); diff != "" {
		t.Errorf("directories (-want +got):\n%s", diff)
	}
	if len(s.Warnings) != 1 || s.Warnings[0].Pos.File != filepath.Join(dir, "c") {
		t.Errorf("warnings: %v", s.Warnings)
	}
}

func TestLoadJoinsErrors(t *testing.T) {
	s, err := Loader{}.LoadFS(fstest.MapFS{
		"a.yaml": {Data: minimal("same")},
		"b.yaml": {Data: minimal("same")},
		"c.yaml": {Data: []byte("rule: x\n")},
		"d.yaml": {Data: minimal("good")},
	}, ".", "missing")
	want := `b.yaml:2:5: id "same" is taken: first at a.yaml:2:5
c.yaml:1:1: unknown key "rule", did you mean "rules"?
reading rules: open missing: file does not exist`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if diff := cmp.Diff([]string{"a.yaml", "b.yaml", "c.yaml", "d.yaml"}, s.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

func TestNearest(t *testing.T) {
	tests := []struct{ word, want string }{
		{"severty", "severity"},
		{"Severity", "severity"},
		{"titel", "title"},
		{"zzzzzzz", ""},
		{"", ""},
		{"mtach", "match"},
		{strings.Repeat("severity", 100), ""},
	}
	for _, tt := range tests {
		if got := nearest(tt.word, ruleKeys); got != tt.want && tt.word != "" {
			t.Errorf("nearest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}
