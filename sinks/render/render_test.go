package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/sinks"
)

func example(i int) *sinks.Alert {
	arn := "arn:aws:iam::111122223333:user/jane"
	return &sinks.Alert{
		AlertID: fmt.Sprintf("%032x", i), RuleID: "console-login", Title: "Console login", Severity: "high", Status: sinks.Firing,
		Time: time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC), Count: 20, Group: map[string]*string{"userIdentity.arn": &arn, "x": nil},
		Account: "111122223333", Region: "eu-west-1", User: "jane", SourceIP: "203.0.113.7", EventName: "ConsoleLogin",
		EventIDs: []string{"e-1", "e-2"}, Event: json.RawMessage(`{"eventName":"ConsoleLogin"}`),
	}
}

func show(t testing.TB, f Format, o Options, alerts ...*sinks.Alert) string {
	t.Helper()
	var out bytes.Buffer
	r, err := New(&out, f, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts {
		if err := r.Write(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTable(t *testing.T) {
	a, b := example(1), example(2)
	b.Severity, b.User, b.Count, b.CountCapped = "info", "漢字 é\u0301", 4096, true
	want := "" +
		"TIME                  SEVERITY  STATUS  RULE            COUNT  ACCOUNT       REGION     USER    SOURCE IP    EVENT\n" +
		"2026-01-02T03:04:01Z  high      firing  console-login      20  111122223333  eu-west-1  jane    203.0.113.7  ConsoleLogin\n" +
		"2026-01-02T03:04:02Z  info      firing  console-login  ≥ 4096  111122223333  eu-west-1  漢字 é\u0301  203.0.113.7  ConsoleLogin\n"
	if d := cmp.Diff(want, show(t, Table, Options{}, a, b)); d != "" {
		t.Errorf("table (-want +got):\n%s", d)
	}
	if got := show(t, Table, Options{}); got != "" {
		t.Errorf("an empty table is %q", got)
	}

	columns, err := ParseColumns(" severity, Rule")
	if err != nil {
		t.Fatal(err)
	}
	colored := show(t, Table, Options{Columns: columns, Color: true}, a)
	if colored != "SEVERITY  RULE\n\x1b[31mhigh\x1b[0m      console-login\n" {
		t.Errorf("coloured table %q", colored)
	}
}

// TestTableFits: rows after the sample are cut to the columns, and no line is
// wider than the terminal as long as the fixed columns leave room.
func TestTableFits(t *testing.T) {
	var many []*sinks.Alert
	for i := range tableSample + 10 {
		a := example(i)
		a.User = strings.Repeat("漢", i/10)
		a.RuleID = strings.Repeat("r", 40)
		many = append(many, a)
	}
	out := show(t, Table, Options{Width: 120}, many...)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != len(many)+1 {
		t.Fatalf("%d lines for %d alerts", len(lines), len(many))
	}
	for i, l := range lines {
		if w := textWidth(l); w > 120 {
			t.Errorf("line %d is %d wide: %s", i, w, l)
		}
	}
}

func TestCSV(t *testing.T) {
	columns, err := ParseColumns("rule,user,source_ip,group")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ user, want string }{
		{"jane, \"the\" admin", "jane, \"the\" admin"},
		{`=HYPERLINK("http://x")`, `'=HYPERLINK("http://x")`},
		{"+1", "'+1"},
		{"-1", "'-1"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"  =1", "'  =1"},
		{"＝1", "'＝1"},
		{"\t=1", `'\t=1`},
		{"\r=1", `\r=1`},
		{"a\nb", `a\nb`},
		{"a=b", "a=b"},
		{"\x1b]0;x\x07", `\x1b]0;x\x07`},
	}
	for _, tt := range tests {
		a := example(1)
		a.User = tt.user
		rows, err := csv.NewReader(strings.NewReader(show(t, CSV, Options{Columns: columns}, a))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		want := [][]string{
			{"rule", "user", "source_ip", "group"},
			{"console-login", tt.want, "203.0.113.7", "userIdentity.arn=arn:aws:iam::111122223333:user/jane x missing"},
		}
		if d := cmp.Diff(want, rows); d != "" {
			t.Errorf("user %q (-want +got):\n%s", tt.user, d)
		}
	}
	if got := show(t, CSV, Options{Columns: columns}); got != "rule,user,source_ip,group\n" {
		t.Errorf("empty CSV %q", got)
	}
}

func TestJSONForms(t *testing.T) {
	want := []*sinks.Alert{example(1), example(2)}
	var array []*sinks.Alert
	if err := json.Unmarshal([]byte(show(t, JSON, Options{}, want...)), &array); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, array); d != "" {
		t.Errorf("array (-want +got):\n%s", d)
	}
	if got := show(t, JSON, Options{}); got != "[]\n" {
		t.Errorf("empty array %q", got)
	}
	for i, line := range strings.Split(strings.TrimSuffix(show(t, NDJSON, Options{}, want...), "\n"), "\n") {
		a, err := sinks.ParseAlert([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want[i], a); d != "" {
			t.Errorf("line %d (-want +got):\n%s", i, d)
		}
	}
}

func TestNames(t *testing.T) {
	if _, err := ParseColumns("time,nope"); err == nil || !strings.Contains(err.Error(), `"nope"`) || !strings.Contains(err.Error(), "source_ip") {
		t.Errorf("error %v", err)
	}
	if c, err := ParseColumns("all"); err != nil || len(c) != len(ColumnNames()) {
		t.Errorf("all: %d columns, %v", len(c), err)
	}
	if _, err := New(nil, "xml", Options{}); err == nil || !strings.Contains(err.Error(), "ndjson") {
		t.Errorf("error %v", err)
	}
}

func TestLineAndDetail(t *testing.T) {
	a := example(1)
	want := "2026-01-02T03:04:01Z  HIGH      console-login  Console login  ×20  event=ConsoleLogin  user=jane  from=203.0.113.7" +
		"  account=111122223333  region=eu-west-1  by=userIdentity.arn=arn:aws:iam::111122223333:user/jane x missing"
	if d := cmp.Diff(want, string(AppendLine(nil, a, false))); d != "" {
		t.Errorf("line (-want +got):\n%s", d)
	}
	var page bytes.Buffer
	a.Event = json.RawMessage(`{"eventName":"Console` + "\u202e" + `Login","n":12345678901234567890}`)
	if err := Detail(&page, a, false); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"counted event  e-2\n", "  \"eventName\": \"Console\\u202eLogin\",\n", "  \"n\": 12345678901234567890\n"} {
		if !strings.Contains(page.String(), part) {
			t.Errorf("%q is not on the page:\n%s", part, page.String())
		}
	}
}

// TestHostile: whatever stands in an alert, the forms for people show printable
// characters and line ends only.
func TestHostile(t *testing.T) {
	hostile := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"\x1b[2J\x1b]0;owned\x07", "a\r\nb", "\u202eevil", "\u009b31m", "\xff\xfe", "\u200b", "\u2028", strings.Repeat("漢", 3000), "\x7f",
	}))
	all, err := ParseColumns("all")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := hostile.Draw(rt, "s")
		a := &sinks.Alert{
			AlertID: s, RuleID: s, Title: s, Severity: s, Status: sinks.Status(s), Group: map[string]*string{s: &s}, Account: s,
			Region: s, User: s, SourceIP: s, EventName: s, EventSource: s, EventID: s, EventIDs: []string{s}, Position: s,
			Event: json.RawMessage(s), Description: s, Runbook: s, References: []string{s}, Tags: []string{s}, Sinks: []string{s},
			Suppression: s, Resolution: s, MergedInto: s, CallerAccount: s,
		}
		var page bytes.Buffer
		if err := Detail(&page, a, false); err != nil {
			rt.Fatal(err)
		}
		outs := []string{
			page.String(), string(AppendLine(nil, a, false)), show(t, Table, Options{Columns: all, Width: 80}, a),
			show(t, CSV, Options{Columns: all}, a),
		}
		for _, out := range outs {
			if !utf8.ValidString(out) {
				rt.Fatalf("broken UTF-8: %q", out)
			}
			for _, r := range out {
				if r != '\n' && !unicode.IsPrint(r) {
					rt.Fatalf("%U in %q", r, out)
				}
			}
		}
		if n := strings.Count(outs[1], "\n"); n != 0 {
			rt.Fatalf("the line has %d breaks", n)
		}
		if n := strings.Count(outs[2], "\n"); n != 2 {
			rt.Fatalf("the table has %d lines", n)
		}
	})
}

func FuzzVisible(f *testing.F) {
	for _, s := range []string{"", "a", "\x00", "\u202e", "\xff", "\U000e0001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := Visible(s)
		if !utf8.ValidString(v) || strings.IndexFunc(v, hidden) >= 0 {
			t.Fatalf("Visible(%q) = %q", s, v)
		}
		if Visible(v) != v {
			t.Fatalf("not stable: %q", v)
		}
		if c := clip(v, 10); textWidth(c) > 10 {
			t.Fatalf("clip(%q) is %d wide", v, textWidth(c))
		}
	})
}
