package repartition

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/window"
)

var (
	plain   = &alerting.Rule{Hash: 7, ID: "plain", Title: "Plain", Save: true}
	counted = &alerting.Rule{
		Hash: math.MaxUint64, ID: "counted", GroupBy: [][]string{{"a", "b"}}, Tags: []string{"x"},
		Policy: &window.Policy{Kind: window.Count, N: 3, Within: time.Minute},
	}
)

func known(hash uint64) *alerting.Rule {
	for _, r := range []*alerting.Rule{plain, counted} {
		if r.Hash == hash {
			return r
		}
	}
	return nil
}

func events() *rapid.Generator[*alerting.Event] {
	return rapid.Custom(func(t *rapid.T) *alerting.Event {
		text := func(name string) string { return rapid.String().Draw(t, name) }
		number := func(name string) int64 { return rapid.Int64().Draw(t, name) }
		ev := &alerting.Event{
			Summary: cloudtrail.Summary{
				EventID: text("id"), EventName: text("name"), EventSource: text("source"), Account: text("account"),
				CallerAccount: text("caller"), Region: text("region"), User: text("user"), SourceIP: text("ip"),
			},
			Raw: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "raw"), Position: text("position"), Partition: text("partition"),
			Sum: rapid.Uint32().Draw(t, "sum"), Time: number("time"), Timed: rapid.Bool().Draw(t, "timed"),
			HasTime: rapid.Bool().Draw(t, "has"), Reached: number("reached"), Arrived: number("arrived"),
			Secondary: rapid.Bool().Draw(t, "secondary"), Folded: rapid.IntRange(0, 1<<40).Draw(t, "folded"),
			Matches: []alerting.Match{},
		}
		copy(ev.Identity[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "identity"))
		for range rapid.IntRange(0, 3).Draw(t, "matches") {
			m := alerting.Match{
				Rule:    rapid.SampledFrom([]*alerting.Rule{plain, counted}).Draw(t, "rule"),
				Value:   rapid.Uint64().Draw(t, "value"),
				NoValue: rapid.Bool().Draw(t, "no value"), NoGroup: rapid.Bool().Draw(t, "no group"),
			}
			if key := rapid.SliceOf(rapid.Byte()).Draw(t, "key"); len(key) > 0 {
				m.Key = key
			}
			if rapid.Bool().Draw(t, "suppressed") {
				m.Suppressed = &matcher.Suppression{Reason: text("reason"), OnKey: rapid.Bool().Draw(t, "on key")}
			}
			ev.Matches = append(ev.Matches, m)
		}
		return ev
	})
}

func TestEventsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ev := events().Draw(t, "event")
		wire := AppendEvent(nil, ev, ev.Matches)
		got, err := Decode(wire, known)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ev, got.Event, cmp.AllowUnexported(alerting.Rule{})); d != "" {
			t.Errorf("(-sent +read)\n%s", d)
		}
		alone, err := DecodeEvent(wire)
		if err != nil {
			t.Fatal(err)
		}
		ev.Matches = nil
		if d := cmp.Diff(ev, alone); d != "" {
			t.Errorf("without matches (-sent +read)\n%s", d)
		}
	})
}

func TestRulesAndMarkersComeBack(t *testing.T) {
	for _, r := range []*alerting.Rule{plain, counted} {
		got, err := Decode(AppendRule(nil, r), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, got.Rule, cmp.AllowUnexported(alerting.Rule{})); d != "" {
			t.Errorf("rule (-sent +read)\n%s", d)
		}
	}
	for _, m := range []*Marker{
		{Writer: "w"},
		{
			Writer: "worker-1", Written: 12, Exists: []string{"a/0", "a/1"}, Closed: []string{"b/0"},
			Parts: []Part{{Name: "a/0", Reached: math.MinInt64}, {Name: "a/1", Reached: 5, Idle: 9, Live: true}},
		},
	} {
		got, err := Decode(AppendMarker(nil, m), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got.Marker); d != "" {
			t.Errorf("marker (-sent +read)\n%s", d)
		}
		if ev, err := DecodeEvent(AppendMarker(nil, m)); ev != nil || err != nil {
			t.Errorf("a marker is read as event %v, error %v", ev, err)
		}
	}
}

func TestUnknownRulesAndVersionsAreRefused(t *testing.T) {
	ev := &alerting.Event{Raw: []byte("{}"), Matches: []alerting.Match{{Rule: plain}}}
	nobody := func(uint64) *alerting.Rule { return nil }
	if _, err := Decode(AppendEvent(nil, ev, ev.Matches), nobody); err == nil {
		t.Error("a match of a rule that nobody told of is taken")
	}
	newer := AppendMarker(nil, &Marker{})
	newer[0]++
	if _, err := Decode(newer, known); err == nil {
		t.Error("a newer format is taken")
	}
	newer[0]--
	newer[1] = 200
	if _, err := Decode(newer, known); err == nil {
		t.Error("an unknown kind is taken")
	}
}

func FuzzDecode(f *testing.F) {
	ev := &alerting.Event{Raw: []byte(`{"eventName":"A"}`), Partition: "t/0", Matches: []alerting.Match{{Rule: counted, Key: []byte("k")}}}
	f.Add(AppendEvent(nil, ev, ev.Matches))
	f.Add(AppendRule(nil, counted))
	f.Add(AppendMarker(nil, &Marker{Writer: "w", Parts: []Part{{Name: "a/0", Reached: 1}}, Exists: []string{"x"}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := Decode(b, known)
		if err != nil {
			return
		}
		var again []byte
		switch {
		case rec.Event != nil:
			again = AppendEvent(nil, rec.Event, rec.Event.Matches)
		case rec.Rule != nil:
			again = AppendRule(nil, rec.Rule)
		case rec.Marker != nil:
			again = AppendMarker(nil, rec.Marker)
		default:
			t.Fatal("neither an error nor a record")
		}
		twice, err := Decode(again, known)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if d := cmp.Diff(rec, twice, cmp.AllowUnexported(alerting.Rule{})); d != "" {
			t.Errorf("(-first +second)\n%s", d)
		}
	})
}
