package matcher

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func TestRawText(t *testing.T) {
	has := func(s string) Node { return &RawText{Op: Contains(false, s)} }
	tests := []struct {
		node  Node
		event string
		want  bool
	}{
		{has(`"a" : "b`), `{"a" : "b c"}`, true},
		{has(`"a":"b`), `{"a" : "b c"}`, false},
		{has(`A`), `{"a":"b"}`, false},
		{has(`\u0041`), `{"a":"\u0041"}`, true},
		{has(`A`), `{"a":"\u0041"}`, false},
		{&Not{Node: has("x")}, `{"a":"b"}`, true},
		{&JSONText{Path: Dotted("p"), Node: has(`"p"`)}, `{"p":"{}"}`, true},
	}
	for _, tt := range tests {
		if got := evaluates(t, tt.node, tt.event); got != tt.want {
			t.Errorf("%s on %s: %t", tt.node.canon(nil), tt.event, got)
		}
	}
	var ev cloudtrail.Event
	ev.Reset([]byte(`{"a": 1}`))
	ex, err := Explain(rule("r", has(`: 1`)), &ev)
	if err != nil || !ex.Held || ex.Text != `the event as it came contains ": 1"` {
		t.Errorf("explained as %+v, %v", ex, err)
	}
}

// TestRawTextIsNotIndexedAway: a text may stand anywhere, so that the index must
// offer such a rule for every event.
func TestRawTextIsNotIndexedAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(genTexts).Draw(t, "text")
		raw := drawEvent(t)
		rules := []*Rule{
			{ID: "alone", Enabled: true, Cond: &RawText{Op: Contains(false, text)}},
			{ID: "either", Enabled: true, Cond: &Or{Nodes: []Node{drawNode(t, 1), &RawText{Op: Contains(false, text)}}}},
			{ID: "not", Enabled: true, Cond: &Not{Node: &RawText{Op: Contains(false, text)}}},
		}
		rs, err := Compile(rules, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var ev cloudtrail.Event
		ev.Reset([]byte(raw))
		hits, _, err := rs.NewMatcher().Match(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		held := map[string]bool{}
		for _, h := range hits {
			held[h.Rule.ID] = true
		}
		want := len(text) == 0 || containsText(raw, text)
		if held["alone"] != want || held["not"] == want || want && !held["either"] {
			t.Fatalf("%q in %s: %v", text, raw, held)
		}
	})
}

func containsText(s, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if s[i:i+len(sub)] == sub {
			return true
		}
	}
	return false
}
