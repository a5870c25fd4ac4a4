package eventbridge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

const ruleHead = "rules:\n  - id: r\n    title: R\n    severity: low\n    eventbridge:"

func load(src string) (*native.Set, []Warning, error) {
	var warnings []Warning
	l := native.Loader{Languages: map[string]native.Language{
		"eventbridge": Language(Options{}, func(w Warning) { warnings = append(warnings, w) }),
	}}
	s, err := l.Parse("f.yaml", []byte(src))
	return s, warnings, err
}

// TestInline: a pattern stands in a native rule as a YAML map or as JSON text,
// and means the same.
func TestInline(t *testing.T) {
	forms := []string{
		"\n      source: [aws.ec2]\n      detail: {eventName: [RunInstances, {prefix: Stop}], recipientAccountId: ['111122223333'], managementEvent: [{exists: false}, true], x: [{exists: false}, 1.0, null, 2026-01-02]}\n",
		" '{\"source\": [\"aws.ec2\"], \"detail\": {\"eventName\": [\"RunInstances\", {\"prefix\": \"Stop\"}], \"recipientAccountId\": [\"111122223333\"], \"managementEvent\": [{\"exists\": false}, true], \"x\": [{\"exists\": false}, 1.0, null, \"2026-01-02\"]}}'\n",
	}
	var hashes []uint64
	for _, form := range forms {
		s, warnings, err := load(ruleHead + form)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v %v", err, warnings)
		}
		rs, err := matcher.Compile(s.Rules, matcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, rs.Rule("r").Hash)
		if c := compileNode(t, s.Rules[0].Cond); !c.match(t, runInstances) || c.match(t, consoleLogin) {
			t.Errorf("wrong verdicts:%s", form)
		}
	}
	if hashes[0] != hashes[1] {
		t.Errorf("the forms differ: %v", hashes)
	}
}

func TestInlineErrors(t *testing.T) {
	for form, want := range map[string]string{
		" {detail: {eventName: X}}":            `f.yaml:5:39: "eventName" must be an object or an array of values, not a string: write ["X"]`,
		" {detail: {eventName: [{prefx: X}]}}": `f.yaml:5:41: unknown operator "prefx" in a match expression: did you mean "prefix"?`,
		" {detail: {a: [0x10]}}":               `f.yaml:5:32: 0x10 is no JSON number: write "0x10" for text`,
		" 7":                                   `f.yaml:5:18: an event pattern must be a map, or its JSON text, not 7`,
		" |\n      {\"detail\":\n        {\"eventName\": []}}": `f.yaml:5:18: line 2, column 17 of the pattern: an empty array is not allowed`,
		" '{\"a\": [1}'":             `f.yaml:5:18: line 1, column 9 of the pattern: not JSON: invalid character '}'`,
		" '{\"a\": [{\"foo\": 1}]}'": `f.yaml:5:18: line 1, column 9 of the pattern: unknown operator "foo"`,
	} {
		_, _, err := load(ruleHead + form + "\n")
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", form, err, want)
		}
	}
	_, warnings, err := load(ruleHead + "\n      id: [x]\n      detail: {a: [1]}\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("f.yaml:6:7: EventBridge gives each event an id of its own, which a CloudTrail record does not hold: it is compared with eventID", warnings[0].String()); diff != "" {
		t.Error(diff)
	}
}

func TestReadRules(t *testing.T) {
	const described = `{
  "Name": "RootLogin_alarm",
  "Arn": "arn:aws:events:us-east-1:111122223333:rule/RootLogin_alarm",
  "EventPattern": "{\"detail-type\":[\"AWS Console Sign In via CloudTrail\"],\"detail\":{\"userIdentity\":{\"type\":[\"Root\"]}}}",
  "State": "DISABLED",
  "Description": "Somebody signed in as root\nSecond line",
  "EventBusName": "default"
}`
	rules, left, err := ReadRules("rule.json", []byte(described), "rule")
	if err != nil || len(left) > 0 {
		t.Fatal(err, left)
	}
	want := []Rule{{
		ID: "root-login-alarm", Name: "RootLogin_alarm", Title: "Somebody signed in as root", Description: "Somebody signed in as root\nSecond line",
		Pattern: `{"detail-type":["AWS Console Sign In via CloudTrail"],"detail":{"userIdentity":{"type":["Root"]}}}`,
	}}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Error(diff)
	}

	const listed = `{"Rules": [
  {"Name": "nightly", "ScheduleExpression": "rate(1 day)", "State": "ENABLED"},
  {"Name": "x", "State": "ENABLED", "EventPattern": "{\"source\":[\"aws.ec2\"]}"}]}`
	rules, left, err = ReadRules("rules.json", []byte(listed), "rules")
	if err != nil || len(rules) != 1 || !rules[0].Enabled || rules[0].Title != "x" || len(rules[0].Warnings) != 1 {
		t.Errorf("%v %+v", err, rules)
	}
	if len(left) != 1 || left[0].String() != `rules.json:2:3: rule "nightly" has no event pattern (rate(1 day)): left out` {
		t.Errorf("%v", left)
	}

	rules, _, err = ReadRules("my pattern.json", []byte(`{"Name": ["x"], "eventName": ["X"]}`), "my pattern")
	if diff := cmp.Diff([]Rule{{ID: "my-pattern", Title: "my pattern", Enabled: true, Pattern: `{"Name": ["x"], "eventName": ["X"]}`}}, rules); diff != "" || err != nil {
		t.Error(err, diff)
	}

	for src, want := range map[string]string{
		`[]`:                               `r.json:1:1: an EventBridge rule or an event pattern is expected, not an array`,
		`{"Name": "x", "EventPattern": 1}`: `r.json:1:31: EventPattern must be a string of JSON text, not a number`,
		`{"Name": "x", "EventPattern": "{\"a\": []}"}`: `r.json:1:31: line 1, column 7 of the pattern: an empty array is not allowed`,
		`{"a": 1}`: `r.json:1:7: "a" must be an object or an array of values`,
	} {
		if _, _, err := ReadRules("r.json", []byte(src), "r"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
	}
}
