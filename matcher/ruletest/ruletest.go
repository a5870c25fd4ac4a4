// Package ruletest runs the tests that rules carry with them.
package ruletest

import (
	"fmt"
	"strings"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Result of one test of a rule.
type Result struct {
	Rule *matcher.Rule
	Test matcher.Test
	OK   bool
	// Message says why the test failed: what was expected and, one predicate a
	// line, what held, what did not, and the values seen.
	Message string
}

// Run runs the tests of rules, in order, also those of disabled rules. A test
// is about the rule's condition, not its threshold; where it says suppressed, it is about the
// suppressions too, the rule's own and the given global ones, at the event's
// time. A rule that does not compile fails all its tests.
func Run(rules []*matcher.Rule, global []*matcher.Suppression) []Result {
	var out []Result
	for _, rule := range rules {
		out = append(out, runRule(rule, global)...)
	}
	return out
}

func runRule(rule *matcher.Rule, global []*matcher.Suppression) []Result {
	if len(rule.Tests) == 0 {
		return nil
	}
	enabled := *rule
	enabled.Enabled = true
	rs, err := matcher.Compile([]*matcher.Rule{&enabled}, matcher.Options{Suppress: global})
	out := make([]Result, len(rule.Tests))
	for i, test := range rule.Tests {
		out[i] = Result{Rule: rule, Test: test}
		if err != nil {
			out[i].Message = err.Error()
			continue
		}
		out[i].Message = run(rs, &enabled, &test)
		out[i].OK = out[i].Message == ""
	}
	return out
}

// run returns why the test fails, "" when it does not.
func run(rs *matcher.Ruleset, rule *matcher.Rule, test *matcher.Test) string {
	var ev cloudtrail.Event
	ev.Reset(test.Event)
	if _, err := ev.Parse(); err != nil {
		return "the event is invalid: " + err.Error()
	}
	hits, _, err := rs.NewMatcher().Match(nil, &ev)
	if err != nil {
		return "the event is invalid: " + err.Error()
	}
	switch matched := len(hits) > 0; {
	case matched && !test.Match:
		return "expected no match, but the condition holds:\n" + explain(rule, &ev)
	case !matched && test.Match:
		return "expected a match, but the condition does not hold:\n" + explain(rule, &ev)
	case !matched || test.Suppressed == nil:
		return ""
	}
	switch s := hits[0].Suppressed; {
	case s != nil && !*test.Suppressed:
		return fmt.Sprintf("expected no suppression, but the one at %s covers the match: %s", s.Pos, s.Reason)
	case s == nil && *test.Suppressed:
		return "expected a suppression, but none covers the match"
	}
	return ""
}

func explain(rule *matcher.Rule, ev *cloudtrail.Event) string {
	ex, err := matcher.Explain(rule, ev)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	write(&b, &ex, 1)
	return strings.TrimSuffix(b.String(), "\n")
}

// write renders an explanation, one predicate a line, parts indented.
func write(b *strings.Builder, ex *matcher.Explanation, depth int) {
	state := "no "
	if ex.Held {
		state = "yes"
	}
	fmt.Fprintf(b, "%s%s %s", strings.Repeat("  ", depth), state, ex.Text)
	if len(ex.Parts) == 0 {
		seen := "nothing"
		if ex.Seen != nil {
			seen = strings.Join(ex.Seen, ", ")
		}
		fmt.Fprintf(b, " (saw %s)", seen)
	}
	b.WriteByte('\n')
	for i := range ex.Parts {
		write(b, &ex.Parts[i], depth+1)
	}
}
