package enginetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

var day = time.Date(2026, 5, 4, 3, 2, 1, 987654321, time.UTC)

// rawEvent has what JSON writers like to change: white space, a number that no
// float64 holds, characters of HTML, a duplicate key, and a byte that is not UTF-8.
const rawEvent = "{ \"a\" : 12345678901234567890,\t\"h\":\"<&>\\u003c\", \"a\":1.50, \"u\":\"\xff\" }"

// alert is an alert with every field set; id and count tell it apart.
func alert(id string, count int) *sinks.Alert {
	group := "alice"
	return &sinks.Alert{
		AlertID: id, RuleID: "rule-" + id, Title: "T <b>", Severity: "high", Status: sinks.Firing,
		Time: day, FirstTime: day.Add(-time.Minute), LastTime: day, Count: count, CountCapped: true, Distinct: 3,
		Group:   map[string]*string{"userIdentity.arn": &group, "missing": nil},
		Account: "123456789012", Region: "eu-west-1", User: "alice", SourceIP: "203.0.113.9",
		EventName: "ConsoleLogin", EventSource: "signin.amazonaws.com", EventID: "e-1", EventIDs: []string{"e-1", "e-2"},
		Position: "t/1@5", Event: json.RawMessage(rawEvent), Events: []json.RawMessage{json.RawMessage(rawEvent), json.RawMessage("{}")},
		EvidenceCut: true, MergedInto: "m", Resolution: "quiet", Description: "d", Runbook: "r", References: []string{"https://example.com/?a=1&b=2"},
		Tags: []string{"cis.4.6"}, Suppression: "s", CallerAccount: "210987654321", Sinks: []string{"soc"}, DetectedAt: day.Add(time.Second),
	}
}

// same compares alerts by what they say, raw events by their bytes.
func same(t testing.TB, want, got *sinks.Alert) {
	t.Helper()
	if d := cmp.Diff(string(want.AppendJSON(nil)), string(got.AppendJSON(nil))); d != "" {
		t.Errorf("alert (-want +got):\n%s", d)
	}
	if !bytes.Equal(want.Event, got.Event) {
		t.Errorf("raw event %q, want %q", got.Event, want.Event)
	}
	if !slices.EqualFunc(want.Events, got.Events, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Errorf("raw events %q, want %q", got.Events, want.Events)
	}
}

func list(t testing.TB, s Subject, f alertstore.Filter) []*sinks.Alert {
	t.Helper()
	var all []*sinks.Alert
	for a, err := range s.Alerts.List(t.Context(), f) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		all = append(all, a)
	}
	return all
}

func ids(alerts []*sinks.Alert) []string {
	out := []string{}
	for _, a := range alerts {
		out = append(out, a.AlertID)
	}
	return out
}

func alertsNewest(t *testing.T, b *bench) {
	s, p := b.open(t)
	if s.Alerts == nil {
		t.Skip("keeps no alerts")
	}
	put := func(txn engine.Txn, a *sinks.Alert, save bool) {
		txn.Position(b.source(0), b.position(a.Count))
		txn.Alert(a, save, !save)
	}
	commit(t, s, p, func(txn engine.Txn) {
		put(txn, alert("aa01", 1), true)
		put(txn, alert("aa02", 1), true)
		put(txn, alert("bb", 1), false) // only told, not saved
	})
	last := alert("aa01", 4)
	last.Status = sinks.Resolved
	commit(t, s, p, func(txn engine.Txn) {
		put(txn, alert("aa01", 2), true)
		put(txn, alert("aa01", 3), false)
		put(txn, last, true)
	})
	lost := begin(t, s, p)
	put(lost, alert("aa01", 5), true)
	put(lost, alert("cc", 5), true)
	if err := lost.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Engine.Partitions() == 1 {
		s, _ = b.reopen(t, s)
	}
	all := list(t, s, alertstore.Filter{OldestFirst: true})
	if d := cmp.Diff([]string{"aa01", "aa02"}, ids(all)); d != "" {
		t.Fatalf("alerts (-want +got):\n%s", d)
	}
	same(t, last, all[0])
	same(t, alert("aa02", 1), all[1])
	for _, id := range []string{"aa01", "aa02"} {
		if a, err := s.Alerts.Get(t.Context(), id); err != nil || a.AlertID != id {
			t.Errorf("get %s: %v, %v", id, a, err)
		}
	}
	if _, err := s.Alerts.Get(t.Context(), "bb"); !errors.Is(err, alertstore.ErrNotFound) {
		t.Errorf("get bb: %v, want ErrNotFound", err)
	}
	if _, err := s.Alerts.Get(t.Context(), ""); !errors.Is(err, alertstore.ErrNotFound) {
		t.Errorf("get nothing: %v, want ErrNotFound", err)
	}
	_, err := s.Alerts.Get(t.Context(), "aa")
	if amb, ok := errors.AsType[*alertstore.AmbiguousError](err); !ok || !slices.Equal(amb.IDs, []string{"aa01", "aa02"}) {
		t.Errorf("get aa: %v, want both IDs", err)
	}
}

// alertsFilters compares random filters with the plain meaning of each.
func alertsFilters(t *testing.T, b *bench) {
	s, p := b.open(t)
	if s.Alerts == nil {
		t.Skip("keeps no alerts")
	}
	users := []string{"alice", "bob", "a*e", "root", "role/[x]?", "ALICE", ""}
	severities := []string{"info", "low", "medium", "high", "critical"}
	statuses := []sinks.Status{sinks.Firing, sinks.Update, sinks.Resolved, sinks.Suppressed}
	var all []*sinks.Alert
	const rows = 600 // more than a page
	commit(t, s, p, func(txn engine.Txn) {
		all = nil
		txn.Position(b.source(0), b.position(1))
		for i := range rows {
			a := alert(fmt.Sprintf("%04x", i*7919%65536), i)
			a.RuleID = fmt.Sprintf("rule-%d", i%5)
			a.Severity, a.Status, a.User = severities[i%len(severities)], statuses[i/3%len(statuses)], users[i%len(users)]
			a.Account, a.Region = fmt.Sprintf("%012d", i%4), []string{"eu-west-1", "us-east-1"}[i%2]
			a.EventName, a.EventSource = fmt.Sprintf("Name%d", i%11), fmt.Sprintf("s%d.amazonaws.com", i%3)
			a.Time = day.Add(time.Duration(i*7%50) * time.Hour) // with ties
			a.Event = fmt.Appendf(nil, `{"Needle":"Item%d"}`, i%100)
			a.Events = nil
			a.MergedInto, a.Description = "", `not "merged_into":"x" at all`
			if i%4 == 0 {
				a.MergedInto = "0001"
			}
			txn.Alert(a, true, false)
			all = append(all, a)
		}
	})
	pick := func(rt *rapid.T, label string, values ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(values), 0, 2).Draw(rt, label)
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := alertstore.Filter{
			Rules: pick(rt, "rules", "rule-1", "rule-2", "rule-*", "*3"), Severities: pick(rt, "severities", severities...),
			MinSeverity: rapid.SampledFrom([]string{"", "", "low", "high", "HIGH"}).Draw(rt, "min"),
			Statuses:    pick(rt, "statuses", "firing", "resolved", "open"), Accounts: pick(rt, "accounts", "000000000001", "*2"),
			Regions: pick(rt, "regions", "eu-west-1", "us-*"), Users: pick(rt, "users", append(users, "*", "a*", "*[x]*", "?ob", "a*c*e")...),
			Names: pick(rt, "names", "Name1", "Name1*"), Sources: pick(rt, "sources", "s1.amazonaws.com", "*.amazonaws.com"),
			Text:       rapid.SampledFrom([]string{"", "", "", "iTEM7", "alice", "nowhere"}).Draw(rt, "text"),
			Limit:      rapid.SampledFrom([]int{0, 0, 1, 5, 400}).Draw(rt, "limit"),
			HideMerged: rapid.Bool().Draw(rt, "hide merged"), OldestFirst: rapid.Bool().Draw(rt, "oldest"),
		}
		// Most filters keep only some of their fields, lest nothing passes.
		for _, clear := range []func(){
			func() { f.Rules = nil }, func() { f.Severities = nil }, func() { f.MinSeverity = "" }, func() { f.Statuses = nil }, func() { f.Accounts = nil },
			func() { f.Regions = nil }, func() { f.Users = nil }, func() { f.Names = nil }, func() { f.Sources = nil },
		} {
			if rapid.IntRange(0, 2).Draw(rt, "clear") > 0 {
				clear()
			}
		}
		if rapid.Bool().Draw(rt, "since") {
			f.Since = day.Add(10 * time.Hour)
		}
		if rapid.Bool().Draw(rt, "until") {
			f.Until = day.Add(40 * time.Hour)
		}
		var want []*sinks.Alert
		counts := map[string]int64{}
		for _, a := range all {
			if f.Match(a) {
				want = append(want, a)
				counts[a.User]++
			}
		}
		slices.SortStableFunc(want, func(a, b *sinks.Alert) int { return a.Time.Compare(b.Time) })
		if !f.OldestFirst {
			slices.Reverse(want)
		}
		if f.Limit > 0 {
			want = want[:min(len(want), f.Limit)]
		}
		if d := cmp.Diff(ids(want), ids(list(t, s, f))); d != "" {
			rt.Fatalf("%+v (-want +got):\n%s", f, d)
		}
		groups, err := s.Alerts.Count(t.Context(), f, alertstore.ByUser)
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(alertstore.Groups(counts, f.Limit), groups); d != "" {
			rt.Fatalf("count %+v (-want +got):\n%s", f, d)
		}
	})
	for by, want := range map[alertstore.Field]alertstore.Group{
		alertstore.ByNothing:  {Value: "", Count: rows},
		alertstore.BySeverity: {Value: "critical", Count: rows / 5},
		alertstore.ByRegion:   {Value: "eu-west-1", Count: rows / 2},
	} {
		got, err := s.Alerts.Count(t.Context(), alertstore.Filter{Limit: 1}, by)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("count by %q: %v, %v; want %v", by, got, err, want)
		}
	}
	none := alertstore.Filter{Rules: []string{"no such rule"}}
	if got, err := s.Alerts.Count(t.Context(), none, alertstore.ByNothing); err != nil || len(got) != 1 || got[0].Count != 0 {
		t.Errorf("count of nothing: %v, %v; want one group of 0", got, err)
	}
	if _, err := s.Alerts.Count(t.Context(), none, "body"); err == nil {
		t.Error("grouping by an unknown field is accepted")
	}
	for _, err := range s.Alerts.List(t.Context(), alertstore.Filter{Severities: []string{"hihg"}}) {
		if err == nil {
			t.Error("an unknown severity is accepted")
		}
	}
	for _, err := range s.Alerts.List(t.Context(), alertstore.Filter{}) {
		if err != nil {
			t.Errorf("list: %v", err)
		}
		break // a list may be left early
	}
}
