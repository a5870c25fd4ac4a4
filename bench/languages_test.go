package bench

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/cloudwatch"
	"github.com/trailtide/trailtide/matcher/eventbridge"
	"github.com/trailtide/trailtide/matcher/lucene"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/matcher/sigma"
)

// languages are the rule languages, the one that the others are compared with
// first.
var languages = []string{"native", "sigma", "cloudwatch", "eventbridge", "lucene"}

// expression parses a condition in a language.
func expression(tb testing.TB, language, text string) matcher.Node {
	tb.Helper()
	var n matcher.Node
	var err error
	switch language {
	case "native":
		n, _, err = native.ParseMatch("expression", []byte(text))
	case "sigma":
		n, _, err = sigma.Query("expression", []byte(text), sigma.Options{})
	case "cloudwatch":
		n, _, err = cloudwatch.Parse("expression", text, matcher.Pos{})
	case "eventbridge":
		n, _, err = eventbridge.Parse("expression", []byte(text))
	case "lucene":
		n, _, err = lucene.Parse("expression", text, matcher.Pos{})
	default:
		tb.Fatalf("no language %s", language)
	}
	if err != nil {
		tb.Fatalf("%s: %s: %v", language, text, err)
	}
	return n
}

// clause says that a field is one of values, or begins with one.
type clause struct {
	path   string
	begins bool
	values []string
}

// clauses returns what a rule of people asks: one to five event names, a
// source, and up to two more, as ruleMaker's.
func (m *ruleMaker) clauses(names []string, source string) []clause {
	list := []clause{{path: "eventName", values: names}, {path: "eventSource", values: []string{source}}}
	like := m.events[m.r.IntN(len(m.events))]
	more := []clause{
		{path: "userIdentity.type", values: []string{"IAMUser"}},
		{path: "userIdentity.userName", values: []string{"alice"}},
		{path: "errorCode", values: []string{"AccessDenied"}},
		{path: "sourceIPAddress", values: []string{"198.51.100."}, begins: true},
		{path: "userAgent", values: []string{"aws-cli"}, begins: true},
	}
	m.r.Shuffle(len(more), func(i, k int) { more[i], more[k] = more[k], more[i] })
	for _, c := range more[:m.r.IntN(3)] {
		if b := like.GetStringBytes(strings.Split(c.path, ".")...); len(b) > 0 {
			c.values = []string{string(b)}
			if c.begins {
				c.values = []string{string(b[:min(8, len(b))])}
			}
		}
		list = append(list, c)
	}
	return list
}

// conditions returns what n rules ask, of whose names 85 % do not occur.
func (m *ruleMaker) conditions(n int) [][]clause {
	m.r = rand.New(rand.NewPCG(3, 4))
	out := make([][]clause, n)
	for i := range out {
		names, source := m.absent(1+m.r.IntN(5)), "absent.amazonaws.com"
		for k := range names {
			if m.r.IntN(100) < 15 {
				present := m.share[m.r.IntN(len(m.share))]
				names[k], source = present.name, present.source
			}
		}
		out[i] = m.clauses(names, source)
	}
	return out
}

// each writes every value of the clause, with sep between.
func (c *clause) each(sep string, write func(v string) string) string {
	texts := make([]string, len(c.values))
	for i, v := range c.values {
		texts[i] = write(v)
	}
	return strings.Join(texts, sep)
}

// luceneText escapes what Lucene does not take as it is.
var luceneText = strings.NewReplacer(`\`, `\\`, " ", `\ `, "(", `\(`, ")", `\)`, "/", `\/`, ":", `\:`, "[", `\[`, "]", `\]`)

// written writes a rule file's entry with the condition in a language. Lucene's
// names and sources of events are analysed fields, as people write them: they
// are one word each.
func written(language, id string, list []clause) string {
	var parts []string
	for _, c := range list {
		switch language {
		case "native":
			values := "[" + c.each(", ", quoted) + "]"
			if c.begins {
				values = "{prefix: " + values + "}"
			}
			parts = append(parts, fmt.Sprintf("      %s: %s\n", c.path, values))
		case "sigma":
			key := c.path
			if c.begins {
				key += "|startswith"
			}
			parts = append(parts, fmt.Sprintf("    %s: [%s]\n", key, c.each(", ", quoted)))
		case "cloudwatch":
			parts = append(parts, "("+c.each(" || ", func(v string) string {
				if c.begins {
					v += "*"
				}
				return fmt.Sprintf("$.%s = %q", c.path, v)
			})+")")
		case "eventbridge":
			list := c.each(", ", func(v string) string {
				if c.begins {
					return fmt.Sprintf("{prefix: %q}", v)
				}
				return quoted(v)
			})
			text := "[" + list + "]"
			keys := strings.Split(c.path, ".")
			for i := len(keys) - 1; i > 0; i-- {
				text = "{" + keys[i] + ": " + text + "}"
			}
			parts = append(parts, "        "+keys[0]+": "+text)
		case "lucene":
			field := c.path
			if c.begins || !strings.HasPrefix(c.path, "event") {
				field += ".keyword"
			}
			parts = append(parts, field+":("+c.each(" OR ", func(v string) string {
				if v = luceneText.Replace(v); c.begins {
					v += "*"
				}
				return v
			})+")")
		}
	}
	head := fmt.Sprintf("  - id: %s\n    title: made\n    severity: low\n", id)
	switch language {
	case "native":
		return head + "    match:\n" + strings.Join(parts, "")
	case "sigma":
		return fmt.Sprintf("---\ntitle: made\nid: %s\nlevel: low\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n  selection:\n%s  condition: selection\n",
			id, strings.Join(parts, ""))
	case "cloudwatch":
		return head + "    cloudwatch: '{ " + strings.ReplaceAll(strings.Join(parts, " && "), "'", "''") + " }'\n"
	case "eventbridge":
		return head + "    eventbridge:\n" + joinKeys(parts)
	default:
		return head + "    lucene: '" + strings.ReplaceAll(strings.Join(parts, " AND "), "'", "''") + "'\n"
	}
}

// joinKeys joins lines "key: {…}" of the same key.
func joinKeys(lines []string) string {
	at := map[string]int{}
	var out []string
	for _, line := range lines {
		key, value, _ := strings.Cut(line, ": ")
		if i, ok := at[key]; ok {
			out[i] = strings.TrimSuffix(out[i], "}") + ", " + strings.TrimPrefix(value, "{")
			continue
		}
		at[key] = len(out)
		out = append(out, line)
	}
	return strings.Join(out, "\n") + "\n"
}

func quoted(v string) string { return fmt.Sprintf("%q", v) }

// ruleFiles writes rules to texts of native rules and of Sigma ones. Each of the
// languages writes its share of the conditions.
func ruleFiles(conditions [][]clause, languages ...string) (own, sigmas string) {
	var a, b strings.Builder
	a.WriteString("rules:\n")
	for i, list := range conditions {
		language := languages[i%len(languages)]
		if id := fmt.Sprintf("made-%05d", i); language == "sigma" {
			b.WriteString(written(language, id, list))
		} else {
			a.WriteString(written(language, id, list))
		}
	}
	if !strings.Contains(a.String(), "  - id:") {
		return "rules: []\n", b.String()
	}
	return a.String(), b.String()
}

// loaded reads rule files as the commands do, and compiles them.
func loaded(tb testing.TB, own, sigmas string) *matcher.Ruleset {
	tb.Helper()
	loader := native.Loader{Languages: map[string]native.Language{
		"cloudwatch":  cloudwatch.Language(nil),
		"eventbridge": eventbridge.Language(eventbridge.Options{}, nil),
		"lucene":      lucene.Parser{}.Language(nil),
	}}
	set, err := loader.Parse("own.yml", []byte(own))
	if err != nil {
		tb.Fatal(err)
	}
	rules := set.Rules
	if sigmas != "" {
		set, err := sigma.Parse("sigma.yml", []byte(sigmas), sigma.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		more, _ := set.Lower()
		rules = append(rules, more...)
	}
	return compile(tb, rules)
}
