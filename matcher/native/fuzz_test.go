package native

import (
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
)

// FuzzParse: no input makes the parser panic, what loads compiles, and every
// error names the file.
func FuzzParse(f *testing.F) {
	f.Add(schema)
	for _, cond := range realConditions {
		f.Add(ruleWith("match: " + cond))
	}
	f.Add(matching("a: {each: {not: {regex: '(?<=x)'}}, all_of: [1, {in: [~]}]}"))
	f.Add("a: &a [*a]")
	f.Add("rules:\n  - {[]: !!binary x, <<: *y}\n---\n...")
	f.Add("rules: " + strings.Repeat("{a: ", 80))
	f.Fuzz(func(t *testing.T, src string) {
		s, err := Loader{}.Parse("f.yaml", []byte(src))
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if line == "" {
					t.Errorf("an empty line in %q", err)
				}
			}
			if !strings.HasPrefix(err.Error(), "f.yaml:") {
				t.Errorf("no place in %q", err)
			}
			return
		}
		for _, r := range s.Rules {
			if r.Cond == nil || r.ID == "" || r.Source == "" {
				t.Errorf("a rule without condition, ID or source: %+v", r)
			}
		}
		if _, err := matcher.Compile(s.Rules, matcher.Options{Suppress: s.Suppress}); err != nil {
			t.Errorf("what loads does not compile: %v", err)
		}
	})
}
