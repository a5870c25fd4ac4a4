package eventbridge

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher/ruletest"
)

var fence = regexp.MustCompile("(?ms)^```(yaml|eventbridge(?: refused)?)\n(.*?)^```$")

// TestDocumentation runs every example of the language's page.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/languages/eventbridge.md")
	if err != nil {
		t.Fatal(err)
	}
	if all, known := strings.Count(string(text), "\n```")/2, len(fence.FindAll(text, -1)); all != known || known < 12 {
		t.Fatalf("%d examples, %d of a known kind", all, known)
	}
	verdicts := 0
	for _, b := range fence.FindAllStringSubmatchIndex(string(text), -1) {
		line := 1 + strings.Count(string(text[:b[0]]), "\n")
		kind, body := string(text[b[2]:b[3]]), string(text[b[4]:b[5]])
		t.Run(fmt.Sprintf("line %d", line), func(t *testing.T) {
			pattern, rest, _ := strings.Cut(body, "\n")
			switch kind {
			case "yaml":
				s, warnings, err := load(body)
				if err != nil || len(warnings) > 0 {
					t.Fatal(err, warnings)
				}
				for _, r := range ruletest.Run(s.Rules, s.Suppress) {
					if !r.OK {
						t.Errorf("%s: %s", r.Test.Name, r.Message)
					}
				}
			case "eventbridge refused":
				_, _, err := Parse("p.json", []byte(pattern))
				if want := strings.TrimSuffix(strings.TrimPrefix(rest, "error: "), "\n"); err == nil || err.Error() != want {
					t.Errorf("%v, want %s", err, want)
				}
			default:
				c := compile(t, pattern, Options{})
				for verdict := range strings.Lines(rest) {
					event, want := strings.CutPrefix(verdict, "holds: ")
					if !want {
						var ok bool
						if event, ok = strings.CutPrefix(verdict, "does not hold: "); !ok {
							t.Fatalf("neither a verdict nor a pattern: %s", verdict)
						}
					}
					verdicts++
					if c.match(t, event) != want || refRecord(pattern, decodeEvent(t, event)) != want {
						t.Errorf("want %t for %s%s", want, event, pattern)
					}
				}
			}
		})
	}
	if verdicts < 40 {
		t.Errorf("only %d events checked", verdicts)
	}
}
