package sigma

import (
	"errors"
	"strings"
	"testing"
)

// TestErrors: each source, and what the error must say, with its place.
func TestErrors(t *testing.T) {
	corr := func(body string) string {
		return ruleOf("a: {a: 1}\ncondition: a") + "name: n\n---\ntitle: C\nid: c\ncorrelation:\n" + indent(body)
	}
	tests := []struct{ src, want string }{
		{selecting("a|startwith: x"), `test.yml:6:7: unknown modifier "startwith", did you mean "startswith"?`},
		{selecting("a|contains|startswith: x"), "6:16: startswith cannot follow contains"},
		{selecting("'a|contains|re': x"), "6:17: re cannot follow contains"},
		{selecting("a|contains|contains: x"), "stands twice"},
		{selecting("a|contains|base64: x"), "base64 must stand before contains"},
		{selecting("a|base64|wide: x"), "wide cannot follow base64"},
		{selecting("a|base64|windash: x"), "windash must stand before base64"},
		{selecting("a|base64|expand: x"), "expand must stand before base64"},
		{selecting("a|i: x"), "write re|i"},
		{selecting("a|re|cased: x"), "distinguishes case already"},
		{selecting("a|exists|neq: true"), "goes with no other"},
		{selecting("a|neq|all: [x, y]"), "leave out all"},
		{selecting("a|lt|neq: 1"), "opposite relation"},
		{selecting("a|cidr|cased: 10.0.0.0/8"), "cased is for text"},
		{selecting("a|fieldref|windash: b"), "fieldref names a field"},
		{selecting("a|re|windash: b"), "windash is for text"},
		{selecting("a|lt|hour: 5"), "hour cannot follow lt"},
		{selecting("a|hour|contains: 5"), "contains cannot follow hour"},
		{selecting("a|gt: x"), "gt compares numbers"},
		{selecting("a|hour: noon"), "whole number"},
		{selecting("a|exists: maybe"), "must be true or false"},
		{selecting("a|cidr: 10.0.0.0/40"), "not a network"},
		{selecting("a|base64: 'x*'"), "wildcards"},
		{selecting("a|base64offset: ''"), "too short"},
		{selecting("a: [x, null]"), "6:12: null cannot stand in a list"},
		{selecting("a|contains: null"), "null goes with no modifier"},
		{selecting("a: {b: x}"), "written with a dot"},
		{selecting("a: []"), "empty list"},
		{selecting("a..b: x"), "not the name of a field"},
		{selecting("a: x\na: y"), "twice"},
		{selecting("[]"), "is empty"},
		{selecting("{}"), "is empty"},
		{selecting("a|expand: '%who%'"), "%who% has no values"},
		{selecting("'|startswith': [x]"), "needs the name of a field"},
		{selecting("'|neq': [x]"), "negate the selection"},
		{selecting("- null"), "a keyword must be text"},
		{selecting("a|re: 'x(?=y)'"), "look-ahead (?=…)"},
		{selecting("a|re: 'x(?!y)'"), "negative look-ahead"},
		{selecting("a|re: '(?<=x)y'"), "look-behind (?<=…)"},
		{selecting("a|re: '(?<!x)y'"), "negative look-behind"},
		{selecting(`a|re: '(x)\1'`), `a back-reference \1`},
		{selecting(`a|re: '(?>x)'`), "atomic"},
		{selecting(`a|re: 'x++'`), "possessive"},
		{selecting(`a|re: 'x\Z'`), `\Z`},
		{selecting(`a|re: '[x'`), "missing closing ]"},
		{ruleOf("a: {a: 1}\ncondition: b"), `6:14: there is no selection "b"`},
		{ruleOf("selection: {a: 1}\ncondition: selektion"), `did you mean "selection"?`},
		{ruleOf("a: {a: 1}\ncondition: 2 of a*"), `only 1 of and all of exist`},
		{ruleOf("a: {a: 1}\ncondition: 1 of b*"), `6:19: "b*" selects nothing`},
		{ruleOf("_a: {a: 1}\ncondition: 1 of them"), `"them" selects nothing`},
		{ruleOf("a: {a: 1}\ncondition: 1 of"), "expected them or a pattern"},
		{ruleOf("a: {a: 1}\ncondition: (a"), "6:14: the bracket is not closed"},
		{ruleOf("a: {a: 1}\ncondition: a)"), "without an opening one"},
		{ruleOf("a: {a: 1}\ncondition: a a"), "6:16: expected and, or"},
		{ruleOf("a: {a: 1}\ncondition: a and"), "ends where a selection was expected"},
		{ruleOf("a: {a: 1}\ncondition: and a"), `found "and"`},
		{ruleOf("a: {a: 1}\ncondition: a*"), "1 of a*"},
		{ruleOf("a: {a: 1}\ncondition: ''"), "the condition must be text"},
		{ruleOf("a: {a: 1}\ncondition: []"), "empty list"},
		{ruleOf("a: {a: 1}"), "no condition"},
		{ruleOf("condition: a"), "no selection"},
		{ruleOf("a: {a: 1}\ncondition: a | count() > 5"), "needs a timeframe"},
		{ruleOf("a: {a: 1}\ntimeframe: 5m\ncondition: a | count() < 5"), "absent_for"},
		{ruleOf("a: {a: 1}\ntimeframe: 5m\ncondition: a | near b"), "near is not supported"},
		{ruleOf("a: {a: 1}\ntimeframe: 5m\ncondition: a | sum(x) > 3"), "sum is not supported"},
		{ruleOf("a: {a: 1}\ntimeframe: 5x\ncondition: a | count() > 3"), "timeframe must be a number"},
		{"title: T\ndetection:\n  a: {a: 1}\n  condition: a\n", "no logsource"},
		{strings.Replace(selecting("a: x"), "title: T", "title: T\nlevel: hihg", 1), `did you mean "high"?`},
		{"title: T\nid: x\nlogsource: {service: cloudtrail}\ncorrelation: {}\nfilter: {}\n", "one of detection, correlation"},
		{"action: global\ndetection: {}\n", "was removed with Sigma 2"},
		{"a: b: c\n", "1: not YAML"},
		{selecting("a: &x y") + "---\n" + selecting("a: *x"), "14:8: aliases (*x) are not supported"},
		{selecting("a: [&x y, *x]"), "aliases"},
		{selecting("a: !!binary x"), "tags"},
		{selecting("a: x") + "---\n" + selecting("a: x"), `the id "r" is taken: first at test.yml:1:1`},
		{corr("type: event_cuont\nrules: [n]\ntimespan: 1h\ncondition: {gte: 2}"), `did you mean "event_count"?`},
		{corr("type: event_count\nrules: [m]\ntimespan: 1h\ncondition: {gte: 2}"), `there is no rule "m"`},
		{corr("type: event_count\nrules: [n]\ncondition: {gte: 2}"), "no timespan"},
		{corr("type: event_count\nrules: [n]\ntimespan: 1y\ncondition: {gte: 2}"), "a number and s, m, h or d"},
		{corr("type: event_count\nrules: [n]\ntimespan: 0m\ncondition: {gte: 2}"), "above 0"},
		{corr("type: event_count\nrules: [n]\ntimespan: 1h"), "no condition"},
		{corr("type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {lt: 5}"), "absent_for"},
		{corr("type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {gte: 0}"), "without any event"},
		{corr("type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {gte: 7, lte: 6}"), "no count satisfies"},
		{corr("type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {gte: 1.5}"), "whole number"},
		{corr("type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {gte: 2, gt: 3}"), "contradict or repeat"},
		{corr("type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {field: a, gte: 2}"), "did you mean value_count?"},
		{corr("type: value_count\nrules: [n]\ntimespan: 1h\ncondition: {gte: 2}"), "needs the field"},
		{corr("type: value_percentile\nrules: [n]\ntimespan: 1h\ncondition: {field: a, gte: 2}"), "needs percentile"},
		{corr("type: temporal\nrules: [n]\ntimespan: 1h\ncondition: {gte: 2}"), "more rules than"},
		{corr("type: temporal\nrules: [n]\ntimespan: 1h\ncondition: n and n"), "not supported"},
		{corr("type: temporal\nrules: [c]\ntimespan: 1h"), "refers to itself"},
		{corr("type: event_count\nrules: [n]\ngroup-by: [x]\naliases: {x: {m: a}}\ntimespan: 1h\ncondition: {gte: 2}"), "does not name"},
		{corr("type: event_count\nrules: [n]\ngroup-by: [x]\naliases: {x: {}}\ntimespan: 1h\ncondition: {gte: 2}"), "says no field for"},
		{corr("type: event_count\nrules: [n]\ntimspan: 1h\ntimespan: 1h\ncondition: {gte: 2}"), `did you mean "timespan"?`},
		{corr("type: event_count\nrules: []\ntimespan: 1h\ncondition: {gte: 2}"), "1 to 1000 rules"},
	}
	for _, tt := range tests {
		_, err := Parse("test.yml", []byte(tt.src), Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\nwant an error with %q, got %v", tt.src, tt.want, err)
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Pos.File != "test.yml" || e.Pos.Line == 0 || e.Pos.Col == 0 {
			t.Errorf("%v has no place", err)
		}
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct{ src, want string }{
		{selecting("a|contains|all: x"), "all over a single value"},
		{selecting("a|neq: x"), "does not hold for an event without the field a"},
		{selecting("a|cidr: 10.0.0.1/8"), "10.0.0.0/8"},
		{selecting("a: 0123"), "quote it"},
		{selecting("a|fieldref: a"), "compared with itself"},
		{ruleOf("a: {a: 1}\nb: {a: 1}\ncondition: a"), "the selection b is not in the condition"},
		{ruleOf("a: {a: 1}\ntimeframe: 5m\ncondition: a"), "means nothing"},
		{ruleOf("a: {a: 1}\ntimeframe: 5m\ncondition: a | count() > 5"), "is read as"},
		{strings.Replace(selecting("a: x"), "title: T", "title: T\nstatus: deprecated", 1), "status is deprecated"},
		{strings.Replace(selecting("a: x"), "title: T\n", "", 1), "no title"},
		{selecting("a: x") + "---\ntitle: F\nfilter: {rules: [r], s: {a: y}, condition: not s}\n", "excludes everything but"},
		{selecting("a: x") + "---\ntitle: F\nfilter: {rules: [rr], s: {a: y}, condition: s}\n", "not loaded"},
	}
	for _, tt := range tests {
		s := mustParse(t, tt.src)
		found := false
		for _, w := range s.Warnings {
			found = found || strings.Contains(w.String(), tt.want)
		}
		if !found {
			t.Errorf("%s\nwant a warning with %q, got %v", tt.src, tt.want, s.Warnings)
		}
	}
	if s := mustParse(t, selecting("a: x")); len(s.Warnings) > 0 {
		t.Errorf("warnings about nothing: %v", s.Warnings)
	}
}
