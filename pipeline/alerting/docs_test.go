package alerting

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var examples = regexp.MustCompile("(?s)```yaml\n(.*?)```\n\n```text\n(.*?)```")

// TestExamplesOfTheDocumentation runs what docs/correlations.md shows.
func TestExamplesOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/correlations.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := examples.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 4 || strings.Count(string(page), "```") != 4*len(blocks) {
		t.Fatalf("%d examples are found, not all", len(blocks))
	}
	for _, m := range blocks {
		rules, events := m[1], m[2]
		b := newSigmaBench(t, rules)
		for line := range strings.Lines(events) {
			if err := b.line(strings.TrimSpace(line)); err != nil {
				t.Errorf("%s: %v", rules, err)
			}
		}
	}
}

// line does what a line of an example says.
func (b *bench) line(l string) error {
	word, rest, _ := strings.Cut(l, " ")
	switch word {
	case "clock":
		var sec int
		if _, err := fmt.Sscan(rest, &sec); err != nil {
			return err
		}
		b.clock(60 + sec) // lateness
	case "told":
		b.commit()
		var got []string
		for _, told := range b.outbox() {
			got = append(got, told[:strings.Index(told, " [")])
		}
		if text := strings.Join(got, ", "); text != rest && (text != "" || rest != "nothing") {
			return fmt.Errorf("told %q, not %q", text, rest)
		}
	default:
		var sec int
		var kind, fields string
		if _, err := fmt.Sscan(l, &sec, &kind, &fields); err != nil {
			return errors.Join(err, fmt.Errorf("line %q", l))
		}
		b.kind(sec, kind, ","+strings.Trim(fields, "{}"))
	}
	return nil
}
