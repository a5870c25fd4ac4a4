package sigma

import (
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

func namedRule(name, id, level, event string) string {
	return "title: " + name + "\nname: " + name + "\nid: " + id + "\nlevel: " + level +
		"\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName: " + event + "}, condition: s}\n"
}

// TestChain is the specification's example of failed logins that a successful
// one follows, over files in an order that no reference can rely on.
func TestChain(t *testing.T) {
	fsys := fstest.MapFS{
		"rules/a/correlations.yml": {Data: []byte(`title: Many failures, then a success
id: outer
tags: [attack.t1110]
correlation:
  type: temporal_ordered
  rules: [many_failed, successful_login]
  group-by: [userIdentity.arn]
  timespan: 10m
level: high
---
title: Many failures
id: inner
name: many_failed
correlation:
  type: event_count
  rules: [failed_login]
  group-by: [userIdentity.arn]
  timespan: 10m
  condition: {gte: 10}
`)},
		"rules/b.yaml":         {Data: []byte(namedRule("failed_login", "id-failed", "low", "Failed") + "---\n" + namedRule("successful_login", "id-success", "medium", "Success"))},
		"rules/native.yaml":    {Data: []byte("rules: []\n")},
		"rules/.hidden/x.yml":  {Data: []byte("detection: 1\n")},
		"rules/windows.yml":    {Data: []byte("title: W\nlogsource: {product: windows}\ndetection: {s: {a: 1}, condition: s}\n")},
		"rules/on-windows.yml": {Data: []byte("title: OW\ncorrelation: {type: event_count, rules: [windows], timespan: 1m, condition: {gte: 2}}\n")},
	}
	s, err := LoadFS(fsys, Options{}, "rules")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Other, " ") + " | " + strings.Join(s.Dirs, " "); got != "rules/native.yaml | rules rules/a" {
		t.Errorf("other files and directories: %s", got)
	}
	var skipped []string
	for _, k := range s.Skipped {
		skipped = append(skipped, k.String())
	}
	wantSkipped := []string{
		"rules/windows.yml:1:1: windows is left out: its log source is product windows, not product aws, service cloudtrail",
		"rules/on-windows.yml:1:1: on-windows is left out: it refers to windows, which is left out",
	}
	if diff := cmp.Diff(wantSkipped, skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{"id-failed": true, "id-success": true}, s.Silent); diff != "" {
		t.Errorf("silent: %s", diff)
	}
	if len(s.Correlations) != 2 {
		t.Fatalf("%d correlations", len(s.Correlations))
	}
	arn := []cloudtrail.Path{{"userIdentity", "arn"}}
	outer, inner := s.Correlations[0], s.Correlations[1]
	want := &Correlation{
		ID: "outer", Title: "Many failures, then a success", Type: TemporalOrdered, GroupBy: []string{"userIdentity.arn"},
		Timespan: 10 * time.Minute, Condition: []Bound{{"gte", 2}}, Severity: matcher.High, Tags: []string{"attack.t1110"},
		Refs: []Ref{
			{Name: "many_failed", Correlation: inner, GroupBy: arn},
			{Name: "successful_login", Rule: s.Rules[1], GroupBy: arn},
		},
		Pos: matcher.Pos{File: "rules/a/correlations.yml", Line: 1, Col: 1},
	}
	opts := cmp.Options{
		cmpopts.IgnoreFields(Correlation{}, "Source"), cmpopts.IgnoreUnexported(Correlation{}),
		cmp.Comparer(func(a, b *matcher.Rule) bool { return a == b }),
	}
	if diff := cmp.Diff(want, outer, opts); diff != "" {
		t.Errorf("outer (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(outer.Source, "title: Many") || strings.Contains(outer.Source, "---") || !strings.HasSuffix(outer.Source, "level: high\n") {
		t.Errorf("source: %q", outer.Source)
	}
	if inner.Rule == nil || !inner.Silent || inner.Severity != matcher.Low || inner.Rule.Threshold.Count != 10 {
		t.Errorf("inner: %+v", inner)
	}
	if got := s.Alerting(); len(got) != 0 {
		t.Errorf("alerting: %v", got)
	}
	if got := s.Uncounted(); len(got) != 1 || got[0] != outer {
		t.Errorf("uncounted: %v", got)
	}
}

// correlated parses two rules, n and m, and a correlation of them.
func correlated(t *testing.T, body string) (*Set, *Correlation) {
	t.Helper()
	s := mustParse(t, namedRule("n", "id-n", "low", "A")+"---\n"+namedRule("m", "id-m", "high", "B")+
		"---\ntitle: C\nid: c\ncorrelation:\n"+indent(body))
	return s, s.Correlations[0]
}

func TestThresholds(t *testing.T) {
	user := []cloudtrail.Path{{"user"}}
	tests := []struct {
		body string
		want *matcher.Threshold
	}{
		{"type: event_count\nrules: [n]\ngroup-by: [user]\ntimespan: 1h\ncondition: {gte: 3}", &matcher.Threshold{Count: 3, Window: time.Hour, GroupBy: user}},
		{"type: event_count\nrules: n\ntimespan: 2d\ncondition: {gt: 3}", &matcher.Threshold{Count: 4, Window: 48 * time.Hour}},
		{"type: event_count\nrules: [n, id-m]\ngroup-by: [user]\ntimespan: 1m\ncondition: {gte: 3}", &matcher.Threshold{Count: 3, Window: time.Minute, GroupBy: user}},
		{"type: value_count\nrules: [n]\ntimespan: 30s\ncondition: {field: sourceIPAddress, gte: 3}", &matcher.Threshold{Count: 3, Window: 30 * time.Second, Distinct: cloudtrail.Path{"sourceIPAddress"}}},
		{"type: event_count\nrules: [n]\ngroup-by: [u]\naliases: {u: {n: user}}\ntimespan: 1h\ncondition: {gte: 3}", &matcher.Threshold{Count: 3, Window: time.Hour, GroupBy: user}},
		{"type: event_count\nrules: [n, m]\ngroup-by: [u]\naliases: {u: {n: user, m: other}}\ntimespan: 1h\ncondition: {gte: 3}", nil},
		{"type: value_count\nrules: [n]\ntimespan: 30s\ncondition: {field: [a, b], gte: 3}", nil},
		{"type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {gte: 3, lte: 5}", nil},
		{"type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {eq: 3}", nil},
		{"type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {neq: 3}", nil},
		{"type: temporal\nrules: [n, m]\ntimespan: 1h", nil},
		{"type: value_sum\nrules: [n]\ntimespan: 1h\ncondition: {field: size, gt: 1.5}", nil},
		{"type: value_avg\nrules: [n]\ntimespan: 1h\ncondition: {field: size, lt: -1}", nil},
		{"type: value_percentile\nrules: [n]\ntimespan: 1h\ncondition: {field: size, percentile: 99.5, gte: 1}", nil},
	}
	for _, tt := range tests {
		_, c := correlated(t, tt.body)
		if c.Rule == nil {
			if tt.want != nil {
				t.Errorf("%s: no threshold", tt.body)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, c.Rule.Threshold); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.body, diff)
		}
	}
	s, c := correlated(t, tests[2].body)
	m := compile(t, s.Alerting())
	for event, want := range map[string]int{
		`{"eventName":"A","user":"x"}`: 1, `{"eventName":"B","user":"x"}`: 1, `{"eventName":"A"}`: 0, `{"eventName":"B","user":null}`: 0, `{"eventName":"C","user":"x"}`: 0,
	} {
		if got := matches(t, m, event); len(got) != want {
			t.Errorf("%s: %v", event, got)
		}
	}
	if c.Severity != matcher.High || c.Rule.Severity != matcher.High {
		t.Errorf("severity %v, the highest of the rules' is high", c.Severity)
	}
	if _, c := correlated(t, tests[5].body); !cmp.Equal(c.Refs[1].GroupBy, []cloudtrail.Path{{"other"}}) {
		t.Errorf("aliases: %v", c.Refs[1].GroupBy)
	}
	if _, c := correlated(t, tests[13].body); c.Percentile != 99.5 || !cmp.Equal(c.Fields, []cloudtrail.Path{{"size"}}) {
		t.Errorf("percentile: %+v", c)
	}
}

func TestGenerate(t *testing.T) {
	s, c := correlated(t, "type: event_count\nrules: [n]\ngenerate: true\ntimespan: 1h\ncondition: {gte: 3}")
	if len(s.Silent) > 0 || !c.Generate || len(s.Alerting()) != 3 {
		t.Errorf("silent %v, alerting %d", s.Silent, len(s.Alerting()))
	}
	s, _ = correlated(t, "type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {gte: 3}")
	if !s.Silent["id-n"] || s.Silent["id-m"] || len(s.Alerting()) != 2 {
		t.Errorf("silent %v, alerting %d", s.Silent, len(s.Alerting()))
	}
}

func TestFilters(t *testing.T) {
	filter := "---\ntitle: Not Ann\nid: f\nlogsource: {product: aws, service: cloudtrail}\nfilter:\n  rules: [n]\n  sel: {user: ann}\n  condition: sel\n"
	other := "---\ntitle: All\nfilter:\n  rules: any\n  sel: {user: bob}\n  condition: sel\n"
	windows := "---\ntitle: W\nlogsource: {product: windows}\nfilter:\n  rules: any\n  sel: {user: eve}\n  condition: sel\n"
	s := mustParse(t, namedRule("n", "id-n", "low", "A")+filter+"---\n"+namedRule("m", "id-m", "low", "A")+other+windows)
	m := compile(t, s.Rules)
	for event, want := range map[string]string{
		`{"eventName":"A","user":"Ann"}`: "id-m", `{"eventName":"A","user":"bob"}`: "",
		`{"eventName":"A"}`: "id-m id-n", `{"eventName":"A","user":"eve"}`: "id-m id-n",
	} {
		if got := strings.Join(matches(t, m, event), " "); got != want {
			t.Errorf("%s: %q, want %q", event, got, want)
		}
	}
	if len(s.Filters) != 2 || len(s.Filters[0].Rules) != 1 || len(s.Filters[1].Rules) != 2 || len(s.Skipped) != 1 {
		t.Errorf("filters %+v, skipped %v", s.Filters, s.Skipped)
	}
	var ev cloudtrail.Event
	ev.Reset([]byte(`{"eventName":"A","user":"Ann"}`))
	ex, err := matcher.Explain(s.Rules[0], &ev)
	if err != nil || ex.Held || !strings.Contains(ex.Parts[1].Text, "filter Not Ann") || ex.Parts[1].Held {
		t.Errorf("explained as %+v, %v", ex, err)
	}
}

func TestAggregations(t *testing.T) {
	tests := []struct {
		aggregation string
		want        matcher.Threshold
	}{
		{"count() > 5", matcher.Threshold{Count: 6}},
		{"count() by a >= 5", matcher.Threshold{Count: 5, GroupBy: []cloudtrail.Path{{"a"}}}},
		{"count(x.y) by a, b.c>1", matcher.Threshold{Count: 2, Distinct: cloudtrail.Path{"x", "y"}, GroupBy: []cloudtrail.Path{{"a"}, {"b", "c"}}}},
	}
	for _, tt := range tests {
		s := mustParse(t, ruleOf("s: {eventName: A}\ntimeframe: 5m\ncondition: s | "+tt.aggregation))
		tt.want.Window = 5 * time.Minute
		if diff := cmp.Diff(&tt.want, s.Rules[0].Threshold); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.aggregation, diff)
		}
	}
	m := compile(t, mustParse(t, ruleOf("s: {eventName: A}\ntimeframe: 5m\ncondition: s | count() by a > 5")).Rules)
	if len(matches(t, m, `{"eventName":"A"}`)) != 0 || len(matches(t, m, `{"eventName":"A","a":1}`)) != 1 {
		t.Error("an event without the group's field must not count")
	}
}

func TestHeader(t *testing.T) {
	s := mustParse(t, `title: T
description: What it is.
author: Ann, Bob
license: DRL-1.1
references: [https://a.example]
tags: [attack.t1, cve.2026-1]
level: informational
falsepositives: [None, Robots]
logsource: {product: aws, service: cloudtrail}
detection: {s: {a: 1}, condition: s}
---
title: U
logsource: {product: AWS, service: CloudTrail, definition: x}
detection: {s: {a: 1}, condition: s}
custom: {any: thing}
`)
	want := []*matcher.Rule{
		{
			ID: "test", Title: "T", Severity: matcher.Info, Enabled: true, Save: true, Language: "sigma",
			Description: "What it is.\n\nFalse positives: None; Robots\n\nAuthor: Ann, Bob\n\nLicense: DRL-1.1",
			References:  []string{"https://a.example"}, Tags: []string{"attack.t1", "cve.2026-1"},
			Pos: matcher.Pos{File: "test.yml", Line: 1, Col: 1},
		},
		{
			ID: "test-2", Title: "U", Severity: matcher.Medium, Enabled: true, Save: true, Language: "sigma",
			Pos: matcher.Pos{File: "test.yml", Line: 12, Col: 1},
		},
	}
	if diff := cmp.Diff(want, s.Rules, cmpopts.IgnoreFields(matcher.Rule{}, "Cond", "Source"), cmpopts.IgnoreUnexported(matcher.Rule{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIsSigma(t *testing.T) {
	for src, want := range map[string]bool{
		selecting("a: x"): true, "correlation: {}": true, "title: x\nfilter: {}": true, "detection: {}": true,
		"rules: []": false, "suppress: []": false, "- detection": false, "x": false, "": false, "a: b: c": false,
		"rules: []\n---\n" + selecting("a: x"): true, "{match: {}, detection: {}}": false,
	} {
		if got := Recognize([]byte(src)); got != want {
			t.Errorf("%q: %t", src, got)
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte("detection: {}"), &doc); err != nil || !IsSigma(&doc) || IsSigma(nil) {
		t.Errorf("a document node: %v", err)
	}
}

func TestExplain(t *testing.T) {
	s := mustParse(t, ruleOf("selection: {eventName|startswith: [Put, Del], a: null}\nfilter: {user: ann}\ncondition: selection and not filter"))
	var ev cloudtrail.Event
	ev.Reset([]byte(`{"eventName":"PutX","user":"ann"}`))
	ex, err := matcher.Explain(s.Rules[0], &ev)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	var walk func(ex matcher.Explanation)
	walk = func(ex matcher.Explanation) {
		mark := "-"
		if ex.Held {
			mark = "+"
		}
		lines = append(lines, strings.TrimSpace(mark+" "+ex.Pos.String()+" "+ex.Text+" "+strings.Join(ex.Seen, " ")))
		for _, p := range ex.Parts {
			walk(p)
		}
	}
	walk(ex)
	want := []string{
		`- test.yml:7:14 selection and not filter`,
		`+ test.yml:5:3 selection`,
		`+ test.yml:5:15 eventName|startswith: "Put", "Del" "PutX"`,
		`+ test.yml:5:49 a: null`,
		`- test.yml:7:28 not filter`,
		`+ test.yml:6:3 filter`,
		`+ test.yml:6:12 user: "ann" "ann"`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestIndexed: rules in all the ways of saying an event's name are not
// candidates for other names.
func TestIndexed(t *testing.T) {
	for _, selection := range []string{
		"eventName: putX", "eventName: [PutX, putY]", "eventName|startswith: put", "eventName: 'Put*'", "eventName|re: '^Put(X|Y)$'",
		"eventName|re|i: '^put[xy]?$'", "eventName|contains|all: [put, x]", "eventName|contains|windash: 'put'", "- eventName: putx\n- eventName|endswith: utx",
		"eventName|cased|startswith: Put", "'eventName|fieldref': name",
	} {
		m := compile(t, mustParse(t, selecting(selection)).Rules)
		var ev cloudtrail.Event
		ev.Reset([]byte(`{"eventName":"PutX","name":"putx"}`))
		if hits, candidate, err := m.Match(nil, &ev); err != nil || !candidate || len(hits) != 1 {
			t.Errorf("%s does not hold: %v", selection, err)
		}
		ev.Reset([]byte(`{"eventName":"GetX"}`))
		if _, candidate, err := m.Match(nil, &ev); err != nil || candidate {
			t.Errorf("%s: another event is a candidate", selection)
		}
	}
}
