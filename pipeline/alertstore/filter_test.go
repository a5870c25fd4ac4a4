package alertstore

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/sinks"
)

func TestMatch(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	group := "Team Blue"
	a := &sinks.Alert{
		AlertID: "ab12", RuleID: "root-login", Title: "Root login", Severity: "high", Status: sinks.Update, Time: at,
		Account: "123456789012", Region: "eu-west-1", User: "arn:aws:iam::1:user/ci-7", SourceIP: "203.0.113.9",
		EventName: "ConsoleLogin", EventSource: "signin.amazonaws.com", EventIDs: []string{"e-77"}, Tags: []string{"cis.1.7"},
		Group: map[string]*string{"team": &group, "none": nil}, Event: []byte(`{"userAgent":"Curl/8"}`), Events: []json.RawMessage{[]byte(`{"k":"Second"}`)},
	}
	for _, c := range []struct {
		name string
		f    Filter
		want bool
	}{
		{"nothing asked", Filter{}, true},
		{"one of two rules", Filter{Rules: []string{"x", "root-login"}}, true},
		{"another rule", Filter{Rules: []string{"root"}}, false},
		{"wildcard user", Filter{Users: []string{"*:user/ci-*"}}, true},
		{"wildcard user, other case", Filter{Users: []string{"*:user/CI-*"}}, false},
		{"no wildcard but a star", Filter{Users: []string{"*"}}, true},
		{"severity", Filter{Severities: []string{"HIGH"}}, true},
		{"other severities", Filter{Severities: []string{"low", "critical"}}, false},
		{"at least its own severity", Filter{MinSeverity: "high"}, true},
		{"at least a lower one", Filter{MinSeverity: "info"}, true},
		{"at least a higher one", Filter{MinSeverity: "critical"}, false},
		{"named, but below the least", Filter{Severities: []string{"high"}, MinSeverity: "critical"}, false},
		{"status", Filter{Statuses: []string{"update"}}, true},
		{"open", Filter{Statuses: []string{Open}}, true},
		{"resolved", Filter{Statuses: []string{"resolved"}}, false},
		{"account", Filter{Accounts: []string{"123456789012"}}, true},
		{"region", Filter{Regions: []string{"us-*"}}, false},
		{"event name", Filter{Names: []string{"Console*"}}, true},
		{"event source", Filter{Sources: []string{"iam.amazonaws.com"}}, false},
		{"since its time", Filter{Since: at}, true},
		{"since later", Filter{Since: at.Add(1)}, false},
		{"until its time", Filter{Until: at}, false},
		{"until later", Filter{Until: at.Add(1)}, true},
		{"text in a field", Filter{Text: "ROOT LOG"}, true},
		{"text in the event", Filter{Text: "curl/8"}, true},
		{"text in an evidence event", Filter{Text: "second"}, true},
		{"text in a group value", Filter{Text: "blue"}, true},
		{"text in an event ID", Filter{Text: "E-77"}, true},
		{"text nowhere", Filter{Text: "blues"}, false},
		{"all but one hold", Filter{Rules: []string{"root-login"}, Regions: []string{"eu-west-1"}, Names: []string{"AssumeRole"}}, false},
	} {
		if got := c.f.Match(a); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
	if string(a.Event) != `{"userAgent":"Curl/8"}` {
		t.Errorf("looking for text changed the event: %s", a.Event)
	}
}

func TestWildcard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab]{0,8}`).Draw(t, "s")
		re := regexp.MustCompile("^" + strings.ReplaceAll(pattern, "*", ".*") + "$")
		if got, want := wildcard(pattern, s), re.MatchString(s); got != want {
			t.Fatalf("wildcard(%q, %q) = %t, want %t", pattern, s, got, want)
		}
	})
}

func TestValidate(t *testing.T) {
	at := time.Unix(100, 0)
	err := Filter{Severities: []string{"hihg"}, MinSeverity: "x", Statuses: []string{"opne"}, Since: at, Until: at, Limit: -1}.Validate()
	for _, want := range []string{`"hihg"`, `"x"`, `"opne"`, "since", "limit -1", "critical", "suppressed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("errors %v lack %s", err, want)
		}
	}
	if err := (Filter{Severities: []string{"High"}, Statuses: []string{Open, "resolved"}, Until: at}).Validate(); err != nil {
		t.Errorf("a good filter is refused: %v", err)
	}
}

func TestFields(t *testing.T) {
	a := &sinks.Alert{
		RuleID: "r", Severity: "LOW", Status: "firing", Account: "a", Region: "g", User: "u", EventName: "n", EventSource: "s",
	}
	var got []string
	for _, f := range Fields() {
		got = append(got, f.Of(a))
		if err := f.Validate(); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	if want := []string{"r", "low", "firing", "a", "g", "u", "n", "s"}; !slices.Equal(got, want) {
		t.Errorf("values %v, want %v", got, want)
	}
	if err := Field("body").Validate(); err == nil || !strings.Contains(err.Error(), "rule_id") {
		t.Errorf("an unknown field: %v", err)
	}
	groups := Groups(map[string]int64{"b": 2, "a": 2, "c": 9}, 2)
	if want := []Group{{"c", 9}, {"a", 2}}; !slices.Equal(groups, want) {
		t.Errorf("groups %v, want %v", groups, want)
	}
}
