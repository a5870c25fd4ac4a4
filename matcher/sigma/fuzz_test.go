package sigma

import (
	"errors"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// FuzzParse: whatever a file holds, reading it ends with rules that compile and
// evaluate, or with errors that say where.
func FuzzParse(f *testing.F) {
	for _, selection := range []string{
		"a|contains|windash|all: ['-x', '*y?']", "'|all': [a, '\"b']", "- a\n- b: null", "a|expand|re|i: '%n%.*'", "a|wide|base64offset|contains: x",
		"a|fieldref|neq: b\nc|hour|gte: 5\nd|cidr: 10.0.0.0/8\ne|exists: true\nf|lt: 5",
	} {
		f.Add([]byte(selecting(selection)))
	}
	f.Add([]byte(ruleOf("s: {a: b}\ntimeframe: 5m\ncondition: not (1 of s*) or all of them | count(x) by y >= 3")))
	f.Add([]byte(namedRule("n", "i", "low", "A") + "---\ntitle: C\ncorrelation:\n  type: value_count\n  rules: [n]\n  group-by: [u]\n" +
		"  aliases: {u: {n: v}}\n  timespan: 1h\n  condition: {field: x, gt: 2, lte: 9}\n---\nfilter: {rules: any, s: {a: b}, condition: s}\ntitle: F\n"))
	event := []byte(`{"eventName":"A","a":"-x","b":[{"c":"2026-03-02T10:00:00Z"}],"c":5}`)
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := Parse("fuzz.yml", src, Options{Placeholders: map[string][]string{"n": {"1", "x*"}}})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), "fuzz.yml:") {
				t.Fatalf("%v has no place", err)
			}
			return
		}
		rules := s.Alerting()
		rs, err := matcher.Compile(rules, matcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var ev cloudtrail.Event
		ev.Reset(event)
		hits, _, err := rs.NewMatcher().Match(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hits {
			ev.Reset(event)
			if ex, err := matcher.Explain(h.Rule, &ev); err != nil || !ex.Held {
				t.Fatalf("%s matched but is explained as %t, %v", h.Rule.ID, ex.Held, err)
			}
		}
	})
}
