package alerting

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/sigma"
	"github.com/trailtide/trailtide/sinks"
)

// sigmaRules reads Sigma documents with their correlations.
func sigmaRules(t *testing.T, docs string) *matcher.Ruleset {
	t.Helper()
	set, err := sigma.Parse("rules.yml", []byte(docs), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rules, correlations := set.Lower()
	for _, r := range rules { // those that no correlation names, too
		r.Silent = r.Silent || !strings.Contains(docs, "generate: true")
	}
	rs, err := matcher.Compile(rules, matcher.Options{Correlations: correlations})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// baseRules are three rules that say what an event is by its field kind.
const baseRules = `
title: A
name: a
id: a
logsource: {product: aws, service: cloudtrail}
detection: {s: {requestParameters.kind: a}, condition: s}
---
title: B
name: b
id: b
logsource: {product: aws, service: cloudtrail}
detection: {s: {requestParameters.kind: b}, condition: s}
---
title: AB
name: ab
id: ab
logsource: {product: aws, service: cloudtrail}
detection: {s: {requestParameters.kind: [a, b]}, condition: s}
---
`

func newSigmaBench(t *testing.T, correlations string) *bench {
	t.Helper()
	b := newBench(t, "rules: [{id: unused, title: U, severity: low, match: {eventName: never}}]")
	b.rules = sigmaRules(t, baseRules+correlations)
	return b
}

func (b *bench) kind(sec int, kind, more string) {
	b.t.Helper()
	b.see(sec, fmt.Sprintf(`,"requestParameters":{"kind":%q%s}`, kind, more))
}

func TestTemporalTellsOfAllItsRules(t *testing.T) {
	b := newSigmaBench(t, `
title: Both
id: both
level: high
correlation: {type: temporal, rules: [a, b], group-by: [who], timespan: 1m, aliases: {who: {a: requestParameters.x, b: requestParameters.y}}}
`)
	b.kind(0, "a", `,"x":"joe"`)
	b.kind(10, "b", `,"y":"eve"`)
	b.kind(11, "b", "") // no group
	b.kind(59, "b", `,"y":"joe"`)
	b.flushAnd(func() error { return b.stage.Txn().Commit(t.Context()) })
	if c := b.stage.Committed(); c.Ungrouped != 1 || c.Matched != 4 {
		t.Errorf("counts %+v", c)
	}
	b.begin()
	b.want("both firing ×2 [id-1 id-4]")
	a := b.stored()[0]
	if a.Title != "Both" || a.Severity != "high" || *a.Group["who"] != "joe" || len(a.Events) != 2 || a.Distinct != 2 {
		t.Errorf("stored %+v", a)
	}
	b.clock(60 + 59 + 61)
	b.want("both resolved ×2 [id-1 id-4] quiet")
}

func TestTemporalOrderedNeedsTheOrder(t *testing.T) {
	b := newSigmaBench(t, `
title: Then
id: then
correlation: {type: temporal_ordered, rules: [a, b], timespan: 1m}
`)
	b.kind(10, "b", "")
	b.kind(20, "a", "")
	b.want()
	b.kind(5, "a", "") // late, but not too late: it was before b
	b.want("then firing ×3 [id-3 id-1 id-2]")
}

func TestAnEventOfTwoRulesCountsOnce(t *testing.T) {
	b := newSigmaBench(t, `
title: Count
id: count
correlation: {type: event_count, rules: [a, ab], timespan: 1m, condition: {gte: 2}, generate: true}
`)
	b.kind(0, "a", "")
	b.want("a firing ×1 [id-1]", "ab firing ×1 [id-1]")
	b.kind(1, "b", "")
	b.want("ab firing ×1 [id-2]", "b firing ×1 [id-2]", "count firing ×2 [id-1 id-2]")
}

func TestUpperBoundsAreJudgedAtTheEnd(t *testing.T) {
	b := newSigmaBench(t, `
title: Some
id: some
correlation: {type: event_count, rules: [a], group-by: [requestParameters.x], timespan: 1m, condition: {gte: 2, lt: 4}}
`)
	for i := range 3 {
		b.kind(i, "a", `,"x":"three"`)
	}
	for i := range 4 {
		b.kind(i, "a", `,"x":"four"`)
	}
	b.kind(0, "a", `,"x":"one"`)
	b.want()
	b.clock(60 + 63)
	b.want("some firing ×3 [id-1 id-2 id-3]", "some resolved ×3 [id-1 id-2 id-3] quiet")
}

func TestNumbers(t *testing.T) {
	b := newSigmaBench(t, `
title: Sum
id: sum
correlation: {type: value_sum, rules: [a], timespan: 1m, condition: {field: requestParameters.n, gt: 100}}
---
title: Mean
id: mean
correlation: {type: value_avg, rules: [b], timespan: 1m, condition: {field: requestParameters.n, gte: 2.5}}
---
title: Median
id: median
correlation: {type: value_percentile, rules: [b], timespan: 1m, condition: {field: requestParameters.n, percentile: 50, gte: 4}}
---
title: Values
id: values
correlation: {type: value_count, rules: [ab], timespan: 1m, condition: {field: [requestParameters.n, requestParameters.m], gte: 4}}
`)
	b.kind(0, "a", `,"n":99.5,"m":1`)
	b.kind(1, "a", `,"n":"0.5","m":1`)
	b.kind(2, "a", `,"n":-7`)
	b.kind(3, "a", `,"n":"many"`)
	b.want()
	b.kind(4, "a", `,"n":0.0001`)
	b.want("sum firing ×3 [id-1 id-2 id-5]")
	b.kind(200, "b", `,"n":1,"m":1`)
	b.kind(201, "b", `,"n":4,"m":1`) // the mean is 2.5, the median still 1
	b.kind(202, "b", `,"n":4,"m":2`) // the median is 4
	b.kind(203, "b", `,"n":4,"m":1`) // its values came before
	b.want("sum resolved ×3 [id-1 id-2 id-5] quiet")
	b.clock(60 + 202) // not passed
	b.want("mean firing ×4 [id-6 id-7 id-8 id-9]")
	b.clock(60 + 203)
	b.kind(204, "a", `,"n":1,"m":2`)
	b.want("median firing ×4 [id-6 id-7 id-8 id-9]", "values firing ×5 [id-6 id-7 id-8 id-9 id-10]")
}

const chainRules = `
title: Burst
name: burst
id: burst
correlation: {type: event_count, rules: [a], group-by: [requestParameters.x, requestParameters.y], timespan: 10s, condition: {gte: 2}}
---
title: Some
name: some
id: some
correlation: {type: event_count, rules: [b], group-by: [requestParameters.x], timespan: 10s, condition: {eq: 2}}
---
title: Chain
id: chain
level: critical
correlation: {type: temporal, rules: [burst, some], group-by: [requestParameters.x], timespan: 1m}
---
title: Spread
id: spread
correlation: {type: value_count, rules: [burst], group-by: [requestParameters.x], timespan: 1m, condition: {field: requestParameters.y, gte: 2}}
`

// TestChain is a temporal correlation of one that fires at once and one that is
// judged when its window closes: its firing is at 31+10 s.
func TestChain(t *testing.T) {
	b := newSigmaBench(t, chainRules)
	b.kind(30, "b", `,"x":"p"`)
	b.kind(31, "b", `,"x":"p"`)
	b.kind(90, "a", `,"x":"p","y":"1"`)
	b.kind(91, "a", `,"x":"p","y":"1"`)
	b.want()
	b.kind(92, "a", `,"x":"p","y":"2"`)
	b.kind(93, "a", `,"x":"p","y":"2"`)
	b.want("spread firing ×2 [id-3 id-4 id-5 id-6]")
	b.clock(60 + 42) // 41 + a little: some is judged
	b.want("chain firing ×3 [id-1 id-2 id-3 id-4 id-5 id-6]")
	for _, a := range b.stored() {
		if a.RuleID == "chain" && (!a.FirstTime.Equal(t0.Add(41*time.Second)) || a.Severity != "critical" || len(a.Events) != 3) {
			t.Errorf("chain is %+v", a)
		}
	}
	b.clock(3000)
	b.want("spread resolved ×2 [id-3 id-4 id-5 id-6] quiet", "chain resolved ×3 [id-1 id-2 id-3 id-4 id-5 id-6] quiet")
	for table, entries := range b.live {
		if table != 4 && len(entries) > 0 { // Meta
			t.Errorf("table %d holds %d entries at the end", table, len(entries))
		}
	}
}

// TestChainIsTheSameThroughAbortsAndRestarts runs one stream with a commit at
// the end, with an aborted commit after each event, and with a restart after
// each, the watermark coming in steps or all at once.
func TestChainIsTheSameThroughAbortsAndRestarts(t *testing.T) {
	type event struct {
		sec        int
		kind, more string
	}
	var stream []event
	for i := range 12 {
		stream = append(stream,
			event{i * 23, "b", fmt.Sprintf(`,"x":"p%d"`, i%2)},
			event{i*23 + 4, "b", fmt.Sprintf(`,"x":"p%d"`, i%2)},
			event{i*23 + 9, "a", fmt.Sprintf(`,"x":"p%d","y":"%d"`, i%2, i%3)},
			event{i*23 + 10, "a", fmt.Sprintf(`,"x":"p%d","y":"%d"`, i%2, i%3)},
		)
	}
	run := func(after func(b *bench, e event)) []string {
		b := newSigmaBench(t, chainRules)
		for _, e := range stream {
			after(b, e)
		}
		b.clock(5000)
		b.commit()
		var out []string
		for _, a := range b.stored() {
			if a.Status != sinks.Resolved {
				t.Errorf("%s is %s", a.RuleID, a.Status)
			}
			out = append(out, fmt.Sprintf("%s %s %s ×%d %v", a.AlertID, a.RuleID, a.LastTime, a.Count, a.EventIDs))
		}
		slices.Sort(out)
		return out
	}
	plain := func(b *bench, e event) { b.kind(e.sec, e.kind, e.more) }
	want := run(plain)
	if len(want) < 4 {
		t.Fatalf("only %q", want)
	}
	for name, after := range map[string]func(b *bench, e event){
		"aborts": func(b *bench, e event) {
			n := b.next
			for range 2 {
				b.next = n
				plain(b, e)
				b.flushAnd(func() error { return b.stage.Txn().Abort(t.Context()) })
				b.stage.RolledBack()
				b.begin()
			}
			b.next = n
			plain(b, e)
			b.commit()
		},
		"restarts": func(b *bench, e event) {
			plain(b, e)
			b.restart(b.rules)
		},
		"small steps": func(b *bench, e event) {
			for s := e.sec - 30; s < e.sec; s++ {
				b.clock(s)
			}
			plain(b, e)
		},
	} {
		if d := cmp.Diff(want, run(after)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestTumblingAlarm(t *testing.T) {
	b := newBench(t, "rules: [{id: alarm, title: Alarm, severity: high, match: {eventName: E}, threshold: {count: 2, window: 5m}}]")
	r := *b.rules.Rule("alarm")
	r.Threshold = &matcher.Threshold{
		Count: 2, Window: 5 * time.Minute, Tumbling: &matcher.Tumbling{Periods: 3, Points: 2, Missing: matcher.NotBreaching},
	}
	rs, err := matcher.Compile([]*matcher.Rule{&r}, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.rules = rs
	b.see(0, "")
	b.see(299, "")
	b.see(300, "")
	b.see(901, "")
	b.see(902, "")
	b.want() // the third period is not over
	b.restart(rs)
	b.clock(900 + 60)
	b.want()
	b.clock(1200 + 60)
	b.want()
	b.see(1203, "")
	b.see(1204, "")
	b.clock(1500 + 60)
	b.want("alarm firing ×4 [id-4 id-5 id-6 id-7]")
	b.clock(1800 + 60)
	b.want() // two of the last three still breach
	b.clock(2100 + 60)
	b.want("alarm resolved ×4 [id-4 id-5 id-6 id-7] quiet")
}
