package bench

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// The bars that every change must keep. They are ratios within one run, and a
// bar counts as missed only when it is missed in every one of some attempts:
// each race is a fraction of a second, and a neighbour on the same core can
// spoil one.
const attempts = 4

func bar(t *testing.T, what string, most float64, race func() float64) {
	t.Helper()
	if measure.RaceDetector {
		t.Skip("the race detector changes what code costs")
	}
	var got []float64
	for range attempts {
		r := race()
		if r <= most {
			t.Logf("%s: %.2f, the bar is %.2f", what, r, most)
			return
		}
		got = append(got, r)
	}
	t.Errorf("%s: %.2f, the bar is %.2f", what, got, most)
}

var quick = measure.Options{Rounds: 11, Slice: 10 * time.Millisecond}

// unmatched takes each event the way of a worker's lane when no rule can match
// it: unwrapping, the time for the watermark, the index, the check of what was
// read so far.
func unmatched(tb testing.TB, name string, c corpus, rules []*matcher.Rule) measure.Contender {
	tb.Helper()
	tb.Helper()
	u, m := cloudtrail.NewUnwrapper(cloudtrail.Limits{}), compile(tb, rules).NewMatcher()
	var ev cloudtrail.Event
	var hits []matcher.Hit
	var newest int64
	emit := func(it cloudtrail.Item) {
		if it.Kind != cloudtrail.ItemEvent {
			tb.Fatalf("not an event: %s", it.Raw)
		}
		nanos, _ := ev.Time()
		newest = max(newest, nanos)
		h, candidate, err := m.Match(hits[:0], &ev)
		if hits = h; candidate || err != nil || ev.Broken() != nil {
			tb.Fatalf("candidate %t, errors %v, %v: %s", candidate, err, ev.Broken(), it.Raw)
		}
	}
	return measure.Contender{Name: name, Events: len(c.events), Run: func() {
		for _, raw := range c.events {
			u.Unwrap(raw, &ev, emit)
		}
	}}
}

func TestUnmatchedEventIsCheap(t *testing.T) {
	for _, c := range corpora(t) {
		m := newRuleMaker(t, c)
		contenders := []measure.Contender{parsing(t, c), unmatched(t, "unmatched", c, m.quiet(10_000))}
		bar(t, c.name+": an event that none of 10,000 rules can match, as a part of its parse", 0.4, func() float64 {
			return measure.Race(quick, contenders...)[1].Ratio
		})
	}
}

// The whole worker adds batches, accounting and commits to that.
func TestWorkerAddsLittle(t *testing.T) {
	c := generated(t, 2000)
	m := newRuleMaker(t, c)
	contenders := []measure.Contender{parsing(t, c), working(t, "worker", c, compile(t, m.quiet(10_000)))}
	bar(t, "the worker on events that no rule can match, as a part of their parse", 0.5, func() float64 {
		return measure.Race(measure.Options{Rounds: 5}, contenders...)[1].Ratio
	})
}

func TestManyRulesCostWhatFewDo(t *testing.T) {
	c := generated(t, 2000)
	m := newRuleMaker(t, c)
	sparse := []measure.Contender{matching(t, "10", c, m.sparse(10)), matching(t, "10,000", c, m.sparse(10_000))}
	bar(t, "10,000 rules as a multiple of 10, a tenth of the events candidates", 1.25, func() float64 {
		return measure.Race(quick, sparse...)[1].Ratio
	})

	logins := c.renamed("ConsoleLogin")
	one := newRuleMaker(t, logins)
	shared := []measure.Contender{
		matching(t, "10", logins, one.shared(10, "ConsoleLogin")),
		matching(t, "10,000", logins, one.shared(10_000, "ConsoleLogin")),
	}
	bar(t, "10,000 rules on one event name as a multiple of 10", 1.25, func() float64 {
		return measure.Race(quick, shared...)[1].Ratio
	})
}

func TestUnmatchedEventAllocatesNothing(t *testing.T) {
	for _, c := range corpora(t) {
		m := newRuleMaker(t, c)
		for _, set := range []struct {
			name  string
			rules []*matcher.Rule
		}{{"one name", m.quiet(1)}, {"10,000 rules", m.quiet(10_000)}} {
			run := unmatched(t, set.name, c, set.rules).Run
			if n := testing.AllocsPerRun(3, run); n != 0 {
				t.Errorf("%s, %s: %v allocations in %d events, want none", c.name, set.name, n, len(c.events))
			}
		}
	}
}

// A worker allocates for each batch, and nothing for each event.
func TestWorkerAllocatesNothingAnEvent(t *testing.T) {
	c := generated(t, 2000)
	w := working(t, "worker", c, compile(t, newRuleMaker(t, c).quiet(1000)))
	if n := testing.AllocsPerRun(1, w.Run) / float64(w.Events); n > 0.1 {
		t.Errorf("%.2f allocations an event, want those of a batch of %d", n, batchRecords)
	}
}

// TestRulesAreAsTheySay holds the generator to its promise: without it the
// ratios above compare different work.
func TestRulesAreAsTheySay(t *testing.T) {
	c := generated(t, 2000)
	maker := newRuleMaker(t, c)
	share := func(rules []*matcher.Rule) float64 {
		m := compile(t, rules).NewMatcher()
		var ev cloudtrail.Event
		candidates := 0
		for _, raw := range c.events {
			ev.Reset(raw)
			if _, candidate, err := m.Match(nil, &ev); err != nil {
				t.Fatal(err)
			} else if candidate {
				candidates++
			}
		}
		return float64(candidates) / float64(len(c.events))
	}
	if got := share(maker.quiet(10_000)); got != 0 {
		t.Errorf("quiet rules leave %.3f of the events as candidates, want none", got)
	}
	few, many := share(maker.sparse(10)), share(maker.sparse(10_000))
	if few == 0 || few > 0.15 || many > 0.15 {
		t.Errorf("sparse rules leave %.3f and %.3f of the events as candidates, want some up to a tenth", few, many)
	}
	if few, many := share(maker.dense(10)), share(maker.dense(10_000)); few > 0.2 || many < 0.5 {
		t.Errorf("dense rules leave %.3f and %.3f of the events as candidates, want few and most", few, many)
	}
}
