package sigma

import (
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

const head = "title: T\nid: r\nlogsource: {product: aws, service: cloudtrail}\n"

// ruleOf returns a rule file with the detection, indented as given.
func ruleOf(detection string) string {
	return head + "detection:\n" + indent(detection)
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ") + "\n"
}

// selecting returns a rule file whose one selection is the text.
func selecting(selection string) string {
	return ruleOf("sel:\n" + indent(selection) + "condition: sel")
}

func mustParse(t testing.TB, src string) *Set {
	t.Helper()
	s, err := Parse("test.yml", []byte(src), Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return s
}

func compile(t testing.TB, rules []*matcher.Rule) *matcher.Matcher {
	t.Helper()
	rs, err := matcher.Compile(rules, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return rs.NewMatcher()
}

func matches(t testing.TB, m *matcher.Matcher, event string) []string {
	t.Helper()
	var ev cloudtrail.Event
	ev.Reset([]byte(event))
	hits, _, err := m.Match(nil, &ev)
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	var ids []string
	for _, h := range hits {
		ids = append(ids, h.Rule.ID)
	}
	return ids
}
