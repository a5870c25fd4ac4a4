//go:build unix

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// recount finds the episodes of the counted rules by sorting all matches by
// time. It shares no code with the product but the name of what it counts.
func recount(tr *trafficOf) ([]string, error) {
	seen := make(map[string]bool)
	var events []*event
	for _, r := range tr.records {
		if r.broken {
			continue
		}
		e, err := read(r.value)
		if err != nil {
			return nil, fmt.Errorf("read an event of the traffic: %w", err)
		}
		if id := e.identity(); !seen[id] {
			seen[id] = true
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b *event) int { return a.at.Compare(b.at) })
	var out []string
	for id, c := range thresholds {
		groups := make(map[string][]*event)
		for _, e := range events {
			if c.holds(e) && (c.distinct == "" || e.text(c.distinct) != "") {
				groups[c.key(e)] = append(groups[c.key(e)], e)
			}
		}
		for _, list := range groups {
			out = append(out, c.episodes(id, list)...)
		}
	}
	return out, nil
}

func (c *counted) key(e *event) string {
	var b strings.Builder
	for _, path := range c.group {
		b.WriteString(e.text(path))
		b.WriteByte(0)
	}
	return b.String()
}

// episodes cuts the matches of a key, sorted by time, into chains, and keeps
// those that somewhere hold enough.
func (c *counted) episodes(rule string, list []*event) (out []string) {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].at.Sub(list[n-1].at) <= c.window {
			n++
		}
		if c.fires(list[:n]) {
			out = append(out, c.line(rule, list[:n]))
		}
		list = list[n:]
	}
	return out
}

func (c *counted) fires(chain []*event) bool {
	for i := range chain {
		values := make(map[string]bool)
		for j := i; j < len(chain) && chain[j].at.Sub(chain[i].at) <= c.window; j++ {
			value := fmt.Sprint(j)
			if c.distinct != "" {
				value = chain[j].text(c.distinct)
			}
			if values[value] = true; len(values) >= c.n {
				return true
			}
		}
	}
	return false
}

func (c *counted) line(rule string, chain []*event) string {
	group, plain := make(map[string]*string), make(map[string]string)
	for _, path := range c.group {
		v := chain[0].text(path)
		plain[path] = v
		if group[path] = &v; v == "" {
			group[path] = nil
		}
	}
	state := "resolved/quiet"
	if c.mutes != nil && c.mutes(plain) {
		state = "suppressed/quiet"
	}
	var ids []string
	for _, e := range chain {
		ids = append(ids, e.text("eventID"))
	}
	return episode(rule, state, group, chain[0].at, chain[len(chain)-1].at, len(chain), ids)
}

// evidence checks the raw events that alerts show, and the times of plain ones.
func evidence(tr *trafficOf, alerts []told) (problems []string, err error) {
	raw := make(map[string]map[string]bool) // bytes, by event ID
	for _, r := range tr.records {
		if r.broken {
			continue
		}
		e, err := read(r.value)
		if err != nil {
			return nil, err
		}
		id := e.text("eventID")
		if raw[id] == nil {
			raw[id] = make(map[string]bool)
		}
		raw[id][string(r.value)] = true
	}
	for _, a := range alerts {
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("alert %s of %s, %s at %s: ", a.AlertID, a.RuleID, a.Status, a.DetectedAt.Format(time.RFC3339Nano))+fmt.Sprintf(format, args...))
		}
		if isPlain(a.RuleID) || a.RuleID == silenceRule {
			if !raw[a.EventID][string(a.Event)] {
				bad("its event %s is not one of the traffic: %.300s", a.EventID, a.Event)
			}
			continue
		}
		if a.EvidenceCut {
			bad("evidence was cut")
		}
		switch least := thresholds["burst"].n * a.Count; {
		case a.RuleID == chainRule && (len(a.EventIDs) < least || !stepsOf(*a.Group["requestParameters.user"], a.EventIDs)):
			bad("its events are not those of %d bursts: %s", a.Count, a.EventIDs)
		case a.RuleID != chainRule && len(a.EventIDs) != a.Count:
			bad("%d event IDs and a count of %d", len(a.EventIDs), a.Count)
		}
		if len(a.Events) != min(10, a.Count) {
			bad("%d raw events and a count of %d", len(a.Events), a.Count)
		}
		for _, ev := range a.Events {
			e, err := read(ev)
			if err != nil {
				return nil, err
			}
			if id := e.text("eventID"); !slices.Contains(a.EventIDs, id) || !raw[id][string(ev)] {
				bad("it shows an event that it did not count: %.300s", ev)
			}
		}
	}
	return problems, nil
}

// stepsOf says whether events are different steps of a user.
func stepsOf(user string, ids []string) bool {
	_, n, _ := strings.Cut(user, "-")
	seen := make(map[string]bool)
	for _, id := range ids {
		if seen[id] || !strings.HasPrefix(id, "step-"+n+"-") {
			return false
		}
		seen[id] = true
	}
	return true
}
