package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/test/harness"
)

// leaf is a value of an event and where it stands.
type leaf struct {
	path  []string
	value any
}

// leaves are the values of a document that are no objects and no arrays.
func leaves(v any, path []string) []leaf {
	var all []leaf
	switch v := v.(type) {
	case object:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, leaves(v[k], append(path[:len(path):len(path)], k))...)
		}
	case []any:
		for _, el := range v {
			all = append(all, leaves(el, path)...)
		}
	default:
		all = append(all, leaf{path, v})
	}
	return all
}

// inventor makes conditions out of what an event holds.
type inventor struct {
	r *rand.Rand
	// docs are the events that values are borrowed from.
	docs []any
}

func (g *inventor) one(list []leaf) leaf { return list[g.r.IntN(len(list))] }

func (g *inventor) chance(percent int) bool { return g.r.IntN(100) < percent }

// dotted writes a path as a rule has it.
func dotted(path []string) string {
	var names []string
	for _, name := range path {
		name = strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace(name)
		names = append(names, name)
	}
	p := strings.Join(names, ".")
	switch p {
	case "any", "all", "not", "response", "anywhere", "same_element":
		return `\` + p
	}
	return p
}

// condition is a map of one to three lines that doc is likely to satisfy.
func (g *inventor) condition(doc any, depth int) map[string]any {
	cond := make(map[string]any)
	list := leaves(doc, nil)
	if len(list) == 0 {
		return map[string]any{"eventName": map[string]any{"exists": g.chance(50)}}
	}
	for range 1 + g.r.IntN(3) {
		key, what := g.line(doc, list, depth)
		cond[key] = what
	}
	return cond
}

func (g *inventor) line(doc any, list []leaf, depth int) (string, any) {
	if depth > 0 && g.chance(30) {
		switch g.r.IntN(6) {
		case 0:
			return "any", []any{g.condition(g.other(doc), depth-1), g.condition(doc, depth-1)}
		case 1:
			return "all", []any{g.condition(doc, depth-1), g.condition(doc, depth-1)}
		case 2:
			return "not", g.condition(g.other(doc), depth-1)
		case 3:
			return "response", []any{[]string{"success", "failure", "unauthorized"}[g.r.IntN(3)]}
		case 4:
			l := g.one(list)
			return "anywhere", map[string]any{dotted(l.path[len(l.path)-1:]): g.simple(l)}
		default:
			l := g.one(list)
			if len(l.path) < 2 {
				break
			}
			at := 1 + g.r.IntN(len(l.path)-1)
			els := follow(doc, l.path[:at]).elements()
			return "same_element", map[string]any{
				"path": dotted(l.path[:at]), "match": g.condition(els[g.r.IntN(len(els))], 0),
			}
		}
	}
	l := g.one(list)
	return dotted(l.path), g.test(l)
}

// other is another event's document, or the same one.
func (g *inventor) other(doc any) any {
	if g.chance(50) {
		return doc
	}
	return g.docs[g.r.IntN(len(g.docs))]
}

// test is what stands beside the path of l.
func (g *inventor) test(l leaf) any {
	switch g.r.IntN(10) {
	case 0:
		return map[string]any{"not": g.simple(l)}
	case 1:
		return map[string]any{"exists": g.chance(70)}
	case 2:
		return map[string]any{"each": g.simple(l)}
	case 3:
		return map[string]any{"all_of": []any{g.simple(l), g.simple(l)}}
	case 4:
		return []any{g.simple(l), g.simple(g.one(leaves(g.other(nil), nil)))}
	}
	return g.simple(l)
}

var policy = regexp.MustCompile(`^\s*\{.*\}\s*$`)

// simple is a value or a map of operators that look at a value.
func (g *inventor) simple(l leaf) any {
	s, isText := l.value.(string)
	if !isText {
		if n, ok := l.value.(json.Number); ok && g.chance(50) {
			return map[string]any{[]string{"lt", "lte", "gt", "gte"}[g.r.IntN(4)]: n, "lte": n}
		}
		return l.value
	}
	if policy.MatchString(s) && g.chance(70) {
		if doc, err := document([]byte(s)); err == nil {
			return map[string]any{"json": g.condition(doc, 1)}
		}
	}
	if addr, err := netip.ParseAddr(s); err == nil && g.chance(70) {
		p, _ := addr.Prefix(8 + g.r.IntN(25))
		return map[string]any{"cidr": []string{p.String()}}
	}
	from := g.r.IntN(len(s) + 1)
	to := from + g.r.IntN(len(s)-from+1)
	ops := make(map[string]any)
	for range 1 + g.r.IntN(2) {
		switch g.r.IntN(7) {
		case 0:
			ops["prefix"] = s[:to]
		case 1:
			ops["suffix"] = s[from:]
		case 2:
			ops["contains"] = []string{s[from:to], "no such text"}
		case 3:
			ops["wildcard"] = escapedGlob(s[:from]) + "*" + escapedGlob(s[to:])
		case 4:
			ops["regex"] = regexp.QuoteMeta(s[from:to]) + `.?$`
		case 5:
			ops["equals"] = s
		case 6:
			ops["in"] = []string{s, "?"}
		}
	}
	for op, v := range ops {
		// Half a character is no text, and an empty one is an error.
		if text, ok := v.(string); ok && text == "" {
			delete(ops, op)
		}
		if list, ok := v.([]string); ok && list[0] == "" {
			delete(ops, op)
		}
	}
	if len(ops) == 0 || !ascii(s) {
		return s
	}
	if g.chance(30) {
		for op, v := range ops {
			if text, ok := v.(string); ok && op != "regex" && op != "wildcard" {
				ops[op] = strings.ToUpper(text)
			}
		}
		ops["ignore_case"] = true
	}
	return ops
}

func escapedGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(s)
}

func ascii(s string) bool {
	return !some([]byte(s), func(c byte) bool { return c >= 0x80 })
}

// loadable writes a rule file of one rule a line without those that are refused,
// such as a number for a field that is always text.
func loadable(t *testing.T, lines []string) (path string, refused int) {
	t.Helper()
	path = harness.Write(t, t.TempDir(), "random.yaml", strings.Join(lines, "\n"))
	r := trailtide(t, "rules", "check", "--no-builtin", path)
	if r.code == 0 {
		return path, 0
	}
	bad := make(map[int]bool)
	for _, m := range regexp.MustCompile(`random\.yaml:(\d+):\d+: .* is always `).FindAllStringSubmatch(r.err, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		bad[n] = true
	}
	var good []string
	for i, l := range lines {
		if !bad[i+1] {
			good = append(good, l)
		}
	}
	path = harness.Write(t, t.TempDir(), "random.yaml", strings.Join(good, "\n"))
	must(t, "rules", "check", "--no-builtin", path)
	return path, len(bad)
}

// Rules that are made at random out of what the events hold match the events
// that the reference says: those that make them up, and no others.
func TestRandomRulesMatchWhatTheReferenceSays(t *testing.T) {
	paths := corpora(t)
	size := harness.SizeFrom(t, "TRAILTIDE_E2E_RULES", 80)
	for i, name := range []string{"invictus", "stratus-dev", "otrf-ec2-proxy-s3", "panther-dev", "awsdocs-dev"} {
		t.Run(name, func(t *testing.T) {
			events := eventsIn(t, paths[name])
			g := &inventor{r: rand.New(rand.NewPCG(uint64(size), uint64(i)))}
			for _, ev := range events {
				g.docs = append(g.docs, ev.doc)
			}
			lines := []string{"rules:"}
			for n := range size {
				cond, err := json.Marshal(g.condition(g.docs[g.r.IntN(len(g.docs))], 2))
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, fmt.Sprintf("  - {id: r-%d, title: R, severity: low, match: %s}", n, cond))
			}
			file, refused := loadable(t, lines)
			if refused > size/10 {
				t.Errorf("%d of %d rules are refused", refused, size)
			}
			rules := rulesIn(t, file)
			want := plainAlerts(rules, events)
			r := must(t, "scan", "--output", "ndjson", "--quiet", "--no-builtin", "--rules", file, "--lateness", wide, paths[name])
			got, _ := reported(t, rules, harness.Alerts(t, r.out))
			harness.Same(t, "alerts", want, got)
			if len(want) < size {
				t.Errorf("%d alerts of %d rules: that proves little", len(want), size)
			}
			if t.Failed() {
				t.Logf("the rules:\n%.100000s", strings.Join(lines, "\n"))
			}
		})
	}
}
