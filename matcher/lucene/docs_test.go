package lucene

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

var fence = regexp.MustCompile("(?ms)^```(lucene|yaml)\n(.*?)^```$")

// TestDocumentation runs every example of docs/languages/lucene.md.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/languages/lucene.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, b := range fence.FindAllStringSubmatch(string(text), -1) {
		if b[1] == "yaml" {
			l := native.Loader{Languages: map[string]native.Language{"lucene": Parser{}.Language(nil)}}
			if s, err := l.Parse("example.yaml", []byte(b[2])); err != nil || len(s.Rules) != 1 || s.Rules[0].Language != "lucene" {
				t.Errorf("%v\n%s", err, b[2])
			}
			checked++
			continue
		}
		query, lines, _ := strings.Cut(b[2], "\n")
		n, _, err := Parse("", query, matcher.Pos{})
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		for line := range strings.Lines(lines) {
			event, holds := strings.CutPrefix(line, "# holds: ")
			if !holds {
				event = strings.TrimPrefix(line, "# does not hold: ")
			}
			if got := verdicts(t, n, []json.RawMessage{json.RawMessage(event)}) == "1"; got != holds {
				t.Errorf("%s: got %t for %s", query, got, event)
			}
			checked++
		}
	}
	if checked < 20 {
		t.Errorf("only %d examples", checked)
	}
}

// TestLanguage: errors and warnings of a query inside a rule file are at their
// place in the file.
func TestLanguage(t *testing.T) {
	tests := []struct{ yaml, want string }{
		{`lucene: eventName:x AND a:"b`, `f:1:27: the quote opened here is not closed`},
		{`lucene: 'eventName:x)'`, `f:1:21: ) closes nothing, or follows an operator; write \) or quotes for the character`},
		{"lucene: |-\n  eventName:x OR\n  )", `f:3:1: ) closes nothing`},
		{`lucene: [a]`, `expected a query string; put it in quotes`},
		{`lucene: 5`, `expected a query string; put it in quotes`},
	}
	for _, tt := range tests {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(tt.yaml), &doc); err != nil {
			t.Fatal(err)
		}
		_, err := Parser{}.Language(nil)("f", doc.Content[0].Content[1])
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.yaml, err, tt.want)
		}
	}
	var said []string
	warn := func(w Warning) { said = append(said, w.String()) }
	var value yaml.Node
	if err := yaml.Unmarshal([]byte("eventName:x^2"), &value); err != nil {
		t.Fatal(err)
	}
	if _, err := (Parser{}).Language(warn)("f", value.Content[0]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f:1:12: the boost ^2 is ignored: it orders results and changes no verdict"}, said); diff != "" {
		t.Error(diff)
	}
}
