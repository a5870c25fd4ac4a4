package cloudwatch

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/ruletest"
)

var fence = regexp.MustCompile("(?ms)^```(yaml|cloudwatch)\n(.*?)^```$")

// TestDocumentation runs every example of the language's page.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/languages/cloudwatch.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fence.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 10 {
		t.Fatalf("only %d examples found", len(blocks))
	}
	said := 0
	for _, b := range blocks {
		if b[1] == "yaml" {
			var warnings []Warning
			s, err := loader(&warnings).Parse("example.yaml", []byte(b[2]))
			if err != nil || len(warnings) > 0 {
				t.Errorf("%v %v\n%s", err, warnings, b[2])
			}
			for _, r := range ruletest.Run(s.Rules, nil) {
				said++
				if !r.OK {
					t.Errorf("%s: %s", r.Test.Name, r.Message)
				}
			}
			continue
		}
		pattern, remarks, _ := strings.Cut(b[2], "\n#")
		for remark := range strings.Lines("#" + remarks) {
			remark = strings.TrimSpace(remark)
			said++
			if want, ok := strings.CutPrefix(remark, "# refused: "); ok {
				if _, _, err := Parse("", pattern, matcher.Pos{}); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %s", pattern, err, want)
				}
				continue
			}
			event, want := strings.CutPrefix(remark, "# holds: ")
			if !want {
				var ok bool
				if event, ok = strings.CutPrefix(remark, "# does not hold: "); !ok {
					t.Errorf("what is %q?", remark)
				}
			}
			if got := compile(t, pattern).match(t, event); got != want {
				t.Errorf("%s on %s: %t", pattern, event, got)
			}
		}
	}
	if said < 20 {
		t.Errorf("only %d remarks checked", said)
	}
}
