package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
)

const manyRules = `
rules:
  - {id: every, title: Every failure, severity: low, match: {eventName: [Fail, Both]}}
  - id: failing
    title: A principal fails a lot
    severity: medium
    match: {eventName: [Fail, Both]}
    threshold: {count: 5, window: 10m, group_by: [userIdentity.arn]}
  - id: region
    title: Many failures in a region
    severity: medium
    match: {eventName: [Fail, Both]}
    threshold: {count: 50, window: 10m, group_by: [awsRegion]}
  - id: missing
    title: Silence
    severity: medium
    match: {eventName: [Heartbeat, Both]}
    threshold: {absent_for: 6h, group_by: [userIdentity.arn]}
`

// mixed are events of which some match rules of every kind at once, some are
// late, untimed, broken, twice or of no interest.
func mixed(at time.Time) (events [][]byte) {
	for i := range 400 {
		user := fmt.Sprint("u", i%9)
		when := at.Add(time.Duration(i) * 3 * time.Second)
		name := []string{"Fail", "Both", "Heartbeat", "Other"}[i%4]
		switch {
		case i%37 == 36: // late by far
			when = at.Add(-5 * time.Hour)
		case i%41 == 40: // too far ahead to be believed
			when = time.Now().Add(time.Hour)
		}
		ev := event(fmt.Sprint("e", i), when, user, name, "")
		events = append(events, ev)
		switch {
		case i%23 == 22 && name != "Heartbeat":
			events = append(events, ev)
		case i%29 == 28:
			events = append(events, []byte(`{"eventName":"Fail",`))
		}
	}
	return events
}

// tallies are what has to be the same in a fleet.
func tallies(s pipeline.Summary) map[string]int64 {
	return map[string]int64{
		"read": s.Read, "invalid": s.Invalid, "matched": s.Matched, "duplicate": s.Duplicate, "unmatched": s.Unmatched,
		"late": s.Late, "untimed": s.Untimed, "conflicts": s.Conflicts, "ungrouped": s.Ungrouped, "suppressed": s.Suppressed,
	}
}

// Every event is in one class, however many partitions its matches go to, and
// the classes are those of one worker.
func TestAccountingOfTheFleet(t *testing.T) {
	t.Parallel()
	rs := compile(t, manyRules)
	events := mixed(time.Now().Add(-2 * time.Hour).Truncate(time.Second))
	reference, want := embedded(t, rs, events, alerting.Options{})
	if want.Late == 0 || want.Untimed == 0 || want.Invalid == 0 || want.Duplicate == 0 || want.Unmatched == 0 {
		t.Fatalf("the events are not mixed enough: %+v", want)
	}
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	a, b := start(t, c, "a", rs, quiet), start(t, c, "b", rs, quiet)
	// One partition, and all others ahead: what is late there is late in the reference.
	tick(t, cl, time.Now().Add(-time.Minute), 0)
	settled(t, trailPartitions-1, a, b)
	put(t, cl, 0, events...)
	got := tallies(settled(t, len(events)+trailPartitions-1, a, b))
	got["read"] -= trailPartitions - 1
	got["unmatched"] -= trailPartitions - 1
	if d := cmp.Diff(tallies(want), got); d != "" {
		t.Errorf("(-embedded +fleet)\n%s", d)
	}
	alerts.waitFor(t, final(reference))
}
