package matcher

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func pair(path, other string, rel PairRelation, fold bool) *FieldPair {
	return &FieldPair{Path: Dotted(path), Other: Dotted(other), Rel: rel, Fold: fold}
}

// evaluates says whether n holds for the event, found through the index.
func evaluates(t *testing.T, n Node, event string) bool {
	t.Helper()
	hits, _ := match(t, mustCompile(t, Options{}, rule("r", n)).NewMatcher(), event)
	return len(hits) == 1
}

func TestFieldPair(t *testing.T) {
	tests := []struct {
		node  *FieldPair
		event string
		want  bool
	}{
		{pair("a", "b", PairEqual, true), `{"a":"X","b":"x"}`, true},
		{pair("a", "b", PairEqual, false), `{"a":"X","b":"x"}`, false},
		{pair("a", "b", PairEqual, true), `{"a":"X"}`, false},
		{pair("a", "b", PairEqual, true), `{}`, false},
		{pair("a", "b", PairEqual, true), `{"a":null,"b":null}`, false},
		{pair("a", "b", PairEqual, true), `{"a":1,"b":"1"}`, true},
		{pair("a", "b", PairEqual, true), `{"a":true,"b":"TRUE"}`, true},
		{pair("a", "b", PairPrefix, true), `{"a":"Xyz","b":"x"}`, true},
		{pair("a", "b", PairSuffix, true), `{"a":"Xyz","b":"YZ"}`, true},
		{pair("a", "b", PairContains, false), `{"a":"Xyz","b":"y"}`, true},
		{pair("a", "b", PairContains, false), `{"a":"y","b":"Xyz"}`, false},
		{pair("a.b", "c", PairEqual, false), `{"a":[{"b":"1"},{"b":["2","3"]}],"c":["3"]}`, true},
		{pair("a.b", "c", PairEqual, false), `{"a":[{"b":"1"},{"b":["2","3"]}],"c":["4"]}`, false},
		{pair("a", "c", PairEqual, false), `{"a":{"x": 1},"c":"{\"x\":1}"}`, true},
	}
	for _, tt := range tests {
		if got := evaluates(t, tt.node, tt.event); got != tt.want {
			t.Errorf("%s on %s: %t", tt.node.canon(nil), tt.event, got)
		}
	}
	var ev cloudtrail.Event
	ev.Reset([]byte(`{"a":"X","b":"x"}`))
	ex, err := Explain(rule("r", pair("a", "b", PairEqual, true)), &ev)
	if err != nil || !ex.Held || strings.Join(ex.Seen, " ") != `"X" "x"` || !strings.Contains(ex.Text, "is the value of b") {
		t.Errorf("explained as %+v, %v", ex, err)
	}
}

func TestHoldsNull(t *testing.T) {
	missingOrNull := &Field{Path: Dotted("a.b"), Leaf: Leaf{Op: HoldsNull(), Absent: true}}
	for event, want := range map[string]bool{
		`{}`: true, `{"a":{}}`: true, `{"a":null}`: true, `{"a":{"b":null}}`: true, `{"a":{"b":[1,null]}}`: true,
		`{"a":{"b":[]}}`: false, `{"a":{"b":""}}`: false, `{"a":[{"b":1},{}]}`: false, `{"a":[{"b":1},{"b":null}]}`: true,
		`{"a":{"b":{}}}`: false,
	} {
		if got := evaluates(t, missingOrNull, event); got != want {
			t.Errorf("%s: %t", event, got)
		}
	}
}

func TestTextOfObjectArrays(t *testing.T) {
	n := &Field{Path: Dotted("a"), Leaf: Leaf{Op: Contains(false, "}, {", "},{", "*"), AsText: TextObjects | TextObjectArrays}}
	any := &Field{Path: Dotted("a"), Leaf: Leaf{Op: Contains(false, ""), AsText: TextObjectArrays}}
	for event, want := range map[string][2]bool{
		`{"a":[{"x":1} , {"x":2}]}`: {true, true}, `{"a":[]}`: {false, false}, `{"a":["},{"]}`: {true, true},
		`{"a":["x"]}`: {false, true}, `{"a":[1]}`: {false, false}, `{"a":[1,{}]}`: {false, true},
	} {
		if got := [2]bool{evaluates(t, n, event), evaluates(t, any, event)}; got != want {
			t.Errorf("%s: %v, want %v", event, got, want)
		}
	}
}

func TestDocument(t *testing.T) {
	has := func(fold bool, s string) Node { return &Document{Op: Contains(fold, s)} }
	inside := &JSONText{Path: Dotted("p"), Node: &And{Nodes: []Node{has(false, `"K":1`), has(true, `"k"`)}}}
	tests := []struct {
		node  Node
		event string
		want  bool
	}{
		{has(true, `"A":"B C"`), `{"a" : "b c"}`, true},
		{has(false, `"A":"B C"`), `{"a" : "b c"}`, false},
		{&And{Nodes: []Node{has(true, "A"), has(false, "b"), has(true, "C")}}, `{"a":"b","c":1}`, true},
		{&And{Nodes: []Node{has(false, "p"), inside, has(false, `"p":`)}}, `{"p":"{\"K\": 1}"}`, true},
		{&And{Nodes: []Node{inside}}, `{"p":["{\"J\": 1}","{\"K\": 1}"]}`, true},
	}
	for _, tt := range tests {
		if got := evaluates(t, tt.node, tt.event); got != tt.want {
			t.Errorf("%s on %s: %t", tt.node.canon(nil), tt.event, got)
		}
	}
}

// drawPairNode draws a condition with the nodes and operators of Sigma in it.
func drawPairNode(t *rapid.T) Node {
	leaf := Leaf{Op: drawOp(t, 1), AsText: TextMask(rapid.IntRange(0, 31).Draw(t, "as text"))}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		leaf = Leaf{Op: HoldsNull(), Absent: rapid.Bool().Draw(t, "absent"), Null: NullMode(rapid.IntRange(0, 3).Draw(t, "null"))}
	case 1:
		leaf.Op = CompareDatePart(DatePart(rapid.IntRange(0, 5).Draw(t, "part")), GE, 0)
	}
	nodes := []Node{
		&Field{Path: drawPath(t), Leaf: leaf},
		&FieldPair{
			Path: drawPath(t), Other: drawPath(t), Rel: PairRelation(rapid.IntRange(0, 3).Draw(t, "rel")),
			Fold: rapid.Bool().Draw(t, "fold"),
		},
		&Document{Op: drawOp(t, 1)},
	}
	n := rapid.SampledFrom(nodes).Draw(t, "sigma node")
	switch rapid.IntRange(0, 3).Draw(t, "around") {
	case 0:
		return &And{Nodes: []Node{drawNode(t, 1), n}}
	case 1:
		return &Or{Nodes: []Node{drawNode(t, 1), n}}
	case 2:
		return &Not{Node: n}
	}
	return n
}

// TestPairIndexIsSound: what the index answers is what evaluation answers.
func TestPairIndexIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rules []*Rule
		for i := range rapid.IntRange(1, 8).Draw(t, "rules") {
			rules = append(rules, rule(string(rune('a'+i)), drawPairNode(t)))
		}
		rs, err := Compile(rules, Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := rs.NewMatcher()
		for range 3 {
			raw := drawEvent(t)
			var ev cloudtrail.Event
			ev.Reset([]byte(raw))
			hits, _, err := m.Match(nil, &ev)
			if err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			ev.Reset([]byte(raw))
			v, err := ev.Parse()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, r := range rs.Rules() {
				var e evaluator // fresh: nothing cached
				e.begin()
				if r.Cond.eval(&e, v) {
					want = append(want, r.ID)
				}
			}
			if got := ids(hits); got != strings.Join(want, " ") {
				for _, r := range rules {
					t.Logf("%s: %s", r.ID, r.Cond.canon(nil))
				}
				t.Fatalf("%s: the index answers %q, evaluation %q", raw, got, want)
			}
		}
	})
}
