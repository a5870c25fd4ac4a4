package traffic_test

import (
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/builtin"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// builtinRules compiles the rules of the built-in pack that are on.
func builtinRules(t *testing.T) *matcher.Ruleset {
	t.Helper()
	names, err := fs.Glob(builtin.FS(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []*matcher.Rule
	for _, name := range names {
		src, err := fs.ReadFile(builtin.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		rules, _, err := native.Parse(name, src)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rules...)
	}
	rs, err := matcher.Compile(all, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// The rule that an incident names matches every event of it. Everyday events
// match no rule that tells of a single event or counts them, and of those that
// count distinct values no principal ever has enough, at whatever rate.
func TestBuiltinRulesFindWhatIsPlanted(t *testing.T) {
	m := builtinRules(t).NewMatcher()
	g := generator(t, traffic.Config{Seed: 11, Incidents: 2 * len(traffic.Kinds()), IncidentEvery: time.Second})
	type hit struct {
		rule       *matcher.Rule
		key, value string // of a threshold that counts distinct values
	}
	hits := map[string][]hit{} // by event ID
	names := map[string]string{}
	scan := func(ev *cloudtrail.Event, p cloudtrail.Path) string {
		v, _ := ev.Scan(p)
		return string(v)
	}
	for _, raw := range take(g, 150_000) {
		var ev cloudtrail.Event
		ev.Reset(raw)
		found, _, err := m.Match(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			continue
		}
		r := parse(t, raw)
		names[r.EventID] = r.EventName
		for _, h := range found {
			one := hit{rule: h.Rule, key: h.Rule.ID}
			if th := h.Rule.Threshold; th != nil && th.Distinct != nil {
				for _, p := range th.GroupBy {
					one.key += " " + scan(&ev, p)
				}
				one.value = scan(&ev, th.Distinct)
			}
			hits[r.EventID] = append(hits[r.EventID], one)
		}
	}
	incidents := g.Incidents()
	if len(incidents) != 2*len(traffic.Kinds()) {
		t.Fatalf("%d incidents", len(incidents))
	}
	planted := map[string]bool{}
	for _, in := range incidents {
		for i, id := range in.EventIDs {
			planted[id] = true
			if !slices.ContainsFunc(hits[id], func(h hit) bool { return h.rule.ID == in.RuleID }) {
				t.Errorf("%s (%s): %s does not match event %d", in.ID, in.Kind, in.RuleID, i)
			}
		}
	}
	values := map[string]map[string]bool{}
	for id, all := range hits {
		for _, h := range all {
			if planted[id] {
				continue
			}
			if h.value == "" {
				t.Errorf("%s matches an everyday %s", h.rule.ID, names[id])
				continue
			}
			if values[h.key] == nil {
				values[h.key] = map[string]bool{}
			}
			values[h.key][h.value] = true
			if len(values[h.key]) >= h.rule.Threshold.Count {
				t.Errorf("everyday events reach the threshold of %s", h.key)
			}
		}
	}
}
