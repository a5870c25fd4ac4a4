package sigma

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?ms)^```yaml sigma([^\n]*)\n(.*?)^```$")

// TestDocumentation loads every example of docs/languages/sigma.md and tries
// it on the events that it is said to hold for.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/languages/sigma.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fence.FindAllStringSubmatchIndex(string(text), -1)
	if len(blocks) < 7 {
		t.Fatalf("only %d examples found", len(blocks))
	}
	verdicts := 0
	for _, b := range blocks {
		line := 1 + strings.Count(string(text[:b[0]]), "\n")
		kind, body := strings.TrimSpace(string(text[b[2]:b[3]])), string(text[b[4]:b[5]])
		t.Run(fmt.Sprintf("line %d", line), func(t *testing.T) {
			src := body
			if kind == "selection" {
				src = selecting(body)
			}
			s := mustParse(t, src)
			for _, w := range s.Warnings {
				if !strings.Contains(w.Msg, "neq does not hold") {
					t.Error(w)
				}
			}
			m := compile(t, s.Alerting())
			for example := range strings.SplitSeq(body, "\n") {
				event, want := strings.CutPrefix(example, "# holds: ")
				if !want {
					var ok bool
					if event, ok = strings.CutPrefix(example, "# does not hold: "); !ok {
						continue
					}
				}
				verdicts++
				if got := len(matches(t, m, event)) == 1; got != want {
					t.Errorf("%t for %s", got, event)
				}
			}
		})
	}
	if verdicts < 15 {
		t.Errorf("only %d events checked", verdicts)
	}
}
