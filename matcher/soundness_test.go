package matcher

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// The generator draws from few paths, keys and texts, so that rules and events
// meet often, and from what is awkward: case, escapes, duplicates, arrays.
var (
	genPaths = []string{"eventName", "eventSource", "errorCode", "userIdentity.type", "a.b", "a.b.c", "a"}
	genTexts = []string{"Aa", "aA", "AA", "aab", "", "1", "\u212a", "k", "true", "é", "É", "ſs", "10.0.0.1"}
)

func drawText(t *rapid.T) string { return rapid.SampledFrom(genTexts).Draw(t, "text") }

func drawOp(t *rapid.T, depth int) Op {
	if rapid.IntRange(0, 7).Draw(t, "analysed") == 0 {
		return drawTokenOp(t)
	}
	fold := rapid.Bool().Draw(t, "fold")
	texts := rapid.SliceOfN(rapid.SampledFrom(genTexts), 1, 12).Draw(t, "texts")
	most := 12
	if depth == 0 {
		most = 9
	}
	switch rapid.IntRange(0, most).Draw(t, "op") {
	case 0, 1, 2:
		return Equals(fold, texts...)
	case 3:
		return HasPrefix(fold, texts[:1]...)
	case 4:
		return Contains(fold, texts[:1]...)
	case 5:
		pattern := rapid.SampledFrom([]string{"a*", "*", "A?", "aA", "*b", "?", "k"}).Draw(t, "glob")
		return Wildcard(fold, ParseGlob(pattern, GlobSyntax{Question: true}))
	case 6:
		expr := rapid.SampledFrom([]string{"^A(a|A)?$", "[^a]", "(?i)^k$", "a", "^(é|1)$", "x|^Aa$", "(?i)^[ks]+$"}).Draw(t, "regex")
		op, err := Regex(expr, rapid.Bool().Draw(t, "anchored"))
		if err != nil {
			t.Fatal(err)
		}
		return op
	case 7:
		op, err := Compare(Relation(rapid.IntRange(0, 5).Draw(t, "rel")), "1", fold)
		if err != nil {
			t.Fatal(err)
		}
		return op
	case 8:
		return rapid.SampledFrom([]Op{
			IsBool(true), IsNull(), Exists(), HasLeaf(), HasValue(), KindIs(KindString | KindNull),
			LooseCIDR(netip.MustParsePrefix("10.0.0.0/8")), Rewritten("capitals", appendFold[[]byte], Equals(fold, texts...)),
		}).Draw(t, "value op")
	case 9:
		return HasSuffix(fold, texts[:1]...)
	case 10:
		return OneOf(drawOp(t, depth-1), drawOp(t, depth-1))
	case 11:
		return Every(drawOp(t, depth-1), drawOp(t, depth-1))
	default:
		return Neither(drawOp(t, depth-1))
	}
}

func drawLeaf(t *rapid.T) Leaf {
	l := Leaf{Op: drawOp(t, 2)}
	if rapid.IntRange(0, 2).Draw(t, "odd") == 0 {
		l.Arrays = ArrayMode(rapid.IntRange(0, 2).Draw(t, "arrays"))
		l.AsText = TextMask(rapid.IntRange(0, 15).Draw(t, "as text"))
		l.Null = NullMode(rapid.IntRange(0, 3).Draw(t, "null"))
		l.Objects = ObjectMode(rapid.IntRange(0, 1).Draw(t, "objects"))
		l.Absent = rapid.IntRange(0, 3).Draw(t, "absent") == 0
	}
	return l
}

func drawPath(t *rapid.T) Path {
	p := Dotted(rapid.SampledFrom(genPaths).Draw(t, "path"))
	if rapid.IntRange(0, 9).Draw(t, "steps") == 0 {
		p = append(p, Step{Kind: StepKind(rapid.IntRange(1, 3).Draw(t, "step"))})
	}
	return p
}

func drawNode(t *rapid.T, depth int) Node {
	most := 11
	if depth == 0 {
		most = 4
	}
	nodes := func() []Node {
		var out []Node
		for range rapid.IntRange(0, 3).Draw(t, "parts") {
			out = append(out, drawNode(t, depth-1))
		}
		return out
	}
	switch rapid.IntRange(0, most).Draw(t, "node") {
	case 0, 1, 2:
		return &Field{Path: drawPath(t), Leaf: drawLeaf(t)}
	case 3:
		return &Field{Path: Dotted("eventName"), Leaf: Leaf{Op: drawOp(t, 1)}}
	case 4:
		return &Anywhere{Key: rapid.SampledFrom([]string{"b", "c", "type"}).Draw(t, "key"), Leaf: drawLeaf(t)}
	case 5, 6, 7:
		return &And{Nodes: nodes()}
	case 8, 9:
		return &Or{Nodes: nodes()}
	case 10:
		return &Not{Node: drawNode(t, depth-1)}
	default:
		sub := drawNode(t, depth-1)
		return rapid.SampledFrom([]Node{
			&SameElement{Path: drawPath(t), Node: sub},
			&JSONText{Path: drawPath(t), Node: sub},
			&Keyword{Leaf: drawLeaf(t)},
			NewFieldsLike(ParseGlob("a.*", GlobSyntax{}), drawLeaf(t), Note{}),
			drawTree(t),
		}).Draw(t, "deep")
	}
}

func drawRules(t *rapid.T) []*Rule {
	var rules []*Rule
	for i := range rapid.IntRange(1, 12).Draw(t, "rules") {
		rules = append(rules, &Rule{
			ID:      fmt.Sprintf("r%02d", i),
			Enabled: rapid.IntRange(0, 9).Draw(t, "disabled") > 0,
			Cond:    drawNode(t, 3),
		})
	}
	return rules
}

// drawJSON draws a value; keys may repeat and be escaped.
func drawJSON(t *rapid.T, depth int) string {
	most := 9
	if depth == 0 {
		most = 5
	}
	switch rapid.IntRange(0, most).Draw(t, "value") {
	case 0, 1, 2:
		return quoteOddly(t, drawText(t))
	case 3:
		return rapid.SampledFrom([]string{"1", "1.0", "10e-1", "-2", "7"}).Draw(t, "number")
	case 4:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool")
	case 5:
		return "null"
	case 6:
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			parts = append(parts, drawJSON(t, depth-1))
		}
		return "[" + strings.Join(parts, " , ") + "]"
	case 7:
		return string(appendJSONString(nil, []byte(drawObject(t, depth-1, []string{"b", "c", "a", "type"}))))
	default:
		return drawObject(t, depth-1, []string{"b", "c", "a", "type"})
	}
}

func quoteOddly(t *rapid.T, s string) string {
	if s == "" || rapid.IntRange(0, 3).Draw(t, "escape") > 0 {
		return string(appendJSONString(nil, []byte(s)))
	}
	if s[0] >= 0x80 {
		return string(appendJSONString(nil, []byte(s)))
	}
	return fmt.Sprintf(`"\u%04x%s"`, s[0], s[1:])
}

func drawObject(t *rapid.T, depth int, keys []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range rapid.IntRange(0, 7).Draw(t, "members") {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoteOddly(t, rapid.SampledFrom(keys).Draw(t, "key")))
		b.WriteString(": ")
		b.WriteString(drawJSON(t, max(depth, 0)))
	}
	b.WriteByte('}')
	return b.String()
}

func drawEvent(t *rapid.T) string {
	return drawObject(t, 3, []string{"eventName", "eventName", "eventSource", "errorCode", "userIdentity", "a"})
}

// soundness: what Match answers through the index is what evaluating every
// rule answers.
func soundness(t *rapid.T) {
	rs, err := Compile(drawRules(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := rs.NewMatcher()
	var ev cloudtrail.Event
	for range 4 {
		raw := drawEvent(t)
		ev.Reset([]byte(raw))
		hits, candidate, err := m.Match(nil, &ev)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		var got, want []string
		for _, h := range hits {
			got = append(got, h.Rule.ID)
		}
		ev.Reset([]byte(raw))
		v, err := ev.Parse()
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		var e evaluator
		e.begin()
		for _, r := range rs.Rules() {
			if r.Enabled && r.Cond.eval(&e, v) {
				want = append(want, r.ID)
			}
		}
		if !slices.Equal(got, want) {
			for _, r := range rs.Rules() {
				t.Logf("%s: %s", r.ID, r.Cond.canon(nil))
			}
			t.Fatalf("event %s: the index answers %v, every rule evaluated %v", raw, got, want)
		}
		if !candidate && len(want) > 0 {
			t.Fatalf("event %s: no candidate, but %v hold", raw, want)
		}
	}
}

func TestIndexIsSound(t *testing.T) { rapid.Check(t, soundness) }

func FuzzIndexIsSound(f *testing.F) { f.Fuzz(rapid.MakeFuzz(soundness)) }
