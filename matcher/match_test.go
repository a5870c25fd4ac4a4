package matcher

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func rule(id string, cond Node) *Rule { return &Rule{ID: id, Enabled: true, Cond: cond} }

func mustCompile(t testing.TB, o Options, rules ...*Rule) *Ruleset {
	t.Helper()
	rs, err := Compile(rules, o)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func match(t *testing.T, m *Matcher, event string) (hits []Hit, candidate bool) {
	t.Helper()
	var ev cloudtrail.Event
	ev.Reset([]byte(event))
	hits, candidate, err := m.Match(nil, &ev)
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	return hits, candidate
}

func ids(hits []Hit) string {
	var out []string
	for _, h := range hits {
		out = append(out, h.Rule.ID)
	}
	return strings.Join(out, " ")
}

func TestMatch(t *testing.T) {
	disabled := rule("d", field("eventName", is("A")))
	disabled.Enabled = false
	rs := mustCompile(t, Options{}, disabled,
		rule("c-any-case", field("eventName", Equals(true, "a"))),
		rule("b-exact", field("eventName", is("A"))),
		rule("a-second", &And{Nodes: []Node{field("eventName", is("A", "B")), field("errorCode", is("X"))}}),
		rule("e-source", field("eventSource", is("s3"))),
		rule("f-pattern", field("eventName", HasPrefix(false, "Del"))))
	m := rs.NewMatcher()
	tests := []struct {
		event, want string
		candidate   bool
	}{
		{`{"eventName":"A"}`, "b-exact c-any-case", true},
		{`{"eventName":"a"}`, "c-any-case", true},
		{`{"eventName":"A","errorCode":"X"}`, "a-second b-exact c-any-case", true},
		{`{"eventName":"B","errorCode":"Y"}`, "", false},
		{`{"eventName":"B","errorCode":["Y","X"]}`, "a-second", true},
		{`{"eventName":"DeleteX"}`, "f-pattern", true},
		{`{"eventName":"DeleteX","eventSource":"s3"}`, "e-source f-pattern", true},
		{`{"eventName":["Z","A"]}`, "b-exact c-any-case", true},
		{`{"eventName":"Z"}`, "", false},
		{`{"eventSource":"ec2","eventName":"Z","tail":"is not looked at" nor validated}`, "", false},
		{`{}`, "", false},
	}
	for range 2 { // the second time names are remembered
		for _, tt := range tests {
			hits, candidate := match(t, m, tt.event)
			if ids(hits) != tt.want || candidate != tt.candidate {
				t.Errorf("%s: %q, candidate %t; want %q, %t", tt.event, ids(hits), candidate, tt.want, tt.candidate)
			}
		}
	}
	var ev cloudtrail.Event
	// A candidate that does not parse, and a field that breakage hides.
	for _, broken := range []string{`{"eventName":"A","a":}`, `{"eventName":"Z","a":,"eventSource":"s3"}`} {
		ev.Reset([]byte(broken))
		if hits, candidate, err := m.Match([]Hit{{}}, &ev); err == nil || !candidate || len(hits) != 1 {
			t.Errorf("%s: %d hits, candidate %t, error %v", broken, len(hits), candidate, err)
		}
	}
	if rs.Rule("d") != disabled || rs.Rule("x") != nil || len(rs.Rules()) != 6 {
		t.Error("Rule or Rules is wrong")
	}
}

func TestMatcherCountsEvaluations(t *testing.T) {
	var clock int64
	rs := mustCompile(t, Options{}, rule("a", field("eventName", is("A"))), rule("b", field("eventName", Equals(true, "a"))))
	m := rs.NewMatcherWith(MatcherOptions{SampleEvery: 2, Now: func() int64 { clock += 10; return clock }})
	for range 4 {
		match(t, m, `{"eventName":"a"}`)
	}
	take := func() map[string]RuleStats {
		got := map[string]RuleStats{}
		m.TakeStats(func(r *Rule, s RuleStats) { got[r.ID] = s })
		return got
	}
	want := map[string]RuleStats{"a": {Evaluated: 4, Sampled: 2, Nanos: 20}, "b": {Evaluated: 4, Matched: 4, Sampled: 2, Nanos: 20}}
	if diff := cmp.Diff(want, take()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	if left := take(); len(left) > 0 {
		t.Errorf("stats taken twice: %v", left)
	}
}

func TestSuppression(t *testing.T) {
	expires := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	byUser := &Suppression{Cond: field("user", is("ci")), Expires: expires, Reason: "expiring"}
	onKey := &Suppression{Cond: field("account", is("1")), Reason: "on key"}
	global := &Suppression{Cond: field("account", is("1", "2")), Reason: "global", Rules: []string{"thr*"}}
	plain := rule("plain", field("eventName", is("A")))
	plain.Suppress = []*Suppression{byUser}
	threshold := rule("threshold", field("eventName", is("A")))
	threshold.Suppress = []*Suppression{onKey, {Cond: field("user", is("ops")), Reason: "on event"}}
	threshold.Threshold = &Threshold{Count: 2, Window: time.Minute, GroupBy: []cloudtrail.Path{{"account"}}}
	m := mustCompile(t, Options{Suppress: []*Suppression{global}}, plain, threshold).NewMatcher()
	if !onKey.OnKey || byUser.OnKey || global.OnKey {
		t.Errorf("OnKey: %t %t %t, want true false false", onKey.OnKey, byUser.OnKey, global.OnKey)
	}
	tests := []struct{ event, want string }{
		{`{"eventName":"A","user":"ci","eventTime":"2026-03-01T23:59:59Z"}`, "plain=expiring threshold="},
		{`{"eventName":"A","user":"ci","eventTime":"2026-03-02T00:00:00Z"}`, "plain= threshold="},
		{`{"eventName":"A","user":"ci","eventTime":"soon"}`, "plain= threshold="},
		{`{"eventName":"A","user":"ops","account":"1"}`, "plain= threshold=on event"},
		{`{"eventName":"A","account":"1"}`, "plain= threshold=on key/key"},
		{`{"eventName":"A","account":"2"}`, "plain= threshold=global/key"},
	}
	for _, tt := range tests {
		hits, _ := match(t, m, tt.event)
		var got []string
		for _, h := range hits {
			s := h.Rule.ID + "="
			if h.Suppressed != nil {
				s += h.Suppressed.Reason
				if h.Suppressed.OnKey {
					s += "/key"
				}
			}
			got = append(got, s)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.event, got, tt.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	a := rule("same", field("a", Exists()))
	a.Pos = Pos{"a.yaml", 3, 5}
	b := rule("same", field("a", Exists()))
	b.Pos = Pos{"b.yaml", 7, 5}
	c := &Rule{ID: "empty", Pos: Pos{"b.yaml", 9, 1}, Threshold: &Threshold{Count: 1}}
	_, err := Compile([]*Rule{a, b, c}, Options{})
	if err == nil {
		t.Fatal("accepted")
	}
	want := "b.yaml:7:5: rule same is already defined at a.yaml:3:5\n" +
		"b.yaml:9:1: rule empty has no condition\n" +
		"b.yaml:9:1: rule empty: a threshold needs a count and a window, or absent_for"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestRuleHash(t *testing.T) {
	hash := func(r *Rule) uint64 { return mustCompile(t, Options{}, r).Rules()[0].Hash }
	base := hash(rule("a", &And{Nodes: []Node{field("a", is("x", "y")), field("b", Exists())}}))
	noted := rule("a", &And{Note: Note{Label: "words"}, Nodes: []Node{field("b", Exists()), field("a", is("y", "x", "x"))}})
	noted.Title = "another"
	if hash(noted) != base {
		t.Error("order, notes or the title change the hash")
	}
	limited := rule("a", &And{Nodes: []Node{field("a", is("x", "y")), field("b", Exists())}})
	limited.Threshold = &Threshold{Count: 2, Window: time.Minute}
	for name, other := range map[string]*Rule{
		"id":        rule("b", &And{Nodes: []Node{field("a", is("x", "y")), field("b", Exists())}}),
		"value":     rule("a", &And{Nodes: []Node{field("a", is("x", "z")), field("b", Exists())}}),
		"fold":      rule("a", &And{Nodes: []Node{field("a", Equals(true, "x", "y")), field("b", Exists())}}),
		"parameter": rule("a", &And{Nodes: []Node{with(field("a", is("x", "y")), func(l *Leaf) { l.Absent = true }), field("b", Exists())}}),
		"path":      rule("a", &And{Nodes: []Node{field("a", is("x", "y")), field("c", Exists())}}),
		"threshold": limited,
	} {
		if hash(other) == base {
			t.Errorf("another %s leaves the hash as it was", name)
		}
	}
}

func TestIndexServes(t *testing.T) {
	finite, err := Regex("^(Delete|Put)(Group|Role)?Policy$", false)
	if err != nil {
		t.Fatal(err)
	}
	rs := mustCompile(t, Options{},
		rule("finite", field("eventName", finite)),
		rule("pattern", field("eventName", Contains(false, "Trail"))),
		rule("field", field("userIdentity.type", is("Root"))),
		rule("either", &Or{Nodes: []Node{field("errorCode", is("X")), field("eventName", is("A"))}}),
		rule("negated", &Not{Node: field("eventName", is("A"))}),
		rule("anywhere", &Anywhere{Key: "a", Leaf: Leaf{Op: Exists()}}))
	var unindexed []string
	for _, r := range rs.Unindexed() {
		unindexed = append(unindexed, r.ID)
	}
	if diff := cmp.Diff([]string{"anywhere", "negated"}, unindexed); diff != "" {
		t.Errorf("unindexed (-want +got):\n%s", diff)
	}
	want := IndexStats{
		Rules: 6, Names: 7, ByName: 2, ByNamePattern: 1, ByField: 2, Unindexed: 2, Groups: 5, LargestGroup: 2,
		Fields: map[string]int{"userIdentity.type": 1, "errorCode": 1},
	}
	if diff := cmp.Diff(want, rs.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

// TestSharedNameIsSplit: of 10,000 rules on one name, an event meets those of
// its account only.
func TestSharedNameIsSplit(t *testing.T) {
	m := mustCompile(t, Options{}, sharedRules(10_000)...).NewMatcher()
	hits, candidate := match(t, m, `{"eventName":"ConsoleLogin","recipientAccountId":"100000000007","errorCode":"X"}`)
	if ids(hits) != "r00007" || !candidate {
		t.Errorf("hits %q, candidate %t", ids(hits), candidate)
	}
	evaluated := 0
	m.TakeStats(func(*Rule, RuleStats) { evaluated++ })
	if evaluated != 1 {
		t.Errorf("%d rules were evaluated, want 1", evaluated)
	}
	if _, candidate := match(t, m, `{"eventName":"ConsoleLogin","recipientAccountId":"100000000007"}`); candidate {
		t.Error("a candidate without the errorCode that every rule needs")
	}
}

// TestNameCache: names met by many Matchers at once resolve alike, and a
// stream of new ones does not grow it without bound.
func TestNameCache(t *testing.T) {
	rs := mustCompile(t, Options{}, rule("odd", field("eventName", HasSuffix(false, "7"))), rule("nine", field("eventName", is("Name9"))))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			m := rs.NewMatcher()
			var ev cloudtrail.Event
			for i := range 3000 {
				ev.Reset(fmt.Appendf(nil, `{"eventName":"Name%d"}`, i))
				hits, _, err := m.Match(nil, &ev)
				if want := i%10 == 7 || i == 9; err != nil || (len(hits) == 1) != want {
					t.Errorf("Name%d: %d hits, error %v", i, len(hits), err)
				}
			}
		})
	}
	wg.Wait()
	c := rs.index.cache
	if c.names != 3000 {
		t.Errorf("%d names remembered, want 3000", c.names)
	}
	m := rs.NewMatcher()
	c.names = maxNames - 1
	match(t, m, `{"eventName":"last"}`) // fills it
	for _, tt := range []struct{ name, want string }{{"new7", "odd"}, {"name9", ""}, {"Name9", "nine"}, {"new8", ""}, {strings.Repeat("x", maxNameBytes) + "7", "odd"}} {
		if hits, _ := match(t, m, `{"eventName":"`+tt.name+`"}`); ids(hits) != tt.want {
			t.Errorf("%s with a full cache: %q, want %q", tt.name, ids(hits), tt.want)
		}
	}
	if c.names != maxNames {
		t.Errorf("a full cache grew to %d names", c.names)
	}
}

func TestGroupKey(t *testing.T) {
	th := &Threshold{GroupBy: []cloudtrail.Path{{"a"}, {"b", "c"}}, Distinct: cloudtrail.Path{"b", "c"}}
	tests := []struct {
		event    string
		want     []KeyField
		distinct string // empty: none
	}{
		{`{"a":"x","b":{"c":"y"}}`, []KeyField{{"a", "x", false}, {"b.c", "y", false}}, "y"},
		{`{"a":"","b":{}}`, []KeyField{{"a", "", false}, {"b.c", "", true}}, ""},
		{`{"a":null,"b":{"c":{"d" : [1.0, "\u0041"]}}}`, []KeyField{{"a", "", true}, {"b.c", `{"d":[1.0,"A"]}`, false}}, `{"d":[1.0,"A"]}`},
		{`{"a":12345678901234567890,"b":[{"c":"y"}]}`, []KeyField{{"a", "12345678901234567890", false}, {"b.c", "y", false}}, "y"},
		{`{"a":true,"b":[{"c":"y"},{},{"c":2}]}`, []KeyField{{"a", "true", false}, {"b.c", `["y",2]`, false}}, `["y",2]`},
		{`{"a":"` + strings.Repeat("l", 300) + `"}`, []KeyField{{"a", strings.Repeat("l", 300), false}, {"b.c", "", true}}, ""},
	}
	seen := map[string]string{}
	for _, tt := range tests {
		var ev cloudtrail.Event
		ev.Reset([]byte(tt.event))
		key := th.AppendKey([]byte("rule:"), &ev)
		got, err := th.DecodeKey(key[len("rule:"):])
		if err != nil {
			t.Fatalf("%s: %v", tt.event, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.event, diff)
		}
		if other, ok := seen[string(key)]; ok {
			t.Errorf("%s and %s have one key", tt.event, other)
		}
		seen[string(key)] = tt.event
		distinct, ok := th.AppendDistinct([]byte(">"), &ev)
		if ok != (tt.distinct != "") || ok && string(distinct) != ">"+tt.distinct {
			t.Errorf("%s: distinct value %q, %t; want %q", tt.event, distinct, ok, tt.distinct)
		}
		for _, bad := range [][]byte{key[5 : len(key)-1], append(key[5:len(key):len(key)], 0), nil} {
			if _, err := th.DecodeKey(bad); err == nil {
				t.Errorf("DecodeKey(%q) is accepted", bad)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	r := rule("a", &And{Nodes: []Node{
		&Field{Path: Dotted("eventName"), Leaf: Leaf{Op: is("A")}, Note: Note{Label: "eventName: A", Pos: Pos{"f", 2, 3}}},
		&Not{Node: field("list", is("x"))},
		&SameElement{Path: Dotted("list"), Node: &JSONText{Path: Dotted("doc"), Node: field("k", is("v"))}},
	}})
	var ev cloudtrail.Event
	ev.Reset([]byte(`{"eventName":"B","list":["y",{"doc":"{\"k\":\"v\"}"}]}`))
	got, err := Explain(r, &ev)
	if err != nil {
		t.Fatal(err)
	}
	want := Explanation{Text: "all of", Parts: []Explanation{
		{Text: "eventName: A", Pos: Pos{"f", 2, 3}, Seen: []string{`"B"`}},
		{Text: "not", Held: true, Parts: []Explanation{{Text: `list is "x"`, Seen: []string{`["y",{"doc":"{\"k\":\"v\"}"}]`}}}},
		{Text: "an element of list", Held: true, Seen: []string{`"y"`, `{"doc":"{\"k\":\"v\"}"}`}, Parts: []Explanation{
			{Text: "JSON in doc"},
			{Text: "JSON in doc", Held: true, Seen: []string{`"{\"k\":\"v\"}"`}, Parts: []Explanation{
				{Text: `k is "v"`, Held: true, Seen: []string{`"v"`}},
			}},
		}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
	ev.Reset([]byte(`{"eventName":`))
	if _, err := Explain(r, &ev); err == nil {
		t.Error("a broken event is explained")
	}
}
