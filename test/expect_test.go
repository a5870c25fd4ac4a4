package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/test/harness"
)

// refRule is a rule as the reference reads it.
type refRule struct {
	id        string
	on        bool
	match     *yaml.Node
	threshold *yaml.Node // nil: a plain rule
	suppress  []*yaml.Node
}

// rulesIn reads rule files, in the native language only.
func rulesIn(t *testing.T, paths ...string) []*refRule {
	t.Helper()
	var all []*refRule
	var global []*yaml.Node
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(b, &doc); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if s := member(doc.Content[0], "suppress"); s != nil {
			global = append(global, s.Content...)
		}
		for _, n := range member(doc.Content[0], "rules").Content {
			r := &refRule{id: member(n, "id").Value, on: true, match: member(n, "match"), threshold: member(n, "threshold")}
			if r.match == nil {
				t.Fatalf("%s: rule %s has no match", path, r.id)
			}
			if on := member(n, "enabled"); on != nil {
				r.on = on.Value == "true"
			}
			if s := member(n, "suppress"); s != nil {
				r.suppress = s.Content
			}
			all = append(all, r)
		}
	}
	for _, s := range global {
		for _, r := range all {
			only := member(s, "rules")
			if only == nil || some(only.Content, func(n *yaml.Node) bool { return wildcard(r.id, n.Value) }) {
				r.suppress = append(r.suppress, s)
			}
		}
	}
	return all
}

// refEvent is a line of a corpus.
type refEvent struct {
	line     int
	raw      []byte
	doc      any
	id       string // eventID
	identity string
	at       time.Time
	timed    bool
}

func eventsIn(t *testing.T, path string) []*refEvent {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []*refEvent
	for i, raw := range bytes.Split(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\n'}) {
		ev := &refEvent{line: i + 1, raw: raw}
		if ev.doc, err = document(raw); err != nil {
			t.Fatalf("%s:%d: %v", path, ev.line, err)
		}
		var hasID bool
		ev.id, hasID = ev.top("eventID").(string)
		ev.identity = string(raw)
		if hasID {
			ev.identity = fmt.Sprintf("%q %#v %#v %#v", ev.id, ev.top("recipientAccountId"), ev.top("eventName"), ev.top("eventTime"))
		}
		if text, ok := ev.top("eventTime").(string); ok {
			ev.at, err = time.Parse(time.RFC3339, text)
			ev.timed = err == nil
		}
		all = append(all, ev)
	}
	return all
}

func (ev *refEvent) top(key string) any {
	o, _ := ev.doc.(object)
	return o[key]
}

// suppressed says whether a suppression covers an event, leaving out those
// that mute the alert of a threshold.
func (r *refRule) suppressed(ev *refEvent) bool {
	return some(r.suppress, func(s *yaml.Node) bool {
		return !r.mutes(s) && covers(s, ev)
	})
}

func covers(s *yaml.Node, ev *refEvent) bool {
	if expires := member(s, "expires"); expires != nil {
		day, err := time.Parse(time.DateOnly, expires.Value)
		if err != nil || !ev.timed || !ev.at.Before(day.AddDate(0, 0, 1)) {
			return false
		}
	}
	return holds(ev.doc, member(s, "when"))
}

// mutes says whether a suppression reads nothing but the threshold's group-by
// fields. It knows suppressions without any, all and the like.
func (r *refRule) mutes(s *yaml.Node) bool {
	if r.threshold == nil {
		return false
	}
	groups := r.groupBy()
	when := member(s, "when")
	for i := 0; i < len(when.Content); i += 2 {
		if !slices.Contains(groups, when.Content[i].Value) {
			return false
		}
	}
	return true
}

func (r *refRule) groupBy() []string {
	var paths []string
	if g := member(r.threshold, "group_by"); g != nil {
		for _, n := range listOf(g) {
			paths = append(paths, n.Value)
		}
	}
	return paths
}

// text is how the value at a path reads in a group, and whether there is one.
func text(ev *refEvent, path string) (string, bool) {
	var values []any
	for _, v := range follow(ev.doc, split(path)).values {
		if v != nil {
			values = append(values, v)
		}
	}
	if len(values) != 1 {
		if len(values) > 1 {
			panic("the reference groups by single values only: " + path)
		}
		return "", false
	}
	switch v := values[0].(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	panic("the reference groups by single values only: " + path)
}

// The things that are compared, each one line of text.

// plainAlerts are what the plain rules have to say of the events.
func plainAlerts(rules []*refRule, events []*refEvent) []string {
	var all []string
	for _, r := range rules {
		if !r.on || r.threshold != nil {
			continue
		}
		seen := make(map[string]bool)
		for _, ev := range events {
			if seen[ev.identity] || !holds(ev.doc, r.match) {
				continue
			}
			seen[ev.identity] = true
			all = append(all, plainKey(r.id, ev.line, ev.id, r.suppressed(ev)))
		}
	}
	return all
}

func plainKey(rule string, line int, eventID string, suppressed bool) string {
	status := "firing"
	if suppressed {
		status = "suppressed"
	}
	return fmt.Sprintf("%s %s line %d event %q", rule, status, line, eventID)
}

// episode is a chain of matches, none more than the window after the one before.
type episode struct {
	rule   string
	group  map[string]*string
	events []*refEvent // in order of time
	muted  bool
}

// episodes are what the thresholds have to say: every chain that somewhere
// holds N matches, or N values, within the window.
func episodes(t *testing.T, rules []*refRule, events []*refEvent) []*episode {
	t.Helper()
	var all []*episode
	for _, r := range rules {
		if !r.on || r.threshold == nil {
			continue
		}
		window := span(t, member(r.threshold, "window").Value)
		least, distinct := limits(t, r.threshold)
		for _, chain := range r.chains(events, window, distinct) {
			if reaches(chain.events, window, least, distinct) {
				all = append(all, chain)
			}
		}
	}
	return all
}

func limits(t *testing.T, threshold *yaml.Node) (least int, distinct string) {
	t.Helper()
	count := member(threshold, "count")
	if d := member(threshold, "distinct"); d != nil {
		count, distinct = member(d, "count"), member(d, "field").Value
	}
	least, err := strconv.Atoi(count.Value)
	if err != nil {
		t.Fatal(err)
	}
	return least, distinct
}

// chains cuts the distinct matches of each key, in order of time, at gaps over
// the window.
func (r *refRule) chains(events []*refEvent, window time.Duration, distinct string) []*episode {
	matches := make(map[string][]*refEvent)
	groups := make(map[string]map[string]*string)
	seen := make(map[string]bool)
	for _, ev := range events {
		if !ev.timed || !holds(ev.doc, r.match) || r.suppressed(ev) {
			continue
		}
		if distinct != "" {
			if _, ok := text(ev, distinct); !ok {
				continue
			}
		}
		key, group := "", make(map[string]*string)
		for _, path := range r.groupBy() {
			group[path] = nil
			key += "-"
			if v, ok := text(ev, path); ok {
				group[path] = &v
				key += strconv.Quote(v)
			}
		}
		if seen[key+ev.identity] {
			continue
		}
		seen[key+ev.identity] = true
		matches[key], groups[key] = append(matches[key], ev), group
	}
	var all []*episode
	for key, evs := range matches {
		slices.SortStableFunc(evs, func(a, b *refEvent) int { return a.at.Compare(b.at) })
		muted := some(r.suppress, func(s *yaml.Node) bool { return r.mutes(s) && covers(s, evs[0]) })
		for from, to := 0, 1; to <= len(evs); to++ {
			if to == len(evs) || evs[to].at.Sub(evs[to-1].at) > window {
				all = append(all, &episode{r.id, groups[key], evs[from:to], muted})
				from = to
			}
		}
	}
	return all
}

func reaches(evs []*refEvent, window time.Duration, least int, distinct string) bool {
	for i := range evs {
		n, values := 0, make(map[string]bool)
		for _, ev := range evs[i:] {
			if ev.at.Sub(evs[i].at) > window {
				break
			}
			n++
			if distinct != "" {
				v, _ := text(ev, distinct)
				values[v] = true
				n = len(values)
			}
		}
		if n >= least {
			return true
		}
	}
	return false
}

func span(t *testing.T, s string) time.Duration {
	t.Helper()
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		days, rest = "0", s
	}
	n, err := strconv.Atoi(days)
	if err != nil {
		t.Fatal(err)
	}
	d, err := time.ParseDuration(cmp.Or(rest, "0s"))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n)*24*time.Hour + d
}

func (e *episode) key() string {
	var ids []string
	for _, ev := range e.events {
		ids = append(ids, ev.id)
	}
	status := "firing"
	if e.muted {
		status = "suppressed"
	}
	return harness.EpisodeKey(e.rule, status, e.group, e.events[0].at, e.events[len(e.events)-1].at, len(ids), ids)
}

// reported sorts a scan's alerts into those of plain rules and of thresholds.
func reported(t *testing.T, rules []*refRule, alerts []harness.Alert) (plain, counted []string) {
	t.Helper()
	threshold := make(map[string]bool)
	for _, r := range rules {
		threshold[r.id] = r.threshold != nil
	}
	for _, a := range alerts {
		isCount, known := threshold[a.RuleID]
		if !known {
			t.Fatalf("an alert of an unknown rule %q", a.RuleID)
		}
		if isCount {
			status := a.Status
			if status == "resolved" {
				status = "firing" // it was
			}
			counted = append(counted, harness.EpisodeKey(a.RuleID, status, a.Group, *a.FirstTime, *a.LastTime, a.Count, a.EventIDs))
			continue
		}
		_, line, _ := strings.Cut(filepath.Base(a.Position), ":")
		n, err := strconv.Atoi(line)
		if err != nil {
			t.Fatalf("position %q", a.Position)
		}
		plain = append(plain, plainKey(a.RuleID, n, *a.EventID, a.Status == "suppressed"))
	}
	return plain, counted
}
