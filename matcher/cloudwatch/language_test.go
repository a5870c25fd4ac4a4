package cloudwatch

import (
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher/native"
)

func loader(warnings *[]Warning) native.Loader {
	return native.Loader{Languages: map[string]native.Language{
		"cloudwatch": Language(func(w Warning) { *warnings = append(*warnings, w) }),
	}}
}

func ruleWith(condition string) string {
	return "rules:\n  - id: r\n    title: R\n    severity: low\n    " + condition + "\n"
}

func TestPlacesInRuleFiles(t *testing.T) {
	tests := []struct{ condition, want string }{
		{`cloudwatch: "{ $.a EXISTS }"`, `f.yaml:5:24: there is no EXISTS`},
		{`cloudwatch: '{ $.a = "x" && $.b EXISTS }'`, `f.yaml:5:37: there is no EXISTS`},
		{`cloudwatch: "{ $.a = \"x\" && $.b EXISTS }"`, `f.yaml:5:17: character 20 of the pattern: there is no EXISTS`},
		{"cloudwatch: |\n      { $.a = x ||\n        $.b EXISTS }", `f.yaml:7:7: there is no EXISTS`},
		{"cloudwatch: >\n      { $.a = x ||\n      $.b EXISTS }", `f.yaml:5:17: character 18 of the pattern: there is no EXISTS`},
		{`cloudwatch: {a: b}`, `f.yaml:5:17: cloudwatch must be a pattern in quotes`},
		{`cloudwatch: 5`, `cloudwatch must be a pattern in quotes`},
	}
	for _, tt := range tests {
		var warnings []Warning
		_, err := loader(&warnings).Parse("f.yaml", []byte(ruleWith(tt.condition)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n%v\nwant %s", tt.condition, err, tt.want)
		}
	}
	var warnings []Warning
	s, err := loader(&warnings).Parse("f.yaml", []byte(ruleWith(`cloudwatch: '{ $.errorCode != "x" }'`)))
	if err != nil || len(s.Rules) != 1 || s.Rules[0].Language != "cloudwatch" {
		t.Fatalf("%v, %v", s, err)
	}
	if len(warnings) != 1 || warnings[0].Pos.String() != "f.yaml:5:32" {
		t.Errorf("warnings %v", warnings)
	}
}
