package sigma

import (
	"strings"
	"testing"
)

func TestConditions(t *testing.T) {
	const selections = "a: {a: 1}\nb: {b: 1}\nsel_c: {c: 1}\nsel_d: {d: 1}\n_e: {e: 1}\n"
	tests := []struct{ condition, hold, not string }{ // events by the fields that they have
		{"a", "a ab", "b"},
		{"a and b", "ab abc", "a b"},
		{"a or b", "a b", "c"},
		{"not a", "b ", "a ab"},
		{"not not a", "a", "b"},
		{"a or b and sel_c", "a bc", "b c"},
		{"(a or b) and sel_c", "ac bc", "a b c"},
		{"not a and b", "b", "ab a"},
		{"not (a and b)", "a b ", "ab"},
		{"1 of sel_*", "c d", "a e"},
		{"all of sel_*", "cd", "c d"},
		{"1 of them", "a d", "e"},
		{"all of them", "abcd abcde", "abc bcde"},
		{"any of sel_*", "c", "a"},
		{"1 of *_d", "d", "c a"},
		{"1 of s*_*c", "c", "d"},
		{"1 of sel_c", "c", "d"},
		{"a and not 1 of sel_*", "a", "ac ad"},
		{"1 of _*", "e", "a"},
		{"_e", "e", "a"},
		{"a AND NOT b OR sel_c", "a c", "ab"},
		{"((((a))))", "a", "b"},
		{"[a and b, sel_c]", "ab c", "a b"},
	}
	for _, tt := range tests {
		m := compile(t, mustParse(t, ruleOf(selections+"condition: "+tt.condition)).Rules)
		check := func(fields string, want bool) {
			var members []string
			for _, f := range strings.Split(fields, "") {
				members = append(members, `"`+f+`":1`)
			}
			if got := len(matches(t, m, "{"+strings.Join(members, ",")+"}")) == 1; got != want {
				t.Errorf("%s with fields %q: %t", tt.condition, fields, got)
			}
		}
		for _, fields := range strings.Split(tt.hold, " ") {
			check(fields, true)
		}
		for _, fields := range strings.Split(tt.not, " ") {
			check(fields, false)
		}
	}
}

func TestBounds(t *testing.T) {
	tests := []struct{ src, want string }{
		{ruleOf("a: {a: 1}\ncondition: " + strings.Repeat("(", 200) + "a" + strings.Repeat(")", 200)), "nested deeper"},
		{ruleOf("a: {a: 1}\ncondition: " + strings.Repeat("not ", 20000) + "a"), "condition of more than"},
		{ruleOf("a: {a: 1}\ncondition: " + strings.Repeat("not ", 2000) + "a"), "nested deeper"},
		{ruleOf("a: {a: 1}\ncondition: a" + strings.Repeat(" or a", 3000)), "terms"},
		{ruleOf("a: {a: [" + strings.Repeat("x,", 6000) + "x]}\ncondition: a" + strings.Repeat(" or a", 100)), "tests"},
		{selecting("a|windash: '" + strings.Repeat("-", 12) + "'"), "windash makes more"},
		{selecting("a|windash: '" + strings.Repeat("-*", 12) + "'"), "windash makes more"},
		{selecting("a|re: '" + strings.Repeat("x", 20000) + "'"), "regular expression of more"},
		{selecting("a|re: '(x{1000}){1000}'"), "regular expression"},
		{selecting("a: " + strings.Repeat("x", 70000)), "value of more"},
		{head + "detection: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested deeper"},
	}
	for _, tt := range tests {
		_, err := Parse("test.yml", []byte(tt.src), Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want an error with %q, got %v", tt.want, err)
		}
	}
	o := Options{Placeholders: map[string][]string{"n": strings.Split(strings.Repeat("x ", 100), " ")}}
	for _, value := range []string{"%n%%n%", strings.Repeat("%n", 3000)} {
		if _, err := Parse("test.yml", []byte(selecting("a|expand: '"+value+"x%n%'")), o); err == nil {
			t.Errorf("%.20s…: no error", value)
		}
	}
}
