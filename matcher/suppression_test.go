package matcher

import "testing"

func TestSuppressionCovers(t *testing.T) {
	tests := []struct {
		rules []string
		id    string
		want  bool
	}{
		{nil, "any", true},
		{[]string{"a"}, "a", true},
		{[]string{"a"}, "ab", false},
		{[]string{"*"}, "a", true},
		{[]string{"cis-*"}, "cis-1", true},
		{[]string{"cis-*"}, "acis-1", false},
		{[]string{"*-root"}, "use-of-root", true},
		{[]string{"*-root"}, "root", false},
		{[]string{"a*b*c"}, "abc", true},
		{[]string{"a*b*c"}, "axxbyyc", true},
		{[]string{"a*b*c"}, "axxc", false},
		{[]string{"ab*ba"}, "aba", false},
		{[]string{"x", "y*"}, "yes", true},
	}
	for _, tt := range tests {
		if got := (&Suppression{Rules: tt.rules}).Covers(tt.id); got != tt.want {
			t.Errorf("Covers(%q) of rules %q = %t, want %t", tt.id, tt.rules, got, tt.want)
		}
	}
}
