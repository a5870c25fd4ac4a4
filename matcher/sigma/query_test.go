package sigma

import (
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
)

func TestQuery(t *testing.T) {
	for _, src := range []string{
		selecting("eventName: put*"),
		strings.Replace(selecting("eventName: put*"), "service: cloudtrail", "service: other", 1),
		"a: {eventName|startswith: Put}\ncondition: a",
		"eventName|startswith: put",
		"[{eventName: PutX}, {b: 1}]",
		"[putx, puty]",
		"putx",
		"'\"eventname\":\"putx\"'",
	} {
		cond, warnings, err := Query("query", []byte(src), Options{})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", src, err, warnings)
			continue
		}
		m := compile(t, []*matcher.Rule{{ID: "q", Enabled: true, Cond: cond}})
		if len(matches(t, m, `{"eventName":"PutX"}`)) != 1 || len(matches(t, m, `{"eventName":"GetX"}`)) != 0 {
			t.Errorf("%s selects wrongly", src)
		}
	}
	for src, want := range map[string]string{
		"":                                      "one YAML document, not 0",
		"a\n---\nb":                             "one YAML document, not 2",
		"a: [":                                  "not YAML",
		"detection: {a: {b: c}}":                "no condition",
		"a: {b: c}\ncondition: a | count() > 5": "one at a time",
		"correlation: {rules: [a]}":             "about other rules",
		"a|contians: x":                         "did you mean", //nolint:misspell // on purpose
	} {
		if _, _, err := Query("query", []byte(src), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", src, want, err)
		}
	}
}
