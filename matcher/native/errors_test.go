package native

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// ruleWith returns a rule file whose rule has the lines of body (its first is
// line 5 of the file, indented by 4).
func ruleWith(body string) string {
	return "rules:\n  - id: a\n    title: A\n    severity: low\n    " +
		strings.ReplaceAll(strings.TrimSuffix(body, "\n"), "\n", "\n    ") + "\n"
}

// matching returns a rule file with the match map of body on line 6, column 7.
func matching(body string) string {
	return ruleWith("match:\n  " + strings.ReplaceAll(body, "\n", "\n  "))
}

func TestInvalidRules(t *testing.T) {
	wide := make([]string, MaxKeys+1)
	for i := range wide {
		wide[i] = fmt.Sprintf("k%d: 1", i)
	}
	deep := strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1)
	ok := "match: {eventName: X}\n"
	tests := []struct {
		name, src string
		want      []string // each problem, in order
	}{
		{"syntax", "rules:\n  - id: [\n", []string{`f.yaml:2:1: not YAML: did not find expected node content`}},
		{"not a map", "- id: a\n", []string{`f.yaml:1:1: a rule file must be a map, not a list`}},
		{"file key", "rule: []\n", []string{`f.yaml:1:1: unknown key "rule", did you mean "rules"?`}},
		{"rule at the top", "id: a\n", []string{`f.yaml:1:1: unknown key "id" at the top of a file: a rule is an item of the list "rules"`}},
		{"rules no list", "rules: {}\n", []string{`f.yaml:1:8: rules must be a list, not a map`}},
		{"rule no map", "rules: [x]\n", []string{`f.yaml:1:9: a rule must be a map, not "x"`}},
		{"alias", "rules:\n  - &x {id: a}\n  - *x\n", []string{`f.yaml:3:5: aliases (*x) are not supported: write the value out`}},
		{"tag", "rules: !!set {}\n", []string{`f.yaml:1:8: tags (!!set) are not supported: quote the value to make it text`}},
		{"merge", "rules:\n  - <<: {a: b}\n", []string{`f.yaml:2:5: merge keys (<<) are not supported: write the keys out`}},
		{"key not text", "rules:\n  - {[a]: b}\n", []string{`f.yaml:2:6: a key must be plain text`}},
		{"duplicate key", ruleWith(ok + "title: B"), []string{`f.yaml:6:5: key "title" is here twice, first on line 3`}},
		{"depth", "rules: " + deep, []string{`f.yaml:1:71: nested deeper than 64 levels`}},

		{"width", "rules: {" + strings.Join(wide, ", ") + "}", []string{`f.yaml:1:8: a map of more than 10000 keys`}},

		{"key near", ruleWith(ok + "severty: low"), []string{`f.yaml:6:5: unknown key "severty", did you mean "severity"?`}},
		{"key far", ruleWith(ok + "zzzzzzzz: low"), []string{`f.yaml:6:5: unknown key "zzzzzzzz", valid are id, title, severity, enabled, description, runbook, references, tags, match, cloudwatch, eventbridge, lucene, threshold, suppress, sinks, save, tests`}},
		{"field as key", ruleWith(ok + "evenName: X"), []string{`f.yaml:6:5: unknown key "evenName", did you mean "eventName" under "match"?`}},
		{"path as key", ruleWith(ok + "userIdentity.type: X"), []string{`f.yaml:6:5: unknown key "userIdentity.type", did you mean "userIdentity.type" under "match"?`}},
		{"condition as key", ruleWith(ok + "anywhere: {a: b}"), []string{`f.yaml:6:5: unknown key "anywhere": it belongs under "match"`}},
		{"missing keys", "rules:\n  - enabled: true\n", []string{
			`f.yaml:2:5: the rule has no id`, `f.yaml:2:5: the rule has no title`, `f.yaml:2:5: the rule has no severity`,
			`f.yaml:2:5: the rule has no condition: it needs match`,
		}},
		{"bad id", "rules:\n  - {id: A b, title: A, severity: low, match: {eventName: X}}\n", []string{`f.yaml:2:10: id "A b" may hold only a-z, 0-9 and -`}},
		{"number as id", "rules:\n  - {id: 7, title: A, severity: low, match: {eventName: X}}\n", []string{`f.yaml:2:10: id must be text, not 7: write "7"`}},
		{"long id", "rules:\n  - {id: " + strings.Repeat("a", 129) + ", title: A, severity: low, match: {eventName: X}}\n", []string{`f.yaml:2:10: id is longer than 128 characters`}},
		{"duplicate id", "rules:\n  - {id: a, title: A, severity: low, match: {eventName: X}}\n  - {id: a, title: A, severity: low, match: {eventName: X}}\n", []string{`f.yaml:3:5: id "a" is taken: first at f.yaml:2:5`}},
		{"empty title", "rules:\n  - {id: a, title: '', severity: low, match: {eventName: X}}\n", []string{`f.yaml:2:20: title is empty`}},
		{"severity", "rules:\n  - {id: a, title: A, severity: hihg, match: {eventName: X}}\n", []string{`f.yaml:2:33: unknown severity "hihg", did you mean "high"?`}},
		{"enabled", ruleWith(ok + "enabled: 1"), []string{`f.yaml:6:14: enabled must be true or false, not 1`}},
		{"tags", ruleWith(ok + "tags: x"), []string{`f.yaml:6:11: tags must be a list, not "x"`}},
		{"empty sinks", ruleWith(ok + "sinks: []"), []string{`f.yaml:6:12: sinks is empty`}},
		{"reference", ruleWith(ok + "references: [1]"), []string{`f.yaml:6:18: an item of references must be text, not 1: write "1"`}},
		{"two conditions", ruleWith(ok + "lucene: 'a:b'"), []string{`f.yaml:6:5: lucene beside match: a rule has one condition`}},
		{"other language", ruleWith("lucene: 'a:b'"), []string{`f.yaml:5:5: conditions in the language "lucene" cannot be read here; available are match`}},

		{"match no map", ruleWith("match: X"), []string{`f.yaml:5:12: match must be a map, not "X"`}},
		{"empty match", ruleWith("match: {}"), []string{`f.yaml:5:12: match is empty`}},
		{"empty any", matching("any: []"), []string{`f.yaml:6:12: any is empty`}},
		{"any no list", matching("any: {eventName: X}"), []string{`f.yaml:6:12: any must be a list, not a map`}},
		{"empty item", matching("any: [{}]"), []string{`f.yaml:6:13: an item of any is empty`}},
		{"not", matching("not: X"), []string{`f.yaml:6:12: not must be a map, not "X"`}},
		{"empty part of a path", matching("a..b: X"), []string{`f.yaml:6:7: path "a..b" has an empty part`}},
		{"backslash", matching(`eventName\: X`), []string{`f.yaml:6:7: path "eventName\\" ends with a backslash`}},
		{"brackets", matching("resources[0].ARN: X"), []string{`f.yaml:6:7: path "resources[0].ARN" has '[': arrays are gone through by themselves, name the keys only (or write \[ for that character)`}},
		{"dollar", matching("$.eventName: X"), []string{`f.yaml:6:7: path "$.eventName": write it without "$.", paths begin at the event itself`}},
		{"detail", matching("detail.eventName: X"), []string{`f.yaml:6:7: path "detail.eventName": write it without "detail.", paths begin at the event itself`}},
		{"empty list", matching("eventName: []"), []string{`f.yaml:6:18: eventName is empty`}},
		{"list in list", matching("eventName: [[X]]"), []string{`f.yaml:6:19: eventName: a list inside a list has no meaning`}},
		{"no value", matching("eventName:"), []string{`f.yaml:6:17: eventName has no value: write null for JSON null, or {exists: false}`}},
		{"account number", matching("recipientAccountId: 123456789012"), []string{`f.yaml:6:27: recipientAccountId is always a string in CloudTrail, 123456789012 never equals it: write "123456789012"`}},
		{"account number with a leading zero", matching("userIdentity.accountId: [012345678901]"), []string{`f.yaml:6:32: userIdentity.accountId is always a string in CloudTrail, 012345678901 never equals it: write "012345678901"`}},
		{"octal account number", matching("userIdentity.accountId: {not: 012345670123}"), []string{`f.yaml:6:37: userIdentity.accountId is always a string in CloudTrail, 012345670123 never equals it: write "012345670123"`}},
		{"leading zero elsewhere", matching("requestParameters.id: 012345678901"), []string{`f.yaml:6:29: requestParameters.id: 012345678901 is no JSON number: write "012345678901" for text`}},
		{"hexadecimal", matching("requestParameters.id: 0x1F"), []string{`f.yaml:6:29: requestParameters.id: 0x1F is no JSON number: write "0x1F" for text`}},
		{"infinity", matching("requestParameters.id: .inf"), []string{`f.yaml:6:29: requestParameters.id: .inf is no JSON number: write ".inf" for text`}},
		{"boolean for a string", matching("userIdentity.sessionContext.attributes.mfaAuthenticated: true"), []string{`f.yaml:6:64: userIdentity.sessionContext.attributes.mfaAuthenticated is always a string in CloudTrail, true never equals it: write "true"`}},
		{"version", matching("eventVersion: 1.08"), []string{`f.yaml:6:21: eventVersion is always a string in CloudTrail, 1.08 never equals it: write "1.08"`}},
		{"string field in same_element", matching("same_element: {path: resources, match: {accountId: 123456789012}}"), []string{`f.yaml:6:58: accountId is always a string in CloudTrail, 123456789012 never equals it: write "123456789012"`}},
		{"operator near", matching("eventName: {prefx: X}"), []string{`f.yaml:6:19: unknown operator "prefx", did you mean "prefix"?`}},
		{"operator far", matching("userIdentity: {type: Root}"), []string{`f.yaml:6:22: unknown operator "type"; for a field inside write the path "userIdentity.type"; valid are ` + strings.Join(operatorKeys, ", ")}},
		{"no operator", matching("eventName: {}"), []string{`f.yaml:6:18: eventName: the map of operators is empty`}},
		{"number for text", matching("eventName: {prefix: 5}"), []string{`f.yaml:6:27: prefix compares text, not 5: write "5"`}},
		{"empty text", matching("eventName: {contains: ''}"), []string{`f.yaml:6:29: contains with an empty text holds for every string: leave it out`}},
		{"map in equals", matching("eventName: {equals: {a: b}}"), []string{`f.yaml:6:27: equals compares with scalars, not a map`}},
		{"text for lt", matching("requestParameters.n: {lt: '5'}"), []string{`f.yaml:6:33: lt compares with a number, not "5"`}},
		{"lt on text", matching("eventTime: {lt: 5}"), []string{`f.yaml:6:19: eventTime is always a string in CloudTrail: lt compares numbers`}},
		{"exists", matching("eventName: {exists: yes}"), []string{`f.yaml:6:27: exists must be true or false, not "yes"`}},
		{"ignore_case alone", matching("requestParameters.n: {lt: 5, ignore_case: true}"), []string{`f.yaml:6:36: ignore_case needs an operator on text beside it: equals, in, not, prefix, suffix, contains, wildcard, regex, each, all_of`}},
		{"regex", matching("eventName: {regex: 'a('}"), []string{"f.yaml:6:26: regex: missing closing ): `a(`"}},
		{"look-ahead", matching("eventName: {regex: '(?=a)'}"), []string{`f.yaml:6:26: regex: look-ahead (?=…) is not available: expressions are RE2`}},
		{"negative look-ahead", matching("eventName: {regex: 'b(?!a)'}"), []string{`f.yaml:6:26: regex: negative look-ahead (?!…) is not available: expressions are RE2`}},
		{"look-behind", matching("eventName: {regex: '(?<=a)b'}"), []string{`f.yaml:6:26: regex: look-behind (?<=…) is not available: expressions are RE2`}},
		{"negative look-behind", matching("eventName: {regex: '(?<!a)b'}"), []string{`f.yaml:6:26: regex: negative look-behind (?<!…) is not available: expressions are RE2`}},
		{"back-reference", matching("eventName: {regex: '(a)\\1'}"), []string{`f.yaml:6:26: regex: back-reference \1 is not available: expressions are RE2`}},
		{"cidr", matching("sourceIPAddress: {cidr: 10.0.0.0/33}"), []string{`f.yaml:6:31: cidr: "10.0.0.0/33" is no address range such as 203.0.113.0/24 or 2001:db8::/32`}},
		{"cidr without length", matching("sourceIPAddress: {cidr: [10.0.0.1]}"), []string{`f.yaml:6:32: cidr: "10.0.0.1" has no prefix length: write "10.0.0.1/32" for that address alone`}},
		{"country", matching("sourceIPAddress: {country: [DE, Germany]}"), []string{`f.yaml:6:34: country: "Germany" is no ISO 3166 code of two letters, such as DE`}},
		{"exists in each", matching("requestParameters.a: {each: {exists: true}}"), []string{`f.yaml:6:36: exists cannot stand in each: it is about the whole field`}},
		{"all_of", matching("requestParameters.a: {all_of: x}"), []string{`f.yaml:6:37: all_of must be a list, not "x"`}},
		{"response", matching("response: failed"), []string{`f.yaml:6:17: unknown response "failed", did you mean "failure"?`}},
		{"response inside", matching("requestParameters.p: {json: {response: failure}}"), []string{`f.yaml:6:36: response is about the whole event: it cannot stand in same_element or json`}},
		{"anywhere path", matching("anywhere: {a.b: c}"), []string{`f.yaml:6:18: anywhere looks for one key, not a path: write "b"`}},
		{"anywhere empty", matching("anywhere: {}"), []string{`f.yaml:6:17: anywhere is empty`}},
		{"json anywhere", matching("anywhere: {a: {json: {b: c}}}"), []string{`f.yaml:6:22: json cannot stand in anywhere: name the path of the text`}},
		{"each anywhere", matching("anywhere: {a: {each: c}}"), []string{`f.yaml:6:22: each cannot stand in anywhere: name the path of the array`}},
		{"same_element", matching("same_element: {pth: a}"), []string{
			`f.yaml:6:22: unknown key "pth" in same_element, did you mean "path"?`, `f.yaml:6:21: same_element needs a path`, `f.yaml:6:21: same_element needs a match`,
		}},

		{"no kind of threshold", ruleWith(ok + "threshold: {window: 1m}"), []string{`f.yaml:6:16: a threshold needs one of count, distinct, absent_for`}},
		{"two kinds of threshold", ruleWith(ok + "threshold: {count: 1, window: 1m, distinct: {field: eventName, count: 2}}"), []string{`f.yaml:6:39: distinct beside count: a threshold has one of count, distinct, absent_for`}},
		{"window beside absent_for", ruleWith(ok + "threshold: {absent_for: 5m, window: 1m}"), []string{`f.yaml:6:33: window beside absent_for: absent_for is the time itself`}},
		{"no window", ruleWith(ok + "threshold: {count: 5}"), []string{`f.yaml:6:17: count needs a window`}},
		{"count 0", ruleWith(ok + "threshold: {count: 0, window: 1m}"), []string{`f.yaml:6:24: count must be a whole number from 1 to 65536, not 0`}},
		{"distinct", ruleWith(ok + "threshold: {distinct: {}, window: 1m}"), []string{`f.yaml:6:27: distinct needs a field`, `f.yaml:6:27: distinct needs a count`}},
		{"distinct key", ruleWith(ok + "threshold: {distinct: {feld: a, field: eventName, count: 1}, window: 1m}"), []string{`f.yaml:6:28: unknown key "feld" in distinct, did you mean "field"?`}},
		{"threshold key", ruleWith(ok + "threshold: {count: 1, windw: 1m, window: 1m}"), []string{`f.yaml:6:27: unknown key "windw" in threshold, did you mean "window"?`}},
		{"compat", ruleWith(ok + "threshold: {count: 1, window: 1m, compat: cloudwach}"), []string{`f.yaml:6:47: compat must be cloudwatch, not "cloudwach"`}},
		{"no compat", ruleWith(ok + "threshold: {count: 1, window: 1m, periods: 3}"), []string{`f.yaml:6:39: periods belongs to compat: cloudwatch`}},
		{"compat compare", ruleWith(ok + "threshold: {count: 1, window: 1m, compat: cloudwatch, compare: <=}"), []string{`f.yaml:6:68: compare must be ">=" or "<", not "<=": more than n is at least n+1, at most n is less than n+1`}},
		{"compat periods", ruleWith(ok + "threshold: {count: 1, window: 1m, compat: cloudwatch, periods: 0}"), []string{`f.yaml:6:68: periods must be a whole number from 1 to 65536, not 0`}},
		{"compat datapoints", ruleWith(ok + "threshold: {count: 1, window: 1m, compat: cloudwatch, periods: 2, datapoints: 3}"), []string{`f.yaml:6:71: datapoints: 3 of 2 periods`}},
		{"compat missing", ruleWith(ok + "threshold: {count: 1, window: 1m, compat: cloudwatch, missing: notbreaching}"), []string{`f.yaml:6:68: missing: unknown "notbreaching", did you mean "notBreaching"?`}},
		{"compat distinct", ruleWith(ok + "threshold: {distinct: {field: eventName, count: 2}, window: 1m, compat: cloudwatch}"), []string{`f.yaml:6:17: distinct beside compat: cloudwatch, which counts matches`}},
		{"compat key", ruleWith(ok + "threshold: {count: 1, window: 1m, compat: cloudwatch, datapoint: 3}"), []string{`f.yaml:6:59: unknown key "datapoint" in threshold, did you mean "datapoints"?`}},
		{"compat window", ruleWith(ok + "threshold: {count: 1, compat: cloudwatch}"), []string{`f.yaml:6:17: count needs a window`}},
		{"compat count", ruleWith(ok + "threshold: {count: 65537, window: 1m, compat: cloudwatch}"), []string{`f.yaml:6:24: count must be a whole number from 1 to 65536, not 65537`}},
		{"compat many periods", ruleWith(ok + "threshold: {count: 1, window: 1s, compat: cloudwatch, periods: 10081}"), []string{`f.yaml:6:59: periods must be at most 10080`}},
		{"compat long", ruleWith(ok + "threshold: {count: 1, window: 1d, compat: cloudwatch, periods: 32}"), []string{`f.yaml:6:59: 32 periods of 24h0m0s are longer than 31 days`}},
		{"compat without count", ruleWith(ok + "threshold: {window: 1m, compat: cloudwatch}"), []string{`f.yaml:6:16: a threshold needs one of count, distinct, absent_for`}},
		{"duration without unit", ruleWith(ok + "threshold: {count: 1, window: 60}"), []string{`f.yaml:6:35: window: 60 has no unit: write 60s for seconds`}},
		{"no duration", ruleWith(ok + "threshold: {count: 1, window: soon}"), []string{`f.yaml:6:35: window: "soon" is no duration: write it as 90s, 5m, 1h30m or 2d`}},
		{"duration 0", ruleWith(ok + "threshold: {count: 1, window: 0s}"), []string{`f.yaml:6:35: window must be more than 0`}},
		{"negative duration", ruleWith(ok + "threshold: {count: 1, window: -5m}"), []string{`f.yaml:6:35: window must be more than 0`}},
		{"long duration", ruleWith(ok + "threshold: {count: 1, window: 32d}"), []string{`f.yaml:6:35: window must be at most 31d`}},
		{"overlong duration", ruleWith(ok + "threshold: {count: 1, window: 106751d2562047h}"), []string{`f.yaml:6:35: window must be at most 31d`}},
		{"list as duration", ruleWith(ok + "threshold: {count: 1, window: []}"), []string{`f.yaml:6:35: window must be a duration such as 90s, 5m, 12h or 2d, not a list`}},
		{"group_by twice", ruleWith(ok + "threshold: {count: 1, window: 1m, group_by: [awsRegion, awsRegion]}"), []string{`f.yaml:6:61: group_by names "awsRegion" twice`}},
		{"group_by path", ruleWith(ok + "threshold: {count: 1, window: 1m, group_by: ['a..b']}"), []string{`f.yaml:6:50: path "a..b" has an empty part`}},
		{"group_by empty", ruleWith(ok + "threshold: {count: 1, window: 1m, group_by: []}"), []string{`f.yaml:6:49: group_by is empty`}},

		{"suppress no list", ruleWith(ok + "suppress: {}"), []string{`f.yaml:6:15: suppress must be a list, not a map`}},
		{"suppress", ruleWith(ok + "suppress: [{}]"), []string{`f.yaml:6:16: a suppression needs when`, `f.yaml:6:16: a suppression needs a reason`}},
		{"suppress key", ruleWith(ok + "suppress: [{when: {eventName: X}, reason: r, expire: 2027-01-01}]"), []string{`f.yaml:6:50: unknown key "expire" in a suppression, did you mean "expires"?`}},
		{"suppress date", ruleWith(ok + "suppress: [{when: {eventName: X}, reason: r, expires: 2027-02-30}]"), []string{`f.yaml:6:59: expires: "2027-02-30" is no date: write it as 2027-06-30`}},
		{"suppress rules", ruleWith(ok + "suppress: [{when: {eventName: X}, reason: r, rules: a}]"), []string{`f.yaml:6:50: rules is for the suppressions at the top of a file: this one is its rule's own`}},
		{"global rules", "suppress: [{when: {eventName: X}, reason: r, rules: ['A*']}]\n", []string{`f.yaml:1:54: rules: "A*" may hold only a-z, 0-9, - and the wildcard *`}},

		{"test", ruleWith(ok + "tests: [{}]"), []string{`f.yaml:6:13: a test needs a name`, `f.yaml:6:13: a test needs match: true or false`, `f.yaml:6:13: a test needs an event`}},
		{"tests no list", ruleWith(ok + "tests: {}"), []string{`f.yaml:6:12: tests must be a list, not a map`}},
		{"test key", ruleWith(ok + "tests: [{nam: x, name: n, event: {}, match: true}]"), []string{`f.yaml:6:14: unknown key "nam" in a test, did you mean "name"?`}},
		{"two events", ruleWith(ok + "tests: [{name: n, event: {}, event_json: '{}', match: true}]"), []string{`f.yaml:6:34: event_json beside event: a test has one event`}},
		{"event no map", ruleWith(ok + "tests: [{name: n, event: x, match: true}]"), []string{`f.yaml:6:30: event must be a map, not "x"`}},
		{"event_json", ruleWith(ok + "tests: [{name: n, event_json: '[]', match: true}]"), []string{`f.yaml:6:35: event_json is not a JSON object`}},
		{"event number", ruleWith(ok + "tests: [{name: n, event: {recipientAccountId: 1}, match: true}]"), []string{`f.yaml:6:51: recipientAccountId is always a string in CloudTrail, 1 never equals it: write "1"`}},
		{"event path", ruleWith(ok + "tests: [{name: n, event: {userIdentity.type: Root}, match: true}]"), []string{`f.yaml:6:31: event: "userIdentity.type" is one key here, not a path: write maps inside maps`}},
		{"suppressed", ruleWith(ok + "tests: [{name: n, event: {}, match: false, suppressed: true}]"), []string{`f.yaml:6:48: suppressed is about an event that matches: it cannot stand beside match: false`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules, _, err := Parse("f.yaml", []byte(tt.src))
			if err == nil {
				t.Fatalf("no error, %d rules", len(rules))
			}
			if got, want := err.Error(), strings.Join(tt.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			var e *Error
			if !errors.As(err, &e) || e.Pos.File != "f.yaml" {
				t.Errorf("the error holds no *Error of the file: %#v", err)
			}
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	_, _, err := Parse("f.yaml", []byte("rules: ["+strings.Repeat("x, ", 1000)+"]"))
	if got := len(strings.Split(err.Error(), "\n")); got != maxProblems+1 {
		t.Errorf("%d problems, want %d", got, maxProblems+1)
	}
	if !strings.HasSuffix(err.Error(), "too many problems: the rest of the file is not reported") {
		t.Errorf("the cut is not told: %v", err)
	}
}

func TestFileSizeIsBounded(t *testing.T) {
	_, _, err := Parse("f.yaml", make([]byte, MaxFileSize+1))
	if err == nil || err.Error() != "f.yaml:1:1: larger than 16 MiB" {
		t.Errorf("got %v", err)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"unknown field", "evenName: X", `f.yaml:6:7: CloudTrail records have no field "evenName" at their top, did you mean "eventName"?`},
		{"strange field", "zzzzzzzzzz: X", `f.yaml:6:7: CloudTrail records have no field "zzzzzzzzzz" at their top`},
		{"null", "errorCode: null", `f.yaml:6:18: errorCode is left out by CloudTrail and never null, so that this never holds: write {exists: false}`},
		{"host bits", "sourceIPAddress: {cidr: 10.1.2.3/8}", `f.yaml:6:31: cidr: 10.1.2.3/8 has bits set beyond its prefix length and is read as 10.0.0.0/8`},
		{"contradiction", "errorCode: {exists: false, prefix: A}", `f.yaml:6:19: errorCode: an operator beside exists: false never holds`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Loader{}.Parse("f.yaml", []byte(matching(tt.body)))
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Warnings) != 1 || s.Warnings[0].String() != tt.want || s.Warnings[0].Rule != "a" {
				t.Errorf("got %+v, want %s of rule a", s.Warnings, tt.want)
			}
		})
	}
}
