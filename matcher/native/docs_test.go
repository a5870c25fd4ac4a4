package native

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/ruletest"
)

var fence = regexp.MustCompile("(?ms)^```yaml([^\n]*)\n(.*?)^```$")

// TestDocumentation loads every example of docs/rules.md: rule files, match
// maps ("yaml match") with the events they are said to hold for, and parts of a
// rule ("yaml rule").
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fence.FindAllStringSubmatchIndex(string(text), -1)
	if len(blocks) < 15 {
		t.Fatalf("only %d examples found", len(blocks))
	}
	verdicts := 0
	for _, b := range blocks {
		line := 1 + strings.Count(string(text[:b[0]]), "\n")
		kind, body := strings.TrimSpace(string(text[b[2]:b[3]])), string(text[b[4]:b[5]])
		t.Run(fmt.Sprintf("line %d", line), func(t *testing.T) {
			switch kind {
			case "":
				loadExample(t, body)
			case "rule":
				loadExample(t, ruleWith("match: {eventName: X}\n"+body))
			case "match":
				verdicts += checkExample(t, body)
			default:
				t.Errorf("unknown kind of example %q", kind)
			}
		})
	}
	if verdicts < 20 {
		t.Errorf("only %d events checked", verdicts)
	}
}

func loadExample(t *testing.T, src string) {
	t.Helper()
	s, err := Loader{}.Parse("example.yaml", []byte(src))
	if err != nil || len(s.Warnings) > 0 {
		t.Fatalf("%v %v\n%s", err, s.Warnings, src)
	}
	if _, err := matcher.Compile(s.Rules, matcher.Options{Suppress: s.Suppress}); err != nil {
		t.Error(err)
	}
	for _, r := range ruletest.Run(s.Rules, s.Suppress) {
		if !r.OK {
			t.Errorf("%s: %s", r.Test.Name, r.Message)
		}
	}
}

func checkExample(t *testing.T, body string) (verdicts int) {
	t.Helper()
	loadExample(t, matching(body))
	c := compile(t, matching(body))
	for line := range strings.SplitSeq(body, "\n") {
		event, want := strings.CutPrefix(line, "# holds: ")
		if !want {
			var ok bool
			if event, ok = strings.CutPrefix(line, "# does not hold: "); !ok {
				continue
			}
		}
		verdicts++
		if c.match(t, event) != want {
			t.Errorf("want %t for %s\n%s", want, event, c.explain(t, event))
		}
	}
	return verdicts
}
