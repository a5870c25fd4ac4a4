//go:build unix

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/test/harness"
)

// told is an alert as it stands in the alerts topic.
type told struct {
	*sinks.Alert
	notify bool
}

// outcome is what two runs over the same events have to agree on, as lines of
// text: plain alerts by ID, episodes by rule, key and what they counted.
type outcome struct {
	plain, episodes, silent []string
}

// parsed is what a reader has seen.
func parsed(records []*kgo.Record) (out []told, broken []string) {
	for _, r := range records {
		a, _, notify, err := enginekafka.ParseAlert(r)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		out = append(out, told{a, notify})
	}
	return out, broken
}

func (f *follower) alerts() []told {
	out, _ := parsed(f.seen())
	return out
}

// judged is the outcome of a run: of episodes their last state.
func judged(alerts []told) *outcome {
	o := &outcome{}
	last := make(map[string]told)
	for _, a := range alerts {
		switch {
		case isPlain(a.RuleID):
			o.plain = append(o.plain, fmt.Sprintf("%s %s %s of event %s", a.RuleID, a.Status, a.AlertID, a.EventID))
		case a.Status != sinks.Update: // the same state is there as firing
			last[a.AlertID] = a
		}
	}
	for _, a := range last {
		switch {
		case a.MergedInto != "": // what it was merged into tells
		case a.RuleID == silenceRule:
			// Of matches in the same second any may be the newest.
			o.silent = append(o.silent, fmt.Sprintf("%s %s %s", a.Status, *a.Group["recipientAccountId"], a.LastTime.UTC().Format(time.RFC3339)))
		case a.RuleID == chainRule:
			// Which events a firing shows for itself hangs on the commit that it was in.
			o.episodes = append(o.episodes, episode(a.RuleID, string(a.Status)+"/"+a.Resolution, a.Group, a.FirstTime, a.LastTime, a.Count, nil))
		default:
			o.episodes = append(o.episodes, episode(a.RuleID, string(a.Status)+"/"+a.Resolution, a.Group, a.FirstTime, a.LastTime, a.Count, a.EventIDs))
		}
	}
	return o
}

func episode(rule, state string, group map[string]*string, first, last time.Time, count int, ids []string) string {
	return harness.EpisodeKey(rule, state, group, first, last, count, ids)
}

// differs tells how got is not what was wanted; empty: it is.
func (o *outcome) differs(got *outcome) string {
	var b strings.Builder
	difference(&b, "plain alerts", o.plain, got.plain)
	difference(&b, "episodes", o.episodes, got.episodes)
	difference(&b, "absences", o.silent, got.silent)
	return b.String()
}

// difference compares two bags of lines.
func difference(b *strings.Builder, what string, want, got []string) {
	n := make(map[string]int, len(want))
	for _, s := range want {
		n[s]++
	}
	for _, s := range got {
		n[s]--
	}
	var lines []string
	missing, extra := 0, 0
	for s, k := range n {
		switch {
		case k > 0:
			missing += k
			lines = append(lines, fmt.Sprintf("\tmissing ×%d: %.500s", k, s))
		case k < 0:
			extra -= k
			lines = append(lines, fmt.Sprintf("\ttoo many ×%d: %.500s", -k, s))
		}
	}
	if len(lines) == 0 {
		return
	}
	slices.SortFunc(lines, func(a, b string) int { // a wrong one beside what it should be
		_, a, _ = strings.Cut(a, ": ")
		_, b, _ = strings.Cut(b, ": ")
		return strings.Compare(a, b)
	})
	fmt.Fprintf(b, "%s: %d wanted, %d got, %d missing, %d too many\n%s\n", what, len(want), len(got), missing, extra, strings.Join(lines[:min(len(lines), 16)], "\n"))
}

// histories holds each alert to what a read_committed reader may see of it: one
// beginning, and one end after everything else.
func histories(alerts []told) (problems []string) {
	type history struct {
		rule                string
		records, begun, end int
		last                told
	}
	all := make(map[string]*history)
	for _, a := range alerts {
		h := all[a.AlertID]
		if h == nil {
			h = &history{rule: a.RuleID}
			all[a.AlertID] = h
		}
		h.records++
		if a.notify && a.Status == sinks.Firing {
			h.begun++
		}
		if a.Resolution != "" {
			h.end++
		}
		h.last = a
	}
	for id, h := range all {
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("alert %s of %s: ", id, h.rule)+fmt.Sprintf(format, args...))
		}
		begun := 1
		if h.last.Status == sinks.Suppressed {
			begun = 0
		}
		if h.begun != begun {
			bad("told %d times that it fires, want %d", h.begun, begun)
		}
		switch {
		case isPlain(h.rule):
			if h.records != 1 {
				bad("it has %d records", h.records)
			}
		case h.rule == silenceRule:
			if h.end != 0 {
				bad("it ended, and nobody has returned")
			}
		case h.end != 1 || h.last.Resolution == "":
			bad("%d ends; its last record is %s %q", h.end, h.last.Status, h.last.Resolution)
		}
	}
	slices.Sort(problems)
	return problems
}
