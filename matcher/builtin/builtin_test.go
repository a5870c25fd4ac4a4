package builtin_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/builtin"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// load reads the pack as the product does.
func load(t *testing.T) *native.Set {
	t.Helper()
	set, err := native.Loader{}.LoadFS(builtin.FS(), ".")
	if err != nil {
		t.Fatalf("loading the built-in rules: %v", err)
	}
	return set
}

// compileAll compiles the pack with the rules that are off by default as well.
func compileAll(t *testing.T) *matcher.Ruleset {
	t.Helper()
	set := load(t)
	for _, r := range set.Rules {
		r.Enabled = true
	}
	rs, err := matcher.Compile(set.Rules, matcher.Options{})
	if err != nil {
		t.Fatalf("compiling the built-in rules: %v", err)
	}
	return rs
}

// hits returns the IDs of the rules that match event, in order.
func hits(t *testing.T, m *matcher.Matcher, event []byte) []string {
	t.Helper()
	var ev cloudtrail.Event
	ev.Reset(event)
	found, _, err := m.Match(nil, &ev)
	if err != nil {
		t.Fatalf("matching %s: %v", event, err)
	}
	ids := make([]string, len(found))
	for i, h := range found {
		ids[i] = h.Rule.ID
	}
	return ids
}

func TestRulesAreComplete(t *testing.T) {
	set := load(t)
	if len(set.Rules) == 0 {
		t.Fatal("no rules")
	}
	for _, w := range set.Warnings {
		t.Errorf("warning: %v", w)
	}
	titles := map[string]string{}
	for _, r := range set.Rules {
		if r.Description == "" || r.Runbook == "" {
			t.Errorf("%s: %s lacks a description or a runbook", r.Pos, r.ID)
		}
		if len(r.Tags) == 0 {
			t.Errorf("%s: %s has no tags", r.Pos, r.ID)
		}
		if other := titles[r.Title]; other != "" {
			t.Errorf("%s: %s has the title of %s", r.Pos, r.ID, other)
		}
		titles[r.Title] = r.ID
		if !slices.ContainsFunc(r.Tests, func(tc matcher.Test) bool { return tc.Match }) {
			t.Errorf("%s: %s has no test event that matches", r.Pos, r.ID)
		}
		if !slices.ContainsFunc(r.Tests, func(tc matcher.Test) bool { return !tc.Match }) {
			t.Errorf("%s: %s has no near miss", r.Pos, r.ID)
		}
		for _, ref := range r.References {
			if !strings.HasPrefix(ref, "https://docs.aws.amazon.com/") {
				t.Errorf("%s: %s refers to %s, which is no AWS documentation", r.Pos, r.ID, ref)
			}
		}
	}
}

// The rules' own tests run through the index, so that a rule which the index
// does not find fails as well as one whose condition is wrong.
func TestRulesOwnTests(t *testing.T) {
	rs := compileAll(t)
	m := rs.NewMatcher()
	for _, r := range rs.Rules() {
		for _, tc := range r.Tests {
			if got := slices.Contains(hits(t, m, tc.Event), r.ID); got != tc.Match {
				t.Errorf("%s: %s, test %q: match is %v, want %v", tc.Pos, r.ID, tc.Name, got, tc.Match)
			}
		}
	}
}

func TestEveryRuleIsIndexed(t *testing.T) {
	for _, r := range compileAll(t).Unindexed() {
		t.Errorf("%s: %s is evaluated for every event", r.Pos, r.ID)
	}
}

// Each of these would tell most events twice, or needs the accounts named first.
func TestRulesThatAreOffByDefault(t *testing.T) {
	var off []string
	for _, r := range load(t).Rules {
		if !r.Enabled {
			off = append(off, r.ID)
		}
	}
	slices.Sort(off)
	want := []string{"any-security-related-event", "cloudtrail-silent", "ec2-instance-lifecycle"}
	if !slices.Equal(off, want) {
		t.Errorf("off by default are %v, want %v", off, want)
	}
}

// anyOutcome are the rules that look at sign-ins, refusals or discovery, or
// take everything: how the call ended is their subject, or does not matter.
var anyOutcome = []string{
	"any-security-related-event", "attack-tool-user-agent", "cloudtrail-silent", "console-login-brute-force",
	"console-login-failures", "console-login-many-addresses", "console-login-mfa-guessing",
	"console-login-password-spray", "console-login-without-mfa", "ec2-password-data-burst", "region-enumeration",
	"root-account-usage", "root-console-login", "root-console-login-failure", "ses-reconnaissance",
}

// A title says whether failed calls count, and a refused call of each test
// event tells whether it speaks the truth.
func TestTitlesTellWhetherTriesCount(t *testing.T) {
	rs := compileAll(t)
	m := rs.NewMatcher()
	for _, r := range rs.Rules() {
		if slices.Contains(anyOutcome, r.ID) {
			continue
		}
		want := strings.HasSuffix(r.Title, ", or somebody tried to")
		for _, tc := range r.Tests {
			if !tc.Match || bytes.Contains(tc.Event, []byte(`"errorCode"`)) {
				continue
			}
			refused := append([]byte(`{"errorCode":"AccessDenied",`), tc.Event[1:]...)
			if got := slices.Contains(hits(t, m, refused), r.ID); got != want {
				t.Errorf("%s, test %q: a refused call matches: %v, but the title is %q", r.ID, tc.Name, got, r.Title)
			}
		}
	}
}
