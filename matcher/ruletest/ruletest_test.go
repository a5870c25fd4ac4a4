package ruletest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

const rules = `
rules:
  - id: root-login
    title: Root login
    severity: high
    enabled: false
    match:
      eventName: ConsoleLogin
      userIdentity.type: {not: IAMUser}
    threshold: {count: 5, window: 1m}
    suppress:
      - when: {sourceIPAddress: {cidr: 10.0.0.0/8}}
        reason: office
        expires: 2026-01-31
    tests:
      - {name: holds, event: {eventName: ConsoleLogin}, match: true}
      - {name: holds not, event: {eventName: SwitchRole}, match: false}
      - {name: wrong yes, event: {eventName: ConsoleLogin, userIdentity: {type: Root}}, match: false}
      - {name: wrong no, event: {eventName: [SwitchRole, X], userIdentity: {type: Root}}, match: true}
      - {name: office, event: {eventName: ConsoleLogin, sourceIPAddress: 10.1.2.3, eventTime: "2026-01-31T23:59:59Z"}, match: true, suppressed: true}
      - {name: expired, event: {eventName: ConsoleLogin, sourceIPAddress: 10.1.2.3, eventTime: "2026-02-01T00:00:00Z"}, match: true, suppressed: false}
      - {name: wrong office, event: {eventName: ConsoleLogin, sourceIPAddress: 10.1.2.3, eventTime: "2026-01-31T00:00:00Z"}, match: true, suppressed: false}
      - {name: wrong elsewhere, event: {eventName: ConsoleLogin}, match: true, suppressed: true}
      - {name: global, event: {eventName: ConsoleLogin, recipientAccountId: "1"}, match: true, suppressed: true}
      - {name: deep, event_json: '{"a":DEEP}', match: false}
suppress:
  - when: {recipientAccountId: "1"}
    reason: sandbox
`

func TestRun(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	list, global, err := native.Parse("f.yaml", []byte(strings.ReplaceAll(rules, "DEEP", deep)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range Run(list, global) {
		if r.OK != (r.Message == "") {
			t.Errorf("%s: OK is %t with the message %q", r.Test.Name, r.OK, r.Message)
		}
		if r.Test.Name == "deep" && strings.HasPrefix(r.Message, "the event is invalid: ") {
			continue
		}
		got = append(got, r.Test.Name+": "+r.Message)
	}
	want := []string{
		"holds: ",
		"holds not: ",
		"wrong yes: expected no match, but the condition holds:\n" +
			"  yes all of\n" +
			"    yes eventName: ConsoleLogin (saw \"ConsoleLogin\")\n" +
			"    yes userIdentity.type: {not: IAMUser}\n" +
			"      no  userIdentity.type: IAMUser (saw \"Root\")",
		"wrong no: expected a match, but the condition does not hold:\n" +
			"  no  all of\n" +
			"    no  eventName: ConsoleLogin (saw [\"SwitchRole\",\"X\"])\n" +
			"    yes userIdentity.type: {not: IAMUser}\n" +
			"      no  userIdentity.type: IAMUser (saw \"Root\")",
		"office: ",
		"expired: ",
		"wrong office: expected no suppression, but the one at f.yaml:12:9 covers the match: office",
		"wrong elsewhere: expected a suppression, but none covers the match",
		"global: ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if list[0].Enabled {
		t.Error("the disabled rule was enabled for good")
	}
}

func TestRuleThatDoesNotCompile(t *testing.T) {
	got := Run([]*matcher.Rule{{ID: "a", Tests: []matcher.Test{{Name: "n"}}}}, nil)
	if len(got) != 1 || got[0].OK || got[0].Message == "" {
		t.Errorf("got %+v", got)
	}
}
