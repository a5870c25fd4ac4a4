package sigma

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func testData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA does not name a directory with CloudTrail corpora and Sigma rules")
	}
	return dir
}

// corpus returns the events of all corpora; of lines that hold an event among
// labels, the event.
func corpus(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testData(t), "cloudtrail", "*.jsonl*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpora: %v", err)
	}
	var events []string
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
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			var labelled struct{ Event json.RawMessage }
			if json.Unmarshal(line, &labelled) == nil && labelled.Event != nil {
				line = labelled.Event
			}
			events = append(events, string(line))
		}
	}
	return events
}

// ownRules test what SigmaHQ's rules do not, on real events.
var ownRules = []string{
	`sel: {eventName|startswith: [Get, List], userIdentity.type|neq: Root}
condition: sel`,
	`sel: {errorCode|exists: true, errorMessage|contains: ['not authorized', denied]}
condition: sel`,
	`sel: [AccessDenied, 'UnauthorizedOperation']
condition: sel`,
	`sel: {'|all': ['"eventSource":"IAM', '"readOnly":FALSE']}
condition: sel`,
	`sel: {requestParameters|contains: '"'}
filter: {responseElements: null}
condition: sel and not filter`,
	`sel: {sourceIPAddress|cidr: [10.0.0.0/8, 192.168.0.0/16, 80.0.0.0/4]}
condition: sel`,
	`sel: {eventName|re: '^(Delete|Put|Stop)(Bucket|Trail|Event)?[A-Z]', eventSource: '*.amazonaws.com'}
condition: sel`,
	`sel: {eventTime|hour|gte: 9, eventTime|minute: [1, 2, 3, 10, 20, 30], readOnly: false}
condition: sel`,
	`sel: {userIdentity.accountId|fieldref: recipientAccountId}
other: {requestParameters.bucketName|re: '.'}
condition: sel and other`,
	`sel_a: {requestParameters.ipPermissions.items.fromPort|lte: 443}
sel_b: {requestParameters|contains: '0.0.0.0/0'}
sel_c: {resources.ARN|contains|windash: ':secret:s-'}
condition: 1 of sel_*`,
	`sel: {userAgent|contains: ['boto?/', 'aws-cli*'], additionalEventData: null}
condition: sel`,
	`sel: {additionalEventData.MFAUsed: null}
condition: not sel`,
	`sel: {'|re': ['arn:aws:iam::\d+:(user|role)/stratus']}
condition: sel`,
}

// TestCorpora: on real events the engine answers as the reference does.
func TestCorpora(t *testing.T) {
	events := corpus(t)
	decoded := make([]any, len(events))
	for i, e := range events {
		decoded[i] = decodeJSON(t, e)
	}
	s, err := LoadFiles([]string{filepath.Join(testData(t), "sigma")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Rules) < 29 || len(s.Skipped) > 0 || len(s.Other) > 0 {
		t.Fatalf("%d rules, %v skipped, %v other", len(s.Rules), s.Skipped, s.Other)
	}
	for _, w := range s.Warnings {
		t.Logf("warning: %s", w)
	}
	rules := s.Rules
	for i, detection := range ownRules {
		own, err := Parse("own-"+string(rune('a'+i))+".yml", []byte(strings.Replace(ruleOf(detection), "id: r\n", "", 1)), Options{})
		if err != nil {
			t.Fatalf("%s: %v", detection, err)
		}
		rules = append(rules, own.Rules...)
	}
	m := compile(t, rules)
	want := map[string][]bool{}
	for _, r := range rules {
		ref := newRefRule(t, r.Source, nil)
		for _, e := range decoded {
			want[r.ID] = append(want[r.ID], ref.holds(e))
		}
	}
	total := 0
	for i, e := range events {
		var ev cloudtrail.Event
		ev.Reset([]byte(e))
		hits, _, err := m.Match(nil, &ev)
		if err != nil {
			t.Errorf("%s: %v", e, err)
			continue
		}
		for _, r := range rules {
			got := slices.ContainsFunc(hits, func(h matcher.Hit) bool { return h.Rule == r })
			if got != want[r.ID][i] {
				t.Errorf("%s (%s) on %s: %t", r.ID, r.Title, e, got)
			}
		}
		total += len(hits)
	}
	if total < 1000 {
		t.Errorf("only %d matches: the test shows little", total)
	}
	for _, r := range rules[len(rules)-len(ownRules):] {
		if !slices.Contains(want[r.ID], true) {
			t.Errorf("no event for\n%s", r.Source)
		}
	}
}
