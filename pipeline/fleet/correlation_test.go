package fleet

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/sigma"
	"github.com/trailtide/trailtide/pipeline/alerting"
)

const correlationRules = `
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
title: Burst
name: burst
id: burst
correlation: {type: event_count, rules: [a], group-by: [requestParameters.x, requestParameters.y], timespan: 2m, condition: {gte: 2}, generate: true}
---
title: Some
name: some
id: some
correlation: {type: event_count, rules: [b], group-by: [requestParameters.x], timespan: 2m, condition: {eq: 2}, generate: true}
---
title: Chain
id: chain
correlation: {type: temporal, rules: [burst, some], group-by: [requestParameters.x], timespan: 10m}
---
title: Two ends, one of each
name: twice
id: twice
correlation: {type: event_count, rules: [b], group-by: [requestParameters.x, requestParameters.y], timespan: 5m, condition: {gte: 2}, generate: true}
---
title: By x
id: by-x
correlation: {type: value_count, rules: [twice], group-by: [requestParameters.x], timespan: 30m, condition: {field: requestParameters.y, gte: 2}}
---
title: By y
id: by-y
correlation: {type: value_count, rules: [twice], group-by: [requestParameters.y], timespan: 30m, condition: {field: requestParameters.x, gte: 3}}
`

func compileSigma(t testing.TB, docs string) *matcher.Ruleset {
	t.Helper()
	set, err := sigma.Parse("rules.yml", []byte(docs), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rules, correlations := set.Lower()
	rs, err := matcher.Compile(rules, matcher.Options{Correlations: correlations})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// Correlations of correlations, whose keys differ between levels and whose
// chains have several ends, are those of one worker, through aborts too. The
// events come in order: the time of a firing is that of the event that makes it
// known, so that another order may give a firing of firings another time.
func TestCorrelationsOfAFleet(t *testing.T) {
	t.Parallel()
	rs := compileSigma(t, correlationRules)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	at := time.Now().Add(-6 * time.Hour).Truncate(time.Second)
	var events [][]byte
	for i := range 1_500 {
		when := at.Add(time.Duration(i*8) * time.Second)
		more := fmt.Sprintf(`,"requestParameters":{"kind":%q,"x":"x%d","y":"y%d"}`, []string{"a", "b", "c"}[r.IntN(3)], r.IntN(9), r.IntN(7))
		events = append(events, event(fmt.Sprint("e", i), when, "joe", "Call", more))
	}
	end := at.Add(5 * time.Hour)
	reference, _ := embedded(t, rs, append(events, event("end", end, "nobody", "Other", "")), alerting.Options{})
	want := final(reference)
	kinds := make(map[string]int)
	for _, a := range reference {
		kinds[a.RuleID]++
	}
	for _, id := range []string{"chain", "by-x", "by-y"} {
		if kinds[id] == 0 {
			t.Fatalf("the reference has no alert of %s: %v", id, kinds)
		}
	}
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	everyNth(c, kmsg.TxnOffsetCommit, "alert", 5, kerr.IllegalGeneration)
	a, b := start(t, c, "a", rs, quiet), start(t, c, "b", rs, quiet)
	tick(t, cl, end, 0)
	for i := 0; i < len(events); i += 300 {
		put(t, cl, 0, events[i:i+300]...)
		eventually(t, "this part is read", func() bool { return sum(a, b).Read >= int64(i+300) })
	}
	put(t, cl, 0, event("end", end, "nobody", "Other", ""))
	eventually(t, "the alerts are those of one worker", func() bool { return maps.Equal(shapes(final(alerts.seen())), shapes(want)) })
}

// shapes are alerts without the IDs of their events: of a firing, those count
// that were known when it was committed, and intervals differ.
func shapes(alerts map[string]bool) map[string]bool {
	out := make(map[string]bool, len(alerts))
	for a := range alerts {
		shape, _, _ := strings.Cut(a, " [")
		out[shape] = true
	}
	return out
}
