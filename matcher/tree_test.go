package matcher

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fastjson"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func drawTree(t *rapid.T) *Tree {
	var leaves []TreeLeaf
	for range rapid.IntRange(1, 4).Draw(t, "leaves") {
		path := rapid.SampledFrom(append([]string{"a.c", "a.b.d", "a.b.c.b", "userIdentity.b"}, genPaths...)).Draw(t, "leaf path")
		l := TreeLeaf{Path: strings.Split(path, "."), Absent: rapid.IntRange(0, 2).Draw(t, "leaf absent") == 0}
		if !l.Absent || rapid.Bool().Draw(t, "leaf op") {
			l.Op = drawOp(t, 1)
		}
		leaves = append(leaves, l)
	}
	return NewTree(rapid.Bool().Draw(t, "plain"), leaves, Note{})
}

// flat is a scalar of an event, under its dotted path, with the elements of
// arrays that it is in, as event-ruler flattens events.
type flat struct {
	v  *fastjson.Value
	in map[int]int // number of an array: index in it
}

type flattener struct {
	fields map[string][]flat
	arrays int
	in     map[int]int
	plain  bool // keys with dots at the top are other names
}

func (f *flattener) walk(v *fastjson.Value, path []string) {
	switch v.Type() {
	case fastjson.TypeObject:
		seen := map[string]bool{}
		v.GetObject().Visit(func(key []byte, m *fastjson.Value) {
			k := string(key)
			if seen[k] || len(path) == 0 && f.plain && strings.Contains(k, ".") {
				return
			}
			seen[k] = true
			f.walk(m, append(slices.Clone(path), k))
		})
	case fastjson.TypeArray:
		id := f.arrays
		f.arrays++
		for i, el := range v.GetArray() {
			if isScalar(el) {
				f.walk(el, path)
				continue
			}
			f.in[id] = i
			f.walk(el, path)
			delete(f.in, id)
		}
	default:
		name := strings.Join(path, ".")
		f.fields[name] = append(f.fields[name], flat{v, maps.Clone(f.in)})
	}
}

func consistent(so, far map[int]int) bool {
	for id, i := range far {
		if j, ok := so[id]; ok && j != i {
			return false
		}
	}
	return true
}

// searches tries every combination of values.
func searches(leaves []TreeLeaf, fields map[string][]flat, in map[int]int) bool {
	if len(leaves) == 0 {
		return true
	}
	l := &leaves[0]
	here := slices.DeleteFunc(slices.Clone(fields[strings.Join(l.Path, ".")]), func(f flat) bool { return !consistent(in, f.in) })
	if l.Absent && len(here) == 0 && searches(leaves[1:], fields, in) {
		return true
	}
	for _, f := range here {
		w := treeWalk{e: &evaluator{}}
		if !w.judge(l, f.v) {
			continue
		}
		both := maps.Clone(in)
		maps.Copy(both, f.in)
		if searches(leaves[1:], fields, both) {
			return true
		}
	}
	return false
}

// TestTreeIsASearch: one pass over the event finds what trying every
// combination of its values does.
func TestTreeIsASearch(t *testing.T) { rapid.Check(t, treeIsASearch) }

func FuzzTreeIsASearch(f *testing.F) { f.Fuzz(rapid.MakeFuzz(treeIsASearch)) }

func treeIsASearch(t *rapid.T) {
	tree := drawTree(t)
	var ev cloudtrail.Event
	for range 4 {
		raw := drawArrays(t, 4)
		ev.Reset([]byte(raw))
		v, err := ev.Parse()
		if err != nil {
			t.Fatal(err)
		}
		f := &flattener{fields: map[string][]flat{}, in: map[int]int{}, plain: tree.plain}
		f.walk(v, nil)
		want := searches(tree.leaves, f.fields, map[int]int{})
		if got := tree.eval(&evaluator{}, v); got != want {
			t.Fatalf("%t, want %t\ntree: %s\nevent: %s", got, want, tree.canon(nil), raw)
		}
	}
}

// drawArrays draws an object full of arrays of objects with few keys.
func drawArrays(t *rapid.T, depth int) string {
	var members []string
	for _, key := range []string{"a", "b", "c", "d"} {
		if depth < 4 && rapid.Bool().Draw(t, "without "+key) {
			continue
		}
		members = append(members, fmt.Sprintf("%q:%s", key, drawArrayValue(t, depth-1)))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func drawArrayValue(t *rapid.T, depth int) string {
	most := 7
	if depth <= 0 {
		most = 2
	}
	switch n := rapid.IntRange(0, most).Draw(t, "array value"); n {
	case 0, 1, 2:
		return rapid.SampledFrom([]string{`"Aa"`, `"k"`, `1`, `null`, `"1"`, `{}`, `[]`}).Draw(t, "scalar")
	case 3:
		return drawArrays(t, depth)
	default:
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			parts = append(parts, drawArrayValue(t, depth-1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
}

func equalLeaf(path, value string) TreeLeaf {
	return TreeLeaf{Path: strings.Split(path, "."), Op: Equals(false, value)}
}

func absentLeaf(path string) TreeLeaf { return TreeLeaf{Path: strings.Split(path, "."), Absent: true} }

func TestTree(t *testing.T) {
	xy := []TreeLeaf{equalLeaf("r.list.x", "1"), equalLeaf("r.list.y", "2")}
	without := []TreeLeaf{equalLeaf("r.list.x", "1"), absentLeaf("r.list.y")}
	lacking := []TreeLeaf{absentLeaf("r.list.x"), equalLeaf("r.list.y", "2")}
	dotted := []TreeLeaf{equalLeaf("r.com.example.x", "1"), equalLeaf("r.com.example.y", "2")}
	cases := []struct {
		leaves []TreeLeaf
		event  string
		want   bool
	}{
		{xy, `{"r":{"list":[{"x":"1","y":"2"}]}}`, true},
		{xy, `{"r":{"list":[{"x":"1"},{"y":"2"}]}}`, false},
		{xy, `{"r":[{"list":[{"x":"1"}]},{"list":[{"y":"2"}]}]}`, false},
		{xy, `{"r":[{"list":{"x":"1","y":"2"}}]}`, true},
		{without, `{"r":{"list":[{"x":"1"},{"x":"1","y":"2"}]}}`, true},
		{without, `{"r":{"list":[{"x":"0"},{"x":"1","y":"2"}]}}`, false},
		// The absent leaf comes first: it is of all elements.
		{lacking, `{"r":{"list":[{"y":"2"},{"x":"1"}]}}`, false},
		{lacking, `{"r":{"list":[{"y":"2"},{"y":"1"}]}}`, true},
		{[]TreeLeaf{absentLeaf("r.x")}, `{"r":{"x":[]}}`, true},
		{[]TreeLeaf{absentLeaf("r.x")}, `{"r":{"x":{"y":1}}}`, true},
		{[]TreeLeaf{absentLeaf("r.x")}, `{"r":{"x":null}}`, false},
		{[]TreeLeaf{absentLeaf("r.x")}, `{}`, true},
		{[]TreeLeaf{equalLeaf("r", "1"), equalLeaf("r.x", "2")}, `{"r":["1",{"x":"2"}]}`, true},
		{[]TreeLeaf{equalLeaf("r", "1"), equalLeaf("r.x", "2")}, `{"r":[["1"],{"x":"2"}]}`, false},
		{dotted, `{"r":{"com.example.x":"1","com.example":{"y":"2"}}}`, true},
		{dotted, `{"r":{"com.example.x":"1","com":{"example":{"y":"2"}}}}`, true},
		{dotted, `{"r":{"com.example.x":"1","com":{"example":{"y":"1"}}}}`, false},
		{dotted, `{"r":{"com.example":[{"x":"1"},{"y":"2"}]}}`, false},
		{dotted, `{"r":{"com.example":[{"x":"0"},{"x":"1","y":"2"}]}}`, true},
		{[]TreeLeaf{equalLeaf("r.a", "1")}, `{"r.a":"1"}`, false},
	}
	var ev cloudtrail.Event
	for _, c := range cases {
		ev.Reset([]byte(c.event))
		v, err := ev.Parse()
		if err != nil {
			t.Fatal(err)
		}
		tree := NewTree(true, c.leaves, Note{})
		if got := tree.eval(&evaluator{}, v); got != c.want {
			t.Errorf("%t, want %t: %s of %s", got, c.want, tree.canon(nil), c.event)
		}
	}
}

// TestTreeCostIsBounded: arrays in which every combination fails cost no more
// than a few looks at each value.
func TestTreeCostIsBounded(t *testing.T) {
	const arrays, elements = 40, 50
	var leaves []TreeLeaf
	var members []string
	for i := range arrays {
		key := fmt.Sprintf("k%02d", i)
		leaves = append(leaves, equalLeaf(key+".x", "1"), equalLeaf(key+".y", "1"))
		members = append(members, fmt.Sprintf(`%q:[%s{"x":"1","y":%q}]`, key, strings.Repeat(`{"x":"1","y":"0"},`, elements), "1"))
	}
	leaves = append(leaves, equalLeaf("zzz.x", "1"))
	nested := strings.Repeat("[", 60) + `"1"` + strings.Repeat("]", 60)
	leaves = append(leaves, equalLeaf("n", "1"), equalLeaf("n.x", "1"))
	var ev cloudtrail.Event
	ev.Reset([]byte("{" + strings.Join(append(members, `"n":`+nested), ",") + "}"))
	v, err := ev.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if NewTree(true, leaves, Note{}).eval(&evaluator{}, v) {
		t.Error("holds")
	}
}

func TestLooseAddr(t *testing.T) {
	for text, want := range map[string]string{
		"010.1.2.3": "10.1.2.3", "10.1.2.3": "10.1.2.3", "::ffff:a01:203": "10.1.2.3", "::F": "::f", "0000010.1.2.3": "10.1.2.3",
		"00000000010.1.2.3": "", "256.1.1.1": "", "1.2.3": "", "1.2.3.": "", ".1.2.3": "", "1.2.3.4.5": "", "::ffff:10.1.2.3": "",
		"fe80::1%eth0": "", "": "", "a": "", ":": "", "ec2.amazonaws.com": "",
	} {
		a, ok := ParseLooseAddr(text)
		if got := a.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %s %t, want %q", text, got, ok, want)
		}
	}
}

func TestRewritten(t *testing.T) {
	twice := func(dst, text []byte) []byte { return append(append(dst, text...), text...) }
	op := Every(Equals(true, "ab"), Rewritten("twice", twice, Rewritten("twice", twice, Equals(true, "ABABABAB"))), Equals(true, "Ab"))
	if !HoldsForText(op, "aB") || HoldsForText(op, "a") {
		t.Errorf("%s", op.words())
	}
}
