package sigma

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// TestLower: all kinds of correlations become the matcher's, and compile.
func TestLower(t *testing.T) {
	for _, body := range []string{
		"type: temporal\nrules: [n, m]\ntimespan: 1h",
		"type: temporal_ordered\nrules: [n, m]\ngroup-by: [user]\ntimespan: 1h",
		"type: event_count\nrules: [n, m]\ngroup-by: [u]\naliases: {u: {n: user, m: other}}\ntimespan: 1h\ncondition: {gte: 3}",
		"type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {gte: 3, lte: 5}",
		"type: event_count\nrules: [n]\ntimespan: 1h\ncondition: {neq: 5}",
		"type: value_count\nrules: [n]\ntimespan: 1h\ncondition: {field: [a, b], eq: 5}",
		"type: value_sum\nrules: [n]\ntimespan: 1h\ncondition: {field: size, gt: 1.5}",
		"type: value_avg\nrules: [n]\ntimespan: 1h\ncondition: {field: size, lt: -1}",
		"type: value_percentile\nrules: [n]\ntimespan: 1h\ncondition: {field: size, percentile: 99.5, gte: 1}",
	} {
		s, _ := correlated(t, body)
		rules, correlations := s.Lower()
		if len(correlations) != 1 || len(rules) != 2 {
			t.Errorf("%s: %d correlations, %d rules", body, len(correlations), len(rules))
		}
		if _, err := matcher.Compile(rules, matcher.Options{Correlations: correlations}); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestLowerChain(t *testing.T) {
	src := namedRule("n", "id-n", "low", "A") + "---\n" + namedRule("m", "id-m", "low", "B") + `---
title: Inner
name: inner
id: id-inner
correlation: {type: event_count, rules: [n], group-by: [who], aliases: {who: {n: user.name}}, timespan: 10m, condition: {gte: 10}}
---
title: Outer
id: outer
correlation: {type: temporal_ordered, rules: [inner, m], group-by: [w], aliases: {w: {inner: user.name, m: user.name}}, timespan: 20m, condition: {gt: 1}}
`
	rules, correlations := mustParse(t, src).Lower()
	var ids []string
	for _, r := range rules {
		ids = append(ids, r.ID)
	}
	if got := strings.Join(ids, " "); got != "id-n id-m" {
		t.Errorf("rules %s", got)
	}
	name := []cloudtrail.Path{{"user", "name"}}
	want := []*matcher.Correlation{{
		GroupBy: []string{"who"}, Window: 10 * time.Minute, Bounds: []matcher.Bound{{Op: matcher.AtLeast, Value: 10}},
		Members: []matcher.Member{{RuleID: "id-n", GroupBy: name}},
	}, {
		Kind: matcher.InOrder, GroupBy: []string{"w"}, Window: 20 * time.Minute, Bounds: []matcher.Bound{{Op: matcher.MoreThan, Value: 1}},
		Members: []matcher.Member{{RuleID: "id-inner", GroupBy: []cloudtrail.Path{{"who"}}}, {RuleID: "id-m", GroupBy: name}},
	}}
	opts := cmp.Options{cmpopts.IgnoreUnexported(matcher.Correlation{}), cmpopts.IgnoreFields(matcher.Correlation{}, "Rule"), cmpopts.EquateEmpty()}
	if diff := cmp.Diff(want, correlations, opts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	rs, err := matcher.Compile(rules, matcher.Options{Correlations: correlations})
	if err != nil {
		t.Fatal(err)
	}
	if inner := rs.Rule("id-inner"); len(inner.Feeds()) != 1 || !inner.Silent || rs.Rule("outer").Silent {
		t.Errorf("feeds %v", inner.Feeds())
	}
}
