package bench

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// mixedRules is how many rules a mixed set has, the same number of each language.
const mixedRules = 5000

// against matches each event against a compiled set.
func against(tb testing.TB, name string, c corpus, rs *matcher.Ruleset) measure.Contender {
	tb.Helper()
	m := rs.NewMatcher()
	var ev cloudtrail.Event
	var hits []matcher.Hit
	return measure.Contender{Name: name, Events: len(c.events), Run: func() {
		for _, raw := range c.events {
			ev.Reset(raw)
			var err error
			if hits, _, err = m.Match(hits[:0], &ev); err != nil {
				tb.Fatal(err)
			}
		}
	}}
}

// hitCount is how many hits all events have together.
func hitCount(tb testing.TB, c corpus, rs *matcher.Ruleset) int {
	tb.Helper()
	m := rs.NewMatcher()
	var ev cloudtrail.Event
	n := 0
	for _, raw := range c.events {
		ev.Reset(raw)
		hits, _, err := m.Match(nil, &ev)
		if err != nil {
			tb.Fatal(err)
		}
		n += len(hits)
	}
	return n
}

// mixedSets are the same conditions written natively, in all languages, and in
// each of the others.
func mixedSets(tb testing.TB, c corpus, each bool) (names []string, sets []*matcher.Ruleset) {
	tb.Helper()
	conditions := newRuleMaker(tb, c).conditions(mixedRules)
	add := func(name string, languages ...string) {
		own, sigmas := ruleFiles(conditions, languages...)
		rs := loaded(tb, own, sigmas)
		if len(rs.Rules()) != mixedRules {
			tb.Fatalf("%s: %d rules, want %d", name, len(rs.Rules()), mixedRules)
		}
		names, sets = append(names, name), append(sets, rs)
	}
	add("native", "native")
	add("mixed", languages...)
	if each {
		for _, l := range languages[1:] {
			add(l, l)
		}
	}
	return names, sets
}

// Rules of all languages cost what native ones of the same conditions do.
func TestMixedRulesCostWhatNativeDo(t *testing.T) {
	c := generated(t, 2000)
	names, sets := mixedSets(t, c, false)
	contenders := make([]measure.Contender, len(sets))
	for i := range sets {
		contenders[i] = against(t, names[i], c, sets[i])
	}
	if a, b := hitCount(t, c, sets[0]), hitCount(t, c, sets[1]); a == 0 || a != b {
		t.Fatalf("native rules hit %d times, mixed ones %d times", a, b)
	}
	// The goal is 1.3, and quiet machines measure 1.2; the gate is for what gets
	// worse, and leaves room for noise.
	bar(t, "5,000 rules of all languages as a multiple of native ones", 1.5, func() float64 {
		return measure.Race(quick, contenders...)[1].Ratio
	})
}

// A mixed set loads in no time that anybody would notice.
func TestMixedRulesLoadQuickly(t *testing.T) {
	own, sigmas := ruleFiles(newRuleMaker(t, generated(t, 2000)).conditions(mixedRules), languages...)
	bar(t, "seconds of CPU time to load 5,000 rules of all languages", 2, func() float64 {
		start := measure.CPU()
		loaded(t, own, sigmas)
		return (measure.CPU() - start).Seconds()
	})
}

// BenchmarkMixed matches the same conditions in every language.
func BenchmarkMixed(b *testing.B) {
	for _, c := range corpora(b) {
		b.Run(c.name, func(b *testing.B) {
			names, sets := mixedSets(b, c, true)
			contenders := make([]measure.Contender, len(sets))
			for i := range sets {
				contenders[i] = against(b, names[i], c, sets[i])
			}
			measure.Bench(b, measure.Options{}, true, contenders...)
		})
	}
}

// BenchmarkMixedLoad reads and compiles 5,000 rules.
func BenchmarkMixedLoad(b *testing.B) {
	conditions := newRuleMaker(b, generated(b, 2000)).conditions(mixedRules)
	for _, set := range append([][]string{languages}, func() (one [][]string) {
		for _, l := range languages {
			one = append(one, []string{l})
		}
		return one
	}()...) {
		name := "mixed"
		if len(set) == 1 {
			name = set[0]
		}
		b.Run(name, func(b *testing.B) {
			own, sigmas := ruleFiles(conditions, set...)
			var took []float64
			for b.Loop() {
				start := measure.CPU()
				loaded(b, own, sigmas)
				took = append(took, float64(measure.CPU()-start)/float64(time.Millisecond))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(measure.Median(took), "ms-cpu")
		})
	}
}
