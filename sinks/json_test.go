package sinks

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func text() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "<a href=\"x\">&amp;", "a\nb\r\tc\x00\x1b[31m", "\u2028\u2029\u0085é漢😀", `\"\\`}),
	)
}

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.IntRange(0, 9).Draw(t, "zero") == 0 {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	})
}

func rawEvents() *rapid.Generator[json.RawMessage] {
	return rapid.Custom(func(t *rapid.T) json.RawMessage {
		b, err := json.MarshalIndent(map[string]any{
			text().Draw(t, "k"): text().Draw(t, "v"),
			"n":                 rapid.Int64().Draw(t, "n"),
		}, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func alerts() *rapid.Generator[*Alert] {
	return rapid.Custom(func(t *rapid.T) *Alert {
		s := func(name string) string { return text().Draw(t, name) }
		ss := func(name string) []string { return rapid.SliceOfN(text(), 0, 3).Draw(t, name) }
		return &Alert{
			AlertID: s("alert_id"), RuleID: s("rule_id"), Title: s("title"), Severity: s("severity"),
			Status: Status(s("status")), Time: times().Draw(t, "time"), FirstTime: times().Draw(t, "first"),
			LastTime: times().Draw(t, "last"), Count: rapid.Int().Draw(t, "count"),
			CountCapped: rapid.Bool().Draw(t, "capped"), Distinct: rapid.IntRange(0, 9).Draw(t, "distinct"),
			Group:   rapid.MapOfN(text(), rapid.Ptr(text(), true), 0, 4).Draw(t, "group"),
			Account: s("account"), Region: s("region"), User: s("user"), SourceIP: s("ip"),
			EventName: s("name"), EventSource: s("source"), EventID: s("event_id"), EventIDs: ss("event_ids"),
			Position: s("position"), Event: rawEvents().Draw(t, "event"),
			Events:      rapid.SliceOfN(rawEvents(), 0, 3).Draw(t, "events"),
			EvidenceCut: rapid.Bool().Draw(t, "cut"), MergedInto: s("merged"), Resolution: s("resolution"),
			Description: s("description"), Runbook: s("runbook"), References: ss("references"), Tags: ss("tags"),
			Suppression: s("suppression"), CallerAccount: s("caller"), Sinks: ss("sinks"),
			DetectedAt: times().Draw(t, "detected"), DelaySeconds: rapid.Int64Range(0, 1<<40).Draw(t, "delay"),
		}
	})
}

// TestRoundTrip checks that both forms read back to the alert, and that
// encoding/json alone, knowing only the struct's tags, reads the same.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := alerts().Draw(t, "alert")
		wire := a.AppendJSON(nil)
		got, err := ParseAlert(wire)
		if err != nil {
			t.Fatalf("%v\n%s", err, wire)
		}
		if d := cmp.Diff(a, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("parse(append(a)) differs (-want +got):\n%s", d)
		}
		var std Alert
		if err := json.Unmarshal(wire, &std); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, &std, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("encoding/json reads something else (-want +got):\n%s", d)
		}
		again := got.AppendJSON(nil)
		if !bytes.Equal(again, wire) {
			t.Fatalf("not stable:\n%s\n%s", wire, again)
		}

		line := a.AppendLine(nil)
		if bytes.ContainsAny(line, "\n\r") {
			t.Fatalf("line break in %q", line)
		}
		fromLine, err := ParseAlert(line)
		if err != nil {
			t.Fatal(err)
		}
		equalJSON := cmp.Comparer(func(x, y json.RawMessage) bool {
			var bx, by bytes.Buffer
			return json.Compact(&bx, x) == nil && json.Compact(&by, y) == nil && bytes.Equal(bx.Bytes(), by.Bytes())
		})
		if d := cmp.Diff(a, fromLine, cmpopts.EquateEmpty(), equalJSON); d != "" {
			t.Fatalf("parse(line(a)) differs (-want +got):\n%s", d)
		}
	})
}

// TestNames pins the wire names to the struct's tags: everything that
// encoding/json would write is there, and nothing else.
func TestNames(t *testing.T) {
	v := "v"
	full := &Alert{
		Time: time.Unix(1, 0), FirstTime: time.Unix(1, 0), LastTime: time.Unix(1, 0), DetectedAt: time.Unix(1, 0),
		CountCapped: true, Distinct: 1, Group: map[string]*string{"k": &v}, EventIDs: []string{"e"},
		Event: json.RawMessage(`{}`), Events: []json.RawMessage{json.RawMessage(`{}`)}, EvidenceCut: true,
		MergedInto: v, Resolution: v, Description: v, Runbook: v, References: []string{v}, Tags: []string{v},
		Suppression: v, CallerAccount: v, Sinks: []string{v},
	}
	for _, a := range []*Alert{full, {Group: map[string]*string{}, EventIDs: []string{}}} {
		var got, want map[string]any
		if err := json.Unmarshal(a.AppendJSON(nil), &got); err != nil {
			t.Fatal(err)
		}
		std, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"time", "first_time", "last_time", "detected_at"} {
			if want[k] == "0001-01-01T00:00:00Z" {
				want[k] = nil // no time is null, not the year 1
			} else {
				want[k] = "1970-01-01T00:00:01Z" // whatever the zone of this machine
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("names or values differ (-encoding/json +AppendJSON):\n%s", d)
		}
	}
}

func TestRawEvents(t *testing.T) {
	tests := []struct{ name, raw, json, line string }{
		{"compact", `{"a":"<&>","n":12345678901234567890}`, `{"a":"<&>","n":12345678901234567890}`, `{"a":"<&>","n":12345678901234567890}`},
		{"white space", "{ \"a\" :\r\n\t1 }", "{ \"a\" :\r\n\t1 }", "{ \"a\" :  \t1 }"},
		{"escaped quote", "{\"a\":\"\\\"\",\n\"b\":1}", "{\"a\":\"\\\"\",\n\"b\":1}", `{"a":"\"", "b":1}`},
		{"escaped backslash", "{\"a\":\"\\\\\",\n\"b\":1}", "{\"a\":\"\\\\\",\n\"b\":1}", `{"a":"\\", "b":1}`},
		{"break inside a string", "{\"a\":\"x\ny\"}", `"{\"a\":\"x\ny\"}"`, `{"a":"x\ny"}`},
		{"not JSON", "{\"a\":", `"{\"a\":"`, `"{\"a\":"`},
		{"broken UTF-8", "{\"a\":\"\xff\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\uFFFD\"}"},
		{"none", "", "null", "null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &Alert{Event: json.RawMessage(tt.raw)}
			if got := string(a.AppendJSON(nil)); !strings.Contains(got, `"event":`+tt.json+`,"detected_at"`) {
				t.Errorf("AppendJSON = %s\nwant event %s", got, tt.json)
			}
			if got := string(a.AppendLine(nil)); !strings.Contains(got, `"event":`+tt.line+`,"detected_at"`) {
				t.Errorf("AppendLine = %s\nwant event %s", got, tt.line)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	tests := []struct {
		in   time.Time
		want string
	}{
		{time.Date(2026, 1, 2, 4, 5, 6, 0, cet), `"2026-01-02T03:05:06Z"`},
		{time.Date(2026, 1, 2, 3, 5, 6, 120_000_000, time.UTC), `"2026-01-02T03:05:06.12Z"`},
		{time.Date(2026, 1, 2, 3, 5, 6, 1, time.UTC), `"2026-01-02T03:05:06.000000001Z"`},
		{time.Time{}, `null`},
		{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), `null`},
	}
	for _, tt := range tests {
		if got := string(appendTime(nil, tt.in)); got != tt.want {
			t.Errorf("appendTime(%v) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a", "\x00\x1f\x7f", "\u2028", "\xff\xfe", `"\`, "é\n", "\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		var want strings.Builder // each broken byte is one U+FFFD
		for _, r := range s {
			want.WriteRune(r)
		}
		if got != want.String() {
			t.Fatalf("%q came back as %q", s, got)
		}
		if strings.ContainsAny(string(b), "\n\r\u0085\u2028\u2029") || !utf8.Valid(b) {
			t.Fatalf("not one line of UTF-8: %q", b)
		}
	})
}

// FuzzAlertEvent writes alerts with any bytes as the event: the result always
// is JSON, and as a line it is one line of UTF-8.
func FuzzAlertEvent(f *testing.F) {
	for _, s := range []string{`{"a":1}`, "{\n}", "{\"a\":\"\n\"}", "\"", "\\\n\"", "\xff", "null", " "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a := &Alert{Event: raw, Events: []json.RawMessage{raw, raw}}
		exact, line := a.AppendJSON(nil), a.AppendLine(nil)
		if !json.Valid(exact) || !json.Valid(line) {
			t.Fatalf("not JSON:\n%q\n%q", exact, line)
		}
		if bytes.ContainsAny(line, "\r\n") || !utf8.Valid(line) {
			t.Fatalf("not one line of UTF-8: %q", line)
		}
		if json.Valid(raw) && len(raw) > 0 && !bytes.Contains(exact, raw) {
			t.Fatalf("event %q changed: %q", raw, exact)
		}
	})
}

// FuzzParseAlert: no panic, and what parses is stable.
func FuzzParseAlert(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"group":null,"event":[1, 2],"time":"2026-01-02T03:04:05+01:00"}`))
	f.Add((&Alert{AlertID: "a", EventIDs: []string{"x"}}).AppendJSON(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAlert(b)
		if err != nil {
			return
		}
		once := a.AppendJSON(nil)
		a2, err := ParseAlert(once)
		if err != nil {
			t.Fatalf("%v: %q", err, once)
		}
		if twice := a2.AppendJSON(nil); !bytes.Equal(once, twice) {
			t.Fatalf("not stable:\n%q\n%q", once, twice)
		}
	})
}
