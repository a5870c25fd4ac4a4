package sigma

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// What is drawn: few fields and texts, so that rules and events meet often, and
// what is awkward.
var (
	genFields = []string{"eventName", "eventSource", "a", "a.b", "a.b.c", "d"}
	genTexts  = []string{
		"Ab", "aB", "b", "a-b", "a/b", "", "5", "5.0", "true", `\`, `a\*`, "a*b", "a?b", `a"b`, "10.0.0.1", "é", "É", "\u212a", "k",
		"2026-03-02T10:05:00Z", "2026-03-02T10:05:00+11:00", "YWI=", "YQBiAA==", "xxQWI=", "a\nb", "%n%", "z",
	}
	genValues = []string{
		"Ab", "b", "a-b", "5", "true", `\`, `a\*`, `a\\*`, `\\\*`, "a*b", "a?b", "*", "?", "a*", "*b", `"b`, `"c":`, "é", "k", "", "%n%", `":5`, "},{",
	}
	genTextMods = []string{
		"", "|contains", "|startswith", "|endswith", "|cased", "|contains|cased", "|contains|all", "|neq", "|contains|neq", "|windash",
		"|windash|contains", "|contains|windash|all", "|expand", "|expand|contains",
	}
	genOdd = []string{
		"a|exists: true", "d|exists: false", "a.b|exists: true", "a: null", "a.b: null", "a.b.c|neq: null", "d: 5", "d: true", "d: 5.0",
		"a|gt: 4", "d|lte: 5", "a.b|lt: 5", "d|gte: 5.5", "a|cidr: 10.0.0.0/8", "d|cidr|neq: 10.0.0.0/8", "a|fieldref: d", "a.b|fieldref|neq: d",
		"a|fieldref|startswith: d", "d|fieldref|contains|cased: a.b", "d|endswith|fieldref: a", "eventName|fieldref: [a, d]",
		"d|hour: 10", "d|hour|lt: 10", "a|month: [2, 3]", "a|year|neq: 2026", "d|day|gte: 2", "a.b|week: 10", "d|minute: 5",
		"a|re: '^a.b$'", "a|re|i: 'AB|k'", "a|re|s: 'a.b'", "a|re|m: '^b'", "a|re|neq: 'b'", "eventName|re: '^(Ab|b)?$'", "eventName|re|i: '^(ab|k)$'",
		"a|base64: ab", "a|base64|cased: ab", "a|wide|base64|contains: ab", "d|base64offset|contains: Ab", "a|re|all: [a, b]",
		"eventName|contains: ['b', '*']", "eventSource|startswith: [a, k]",
	}
	genKeywords  = []string{"ab", `"b`, `a"b`, "a*b", "a?b", `"c":`, "5", `\`, "é", "k", "z"}
	genConditons = []string{
		"s1", "not s1", "s1 and s2", "s1 or s2", "s1 and not s2", "1 of s*", "all of s*", "1 of them", "not 1 of s* or s2",
		"s1 or s2 and s3", "(s1 or s2) and s3", "not (s1 and s2) and s3", "s1 and not 1 of s2*", "[s1 and s2, s3]",
	}
)

func drawDetection(t *rapid.T) string {
	var b strings.Builder
	for _, name := range []string{"s1", "s2", "s3"} {
		b.WriteString(name + ":\n")
		switch rapid.IntRange(0, 5).Draw(t, "selection") {
		case 0:
			for range rapid.IntRange(1, 2).Draw(t, "keywords") {
				fmt.Fprintf(&b, "  - '%s'\n", rapid.SampledFrom(genKeywords).Draw(t, "keyword"))
			}
		case 1:
			mods := rapid.SampledFrom([]string{"|all", "|cased", "|all|cased", "|contains"}).Draw(t, "mods")
			k := rapid.SampledFrom(genKeywords)
			fmt.Fprintf(&b, "  '%s': ['%s', '%s']\n", mods, k.Draw(t, "keyword"), k.Draw(t, "keyword"))
		case 2:
			fmt.Fprintf(&b, "  - %s\n  - %s\n", drawItem(t), drawItem(t))
		default:
			items := []string{drawItem(t)}
			if second := drawItem(t); !strings.HasPrefix(second, items[0][:strings.Index(items[0], ":")+1]) {
				items = append(items, second)
			}
			for _, item := range items {
				b.WriteString("  " + item + "\n")
			}
		}
	}
	return b.String() + "condition: " + rapid.SampledFrom(genConditons).Draw(t, "condition")
}

func drawItem(t *rapid.T) string {
	if rapid.IntRange(0, 2).Draw(t, "odd") == 0 {
		return rapid.SampledFrom(genOdd).Draw(t, "item")
	}
	var values []string
	for range rapid.IntRange(1, 3).Draw(t, "values") {
		values = append(values, "'"+rapid.SampledFrom(genValues).Draw(t, "value")+"'")
	}
	field := rapid.SampledFrom(genFields).Draw(t, "field")
	return field + rapid.SampledFrom(genTextMods).Draw(t, "mods") + ": [" + strings.Join(values, ", ") + "]"
}

func drawValue(t *rapid.T, depth int) string {
	most := 8
	if depth == 0 {
		most = 5
	}
	switch rapid.IntRange(0, most).Draw(t, "value") {
	case 0, 1, 2:
		return compactJSON(rapid.SampledFrom(genTexts).Draw(t, "text"))
	case 3:
		return rapid.SampledFrom([]string{"5", "5.0", "-1", "4", "5e0"}).Draw(t, "number")
	case 4:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool")
	case 5:
		return "null"
	case 6:
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			parts = append(parts, drawValue(t, depth-1))
		}
		return "[" + strings.Join(parts, " , ") + "]"
	default:
		return drawObject(t, depth-1, []string{"b", "c", "x"})
	}
}

func drawObject(t *rapid.T, depth int, keys []string) string {
	var parts []string
	for _, key := range keys {
		if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
			parts = append(parts, `"`+key+`": `+drawValue(t, max(depth, 0)))
		}
	}
	return "{ " + strings.Join(parts, ", ") + "}"
}

// TestGenerated: on generated rules and events the engine, through its index,
// answers as the reference does.
func TestGenerated(t *testing.T) {
	o := Options{Placeholders: map[string][]string{"n": {"a*", "5"}}}
	rapid.Check(t, func(rt *rapid.T) {
		l := NewLoader(o)
		for i := range 6 {
			l.Add(fmt.Sprintf("r%d.yml", i), []byte(strings.Replace(ruleOf(drawDetection(rt)), "id: r\n", "", 1)))
		}
		s, err := l.Link()
		if err != nil {
			rt.Fatal(err)
		}
		m := compile(t, s.Rules)
		for range 4 {
			event := drawObject(rt, 3, []string{"eventName", "eventSource", "a", "d"})
			decoded := decodeJSON(t, event)
			var ev cloudtrail.Event
			ev.Reset([]byte(event))
			hits, _, err := m.Match(nil, &ev)
			if err != nil {
				rt.Fatal(err)
			}
			for _, r := range s.Rules {
				got := slices.ContainsFunc(hits, func(h matcher.Hit) bool { return h.Rule == r })
				if want := newRefRule(t, r.Source, o.Placeholders).holds(decoded); got != want {
					rt.Fatalf("%s\n%s\nthe engine says %t, the reference %t", event, r.Source, got, want)
				}
			}
		}
	})
}
