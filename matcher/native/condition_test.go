package native

import (
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// TestConditions says what conditions mean: each against events that it holds
// for and events that it does not.
func TestConditions(t *testing.T) {
	tests := []struct {
		name, cond string
		yes, no    []string
	}{
		{"equals", "eventName: X", []string{`{"eventName":"X"}`, `{"eventName":["Y","X"]}`}, []string{`{}`, `{"eventName":"x"}`, `{"eventName":null}`, `{"eventName":{"X":"X"}}`, `{"eventName":"XX"}`}},
		{"any of", "eventName: [X, Y]", []string{`{"eventName":"X"}`, `{"eventName":"Y"}`}, []string{`{"eventName":"Z"}`}},
		{"any of, with operators", "eventName: [X, {prefix: Y}]", []string{`{"eventName":"X"}`, `{"eventName":"Yes"}`}, []string{`{"eventName":"Xs"}`}},
		{"in", "eventName: {in: [X, Y]}", []string{`{"eventName":"Y"}`}, []string{`{"eventName":"Z"}`}},
		{"and", "eventName: X\nawsRegion: Y", []string{`{"eventName":"X","awsRegion":"Y"}`}, []string{`{"eventName":"X"}`, `{"awsRegion":"Y"}`}},
		{"numbers", "requestParameters.n: 1.0", []string{`{"requestParameters":{"n":1}}`, `{"requestParameters":{"n":1e0}}`}, []string{`{"requestParameters":{"n":"1"}}`, `{"requestParameters":{"n":true}}`}},
		{"large numbers", "requestParameters.n: 9007199254740993", []string{`{"requestParameters":{"n":9007199254740993}}`}, []string{`{"requestParameters":{"n":9007199254740992}}`}},
		{"text is no number", "requestParameters.n: '1'", []string{`{"requestParameters":{"n":"1"}}`}, []string{`{"requestParameters":{"n":1}}`}},
		{"booleans", "readOnly: true", []string{`{"readOnly":true}`}, []string{`{"readOnly":"true"}`, `{"readOnly":false}`, `{}`}},
		{"null", "responseElements: null", []string{`{"responseElements":null}`}, []string{`{}`, `{"responseElements":{}}`, `{"responseElements":"null"}`}},
		{"date is text", "requestParameters.v: 2012-10-17", []string{`{"requestParameters":{"v":"2012-10-17"}}`}, nil},
		{"exists", "errorCode: {exists: true}", []string{`{"errorCode":"X"}`, `{"errorCode":null}`, `{"errorCode":[]}`, `{"errorCode":{}}`}, []string{`{}`}},
		{"exists not", "errorCode: {exists: false}", []string{`{}`}, []string{`{"errorCode":"X"}`, `{"errorCode":null}`}},
		{"exists in arrays", "resources.ARN: {exists: true}", []string{`{"resources":[{},{"ARN":"x"}]}`}, []string{`{"resources":[]}`, `{"resources":[{}]}`, `{"resources":null}`}},
		{"not", "awsRegion: {not: [a, b]}", []string{`{"awsRegion":"c"}`, `{}`, `{"awsRegion":null}`, `{"awsRegion":["c","d"]}`}, []string{`{"awsRegion":"a"}`, `{"awsRegion":["c","a"]}`}},
		{"not with operators", "awsRegion: {not: {prefix: us-}}", []string{`{"awsRegion":"eu-west-1"}`, `{}`}, []string{`{"awsRegion":"us-east-1"}`}},
		{"not null", "responseElements: {not: null}", []string{`{}`, `{"responseElements":{}}`}, []string{`{"responseElements":null}`}},
		{"double not", "awsRegion: {not: {not: a}}", []string{`{"awsRegion":"a"}`}, []string{`{}`, `{"awsRegion":"b"}`}},
		{"several operators", "requestParameters.n: {gte: 20, lte: 30}", []string{`{"requestParameters":{"n":20}}`, `{"requestParameters":{"n":[1,25]}}`}, []string{`{"requestParameters":{"n":31}}`, `{"requestParameters":{"n":[1,40]}}`, `{"requestParameters":{"n":"25"}}`}},
		{"operators beside not", "requestParameters.n: {prefix: a, not: ab}", []string{`{"requestParameters":{"n":"ac"}}`}, []string{`{"requestParameters":{"n":["ac","ab"]}}`, `{"requestParameters":{}}`}},
		{"prefix", "eventName: {prefix: [Del, Rem]}", []string{`{"eventName":"DeleteX"}`, `{"eventName":"Remove"}`}, []string{`{"eventName":"xDel"}`, `{"eventName":"del"}`}},
		{"suffix", "eventName: {suffix: User}", []string{`{"eventName":"DeleteUser"}`}, []string{`{"eventName":"UserX"}`}},
		{"contains", "eventName: {contains: le}", []string{`{"eventName":"DeleteUser"}`, `{"eventName":"le"}`}, []string{`{"eventName":"LE"}`, `{"eventName":5}`}},
		{"ignore_case", "eventName: {contains: LE, ignore_case: true}", []string{`{"eventName":"deleteUser"}`}, []string{`{"eventName":"l e"}`}},
		{"ignore_case of equals", "eventName: {equals: [ÉX, b], ignore_case: true}", []string{`{"eventName":"éx"}`, `{"eventName":"B"}`}, []string{`{"eventName":"c"}`}},
		{"ignore_case through not", "eventName: {not: {prefix: X}, ignore_case: true}", []string{`{"eventName":"a"}`}, []string{`{"eventName":"xy"}`}},
		{"ignore_case of regex", "eventName: {regex: ^a|b$, ignore_case: true}", []string{`{"eventName":"Ax"}`, `{"eventName":"xB"}`}, []string{`{"eventName":"xAx"}`}},
		{"wildcard", `userAgent: {wildcard: "*cli?\\*"}`, []string{`{"userAgent":"aws-cli/*"}`, `{"userAgent":"cliX*"}`}, []string{`{"userAgent":"aws-cli/x"}`, `{"userAgent":"cli*"}`, `{"userAgent":"aws-cli/*."}`}},
		{"regex", "userAgent: {regex: '(?i)boto'}", []string{`{"userAgent":"x Boto3"}`}, []string{`{"userAgent":"bot"}`}},
		{"cidr", "sourceIPAddress: {cidr: [10.0.0.0/8, '2001:db8::/32']}", []string{`{"sourceIPAddress":"10.9.8.7"}`, `{"sourceIPAddress":"2001:db8::1"}`}, []string{`{"sourceIPAddress":"11.0.0.1"}`, `{"sourceIPAddress":"ec2.amazonaws.com"}`, `{}`}},
		{"cidr not", "sourceIPAddress: {not: {cidr: 10.0.0.0/8}}", []string{`{"sourceIPAddress":"AWS Internal"}`, `{}`}, []string{`{"sourceIPAddress":"10.0.0.1"}`}},
		{"lt", "requestParameters.n: {lt: 5}", []string{`{"requestParameters":{"n":4.999}}`}, []string{`{"requestParameters":{"n":5}}`, `{}`}},
		{"gt any of", "requestParameters.n: {gt: [5, 3]}", []string{`{"requestParameters":{"n":4}}`}, []string{`{"requestParameters":{"n":3}}`}},
		{"array on the way", "requestParameters.a.items.b: X", []string{`{"requestParameters":{"a":{"items":[{"b":"Y"},{"b":["X"]}]}}}`, `{"requestParameters":[{"a":[{"items":{"b":"X"}}]}]}`}, []string{`{"requestParameters":{"a":{"items":[{"c":"X"}]}}}`}},
		{"two conditions on one array", "requestParameters.a.b: X\nrequestParameters.a.c: Y", []string{`{"requestParameters":{"a":[{"b":"X"},{"c":"Y"}]}}`}, []string{`{"requestParameters":{"a":[{"b":"X"}]}}`}},
		{"same_element", "same_element: {path: requestParameters.a, match: {b: X, c.d: Y}}", []string{`{"requestParameters":{"a":[{"b":"X","c":{"d":"Y"}}]}}`, `{"requestParameters":{"a":{"b":"X","c":[{"d":"Y"}]}}}`}, []string{`{"requestParameters":{"a":[{"b":"X"},{"c":{"d":"Y"}}]}}`, `{}`}},
		{"several same_element", "same_element: [{path: resources, match: {a: X}}, {path: resources, match: {a: Y}}]", []string{`{"resources":[{"a":"X"},{"a":"Y"}]}`}, []string{`{"resources":[{"a":"X"}]}`}},
		{"same_element in same_element", "same_element: {path: requestParameters.a, match: {b: X, same_element: {path: c, match: {d: Y, e: Z}}}}", []string{`{"requestParameters":{"a":[{"b":"X","c":[{"d":"Y","e":"Z"}]}]}}`}, []string{`{"requestParameters":{"a":[{"b":"X","c":[{"d":"Y"},{"e":"Z"}]}]}}`}},
		{"each", "requestParameters.a: {each: {prefix: x}}", []string{`{"requestParameters":{"a":["x","xy"]}}`, `{"requestParameters":{"a":"x"}}`}, []string{`{"requestParameters":{"a":["x","y"]}}`, `{"requestParameters":{"a":[]}}`, `{"requestParameters":{}}`}},
		{"each through arrays", "requestParameters.a.b: {each: {not: x}}", []string{`{"requestParameters":{"a":[{"b":"y"},{"b":"z"}]}}`}, []string{`{"requestParameters":{"a":[{"b":"y"},{"b":"x"}]}}`, `{"requestParameters":{"a":[{"b":"y"},{}]}}`}},
		{"each of values", "requestParameters.a: {each: [x, y]}", []string{`{"requestParameters":{"a":["x","y","x"]}}`}, []string{`{"requestParameters":{"a":["x","z"]}}`}},
		{"all_of", "requestParameters.a: {all_of: [x, {prefix: y}]}", []string{`{"requestParameters":{"a":["x","yy","z"]}}`}, []string{`{"requestParameters":{"a":["x"]}}`, `{"requestParameters":{"a":[]}}`}},
		{"any", "any: [{eventName: X}, {awsRegion: Y}]", []string{`{"eventName":"X"}`, `{"awsRegion":"Y"}`}, []string{`{}`}},
		{"all", "all: [{eventName: X}, {awsRegion: Y}]", []string{`{"eventName":"X","awsRegion":"Y"}`}, []string{`{"eventName":"X"}`}},
		{"not of a condition", "not: {eventName: X, awsRegion: Y}", []string{`{}`, `{"eventName":"X"}`}, []string{`{"eventName":"X","awsRegion":"Y"}`}},
		{"not of conditions", "not: [{eventName: X}, {awsRegion: Y}]", []string{`{}`}, []string{`{"eventName":"X"}`, `{"awsRegion":"Y"}`}},
		{"anywhere", "anywhere: {publiclyAccessible: true}", []string{`{"requestParameters":{"a":[{"publiclyAccessible":true}]}}`, `{"publiclyAccessible":true}`}, []string{`{"publiclyAccessible":"true"}`, `{}`}},
		{"anywhere with operators", "anywhere: {a: {prefix: x, not: xy}}", []string{`{"b":{"a":"xz"}}`}, []string{`{"b":{"a":"xz"},"a":"xy"}`}},
		{"anywhere exists not", "anywhere: {a: {exists: false}}", []string{`{"b":"a"}`}, []string{`{"b":{"a":null}}`}},
		{"json", `requestParameters.p: {json: {Statement.Principal: "*"}}`, []string{`{"requestParameters":{"p":"{\"Statement\":[{\"Principal\":\"*\"}]}"}}`, `{"requestParameters":{"p":"%7B%22Statement%22%3A%7B%22Principal%22%3A%22%2A%22%7D%7D"}}`, `{"requestParameters":{"p":{"Statement":{"Principal":"*"}}}}`}, []string{`{"requestParameters":{"p":"{\"Statement\":[]}"}}`, `{"requestParameters":{"p":"*"}}`, `{}`}},
		{"json, same_element inside", `requestParameters.p: {json: {same_element: {path: Statement, match: {Effect: Allow, anywhere: {AWS: "*"}}}}}`, []string{`{"requestParameters":{"p":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"}}]}"}}`}, []string{`{"requestParameters":{"p":"{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":{\"AWS\":\"*\"}},{\"Effect\":\"Allow\"}]}"}}`}},
		{"json not", `requestParameters.p: {not: {json: {a: 1}}}`, []string{`{}`, `{"requestParameters":{"p":"{\"a\":2}"}}`, `{"requestParameters":{"p":"no json"}}`}, []string{`{"requestParameters":{"p":"{\"a\":1}"}}`}},
		{"success", "response: success", []string{`{}`, `{"errorCode":null}`}, []string{`{"errorCode":"X"}`, `{"errorMessage":"Failed authentication"}`, `{"responseElements":{"ConsoleLogin":"Failure"}}`}},
		{"failure", "response: failure", []string{`{"errorCode":"X"}`, `{"errorMessage":"m"}`, `{"errorCode":"AccessDenied"}`, `{"responseElements":{"ConsoleLogin":"Failure"}}`}, []string{`{}`, `{"responseElements":{"ConsoleLogin":"Success"}}`}},
		{"unauthorized", "response: unauthorized", []string{`{"errorCode":"AccessDenied"}`, `{"errorCode":"Client.UnauthorizedOperation"}`}, []string{`{"errorCode":"Throttling"}`, `{}`}},
		{"responses", "response: [success, unauthorized]", []string{`{}`, `{"errorCode":"AccessDenied"}`}, []string{`{"errorCode":"Throttling"}`}},
		{"response in any", "any: [{response: failure}, {eventName: X}]", []string{`{"eventName":"X"}`, `{"errorCode":"E"}`}, []string{`{}`}},
		{"keys with dots", `requestParameters.a\.b: X`, []string{`{"requestParameters":{"a.b":"X"}}`}, []string{`{"requestParameters":{"a":{"b":"X"}}}`}},
		{"fields named like words of the language", `\any: X`, []string{`{"any":"X"}`}, []string{`{}`}},
		{"first of duplicate keys", "eventName: X", []string{`{"eventName":"X","eventName":"Y"}`}, []string{`{"eventName":"Y","eventName":"X"}`}},
		{"escapes", "eventName: Xé", []string{`{"eventName":"X\u00e9"}`, `{"\u0065ventName":"Xé"}`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := compile(t, matching(tt.cond))
			for _, event := range tt.yes {
				if !c.match(t, event) {
					t.Errorf("does not hold for %s\n%s", event, c.explain(t, event))
				}
			}
			for _, event := range tt.no {
				if c.match(t, event) {
					t.Errorf("holds for %s\n%s", event, c.explain(t, event))
				}
			}
		})
	}
}

// compiled is one rule, ready to match.
type compiled struct {
	rule *matcher.Rule
	m    *matcher.Matcher
}

type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

func compile(t tb, src string) compiled {
	t.Helper()
	rules, _, err := Parse("f.yaml", []byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	rs, err := matcher.Compile(rules, matcher.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return compiled{rules[0], rs.NewMatcher()}
}

// match asks the index and the evaluator, and the explanation, which must agree.
func (c compiled) match(t tb, event string) bool {
	t.Helper()
	var ev cloudtrail.Event
	ev.Reset([]byte(event))
	hits, _, err := c.m.Match(nil, &ev)
	if err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	matched := len(hits) == 1
	ex, err := matcher.Explain(c.rule, &ev)
	if err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	if ex.Held != matched {
		t.Fatalf("Match says %t, Explain %t: %s", matched, ex.Held, event)
	}
	return matched
}

func (c compiled) explain(t tb, event string) string {
	t.Helper()
	var ev cloudtrail.Event
	ev.Reset([]byte(event))
	ex, err := matcher.Explain(c.rule, &ev)
	if err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	var b strings.Builder
	var write func(ex matcher.Explanation, indent string)
	write = func(ex matcher.Explanation, indent string) {
		b.WriteString(indent + map[bool]string{true: "yes ", false: "no "}[ex.Held] + ex.Text + " saw " + strings.Join(ex.Seen, ", ") + "\n")
		for _, p := range ex.Parts {
			write(p, indent+"  ")
		}
	}
	write(ex, "")
	return b.String()
}
