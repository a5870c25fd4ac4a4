package harness

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// BusyRules match a good part of all traffic, so that there is much to lose.
// The rules plain and muted have no threshold.
const BusyRules = `
rules:
  - {id: plain, title: P, severity: low, match: {eventName: [AssumeRole, CreateTags, PutObject], readOnly: false}}
  - {id: muted, title: M, severity: low, match: {eventName: ListBuckets}, suppress: [{when: {awsRegion: us-east-1}, reason: home}]}
  - {id: many, title: C, severity: high, match: {eventName: {prefix: Describe}}, threshold: {count: 10, window: 1m, group_by: [userIdentity.arn, eventName], realert: 5m}}
  - {id: few, title: F, severity: high, match: {response: failure}, threshold: {count: 2, window: 20s, group_by: [userIdentity.arn]}}
  - {id: spread, title: D, severity: high, match: {eventSource: ec2.amazonaws.com}, threshold: {distinct: {field: awsRegion, count: 3}, window: 2m, group_by: [recipientAccountId]}}
`

// Outcome is what runs of BusyRules over the same events have to agree on.
type Outcome struct{ Plain, Counted, Dead []string }

// OutcomeOf reads a state file.
func OutcomeOf(t testing.TB, state string) Outcome {
	t.Helper()
	var o Outcome
	for _, a := range Alerts(t, Output(t, "alerts", "export", "--state", state)) {
		// Which episodes stood alone before a late event joined them hangs on the
		// order of reading; what they were folded into does not.
		if a.MergedInto != "" {
			t.Errorf("an export shows an episode that was folded into another: %s", a.AlertID)
		}
		o.add(&a)
	}
	for _, d := range DeadLetters(t, Output(t, "dead-letters", "events", "--state", state)) {
		o.Dead = append(o.Dead, d.Position+" "+d.Reason)
	}
	return o
}

func (o *Outcome) add(a *Alert) {
	switch a.RuleID {
	case "plain", "muted":
		o.Plain = append(o.Plain, PlainLine(a))
	default:
		// Whether the end of the input still came to resolve it hangs on which file ended last.
		status := strings.Replace(a.Status, "resolved", "firing", 1)
		o.Counted = append(o.Counted, EpisodeKey(a.RuleID, status, a.Group, *a.FirstTime, *a.LastTime, a.Count, a.EventIDs))
	}
}

// PlainLine leaves the position out: of an event that came twice it is the one
// that was read first, and a scan that goes on reads its files side by side in
// another order.
func PlainLine(a *Alert) string { return a.RuleID + " " + a.Status + " " + a.AlertID }

// EpisodeKey is an episode as one line of text.
func EpisodeKey(rule, status string, group map[string]*string, first, last time.Time, count int, ids []string) string {
	g, err := json.Marshal(group)
	if err != nil {
		panic(err)
	}
	ids = slices.Sorted(slices.Values(ids))
	return fmt.Sprintf("%s %s %s %s..%s count %d %v", rule, status, g, first.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339), count, ids)
}

// Telling fails the test when there is too little in an outcome to prove anything.
func (o Outcome) Telling(t testing.TB) {
	t.Helper()
	if len(o.Plain) < 500 || len(o.Counted) < 20 || len(o.Dead) < 5 {
		t.Fatalf("%d plain alerts, %d episodes, %d dead letters: that proves little", len(o.Plain), len(o.Counted), len(o.Dead))
	}
}

// Same compares two outcomes; o is the wanted one.
func (o Outcome) Same(t testing.TB, got Outcome) {
	t.Helper()
	Same(t, "plain alerts", o.Plain, got.Plain)
	Same(t, "episodes", o.Counted, got.Counted)
	Same(t, "dead letters", o.Dead, got.Dead)
}

// Same compares two bags of lines.
func Same(t testing.TB, what string, want, got []string) {
	t.Helper()
	n := make(map[string]int)
	for _, s := range want {
		n[s]++
	}
	for _, s := range got {
		n[s]--
	}
	var missing, extra []string
	for s, k := range n {
		switch {
		case k > 0:
			missing = append(missing, s)
		case k < 0:
			extra = append(extra, s)
		}
	}
	if len(missing)+len(extra) == 0 {
		return
	}
	show := func(list []string) string {
		slices.Sort(list)
		var b strings.Builder
		for _, s := range list[:min(len(list), 8)] {
			fmt.Fprintf(&b, "\n\t%.600s", s)
		}
		return b.String()
	}
	t.Errorf("%s: %d wanted, %d got; %d missing:%s\n%d too many:%s", what, len(want), len(got), len(missing), show(missing), len(extra), show(extra))
}

// Delivered fails the test for each alert of an export that is neither
// suppressed nor among the sent ones; both are NDJSON. A kill may have cut a sent
// line, if a later one has the whole of it.
func Delivered(t testing.TB, export, sent string) {
	t.Helper()
	have := make(map[string]bool)
	whole, cut := cutLines(sent)
	for _, c := range cut {
		if !slices.ContainsFunc(whole, func(line string) bool { return strings.HasPrefix(line, c) }) {
			t.Errorf("a line that was cut did not come again:\n%.300s", c)
		}
	}
	for _, a := range Alerts(t, strings.Join(whole, "\n")) {
		have[a.AlertID] = true
	}
	for _, a := range Alerts(t, export) {
		if a.Status != "suppressed" && !have[a.AlertID] {
			t.Errorf("alert %s of %s never reached the sink", a.AlertID, a.RuleID)
		}
	}
}

// cutLines tells the lines that are JSON from those that are not.
func cutLines(text string) (whole, cut []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if json.Valid([]byte(line)) {
			whole = append(whole, line)
		} else {
			cut = append(cut, line)
		}
	}
	return whole, cut
}
