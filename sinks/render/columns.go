package render

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Column is one column of a table or of CSV.
type Column struct {
	Name string
	text func(a *sinks.Alert) string
	keep bool // not narrowed when the terminal is too narrow
}

// columns are all there are, in the order in which help lists them.
func columns() []Column {
	return []Column{
		{"time", func(a *sinks.Alert) string { return stamp(a.Time) }, true},
		{"severity", func(a *sinks.Alert) string { return a.Severity }, true},
		{"rule", func(a *sinks.Alert) string { return a.RuleID }, false},
		{"title", func(a *sinks.Alert) string { return a.Title }, false},
		{"status", func(a *sinks.Alert) string { return string(a.Status) }, true},
		{"count", count, true},
		{"distinct", func(a *sinks.Alert) string { return optional(a.Distinct) }, true},
		{"group", group, false},
		{"account", func(a *sinks.Alert) string { return a.Account }, true},
		{"caller_account", func(a *sinks.Alert) string { return a.CallerAccount }, true},
		{"region", func(a *sinks.Alert) string { return a.Region }, false},
		{"user", func(a *sinks.Alert) string { return a.User }, false},
		{"source_ip", func(a *sinks.Alert) string { return a.SourceIP }, false},
		{"event", func(a *sinks.Alert) string { return a.EventName }, false},
		{"event_source", func(a *sinks.Alert) string { return a.EventSource }, false},
		{"event_id", func(a *sinks.Alert) string { return a.EventID }, false},
		{"alert_id", func(a *sinks.Alert) string { return a.AlertID }, true},
		{"first_time", func(a *sinks.Alert) string { return stamp(a.FirstTime) }, true},
		{"last_time", func(a *sinks.Alert) string { return stamp(a.LastTime) }, true},
		{"detected_at", func(a *sinks.Alert) string { return stamp(a.DetectedAt) }, true},
		{"position", func(a *sinks.Alert) string { return a.Position }, false},
		{"resolution", func(a *sinks.Alert) string { return a.Resolution }, false},
		{"suppression", func(a *sinks.Alert) string { return a.Suppression }, false},
		{"tags", func(a *sinks.Alert) string { return strings.Join(a.Tags, " ") }, false},
		{"sinks", func(a *sinks.Alert) string { return strings.Join(a.Sinks, " ") }, false},
	}
}

// ColumnNames returns the names of all columns.
func ColumnNames() []string {
	var names []string
	for _, c := range columns() {
		names = append(names, c.Name)
	}
	return names
}

// DefaultColumns are what happened, when, where, by whom.
func DefaultColumns() []Column {
	c, err := ParseColumns("time,severity,status,rule,count,account,region,user,source_ip,event")
	if err != nil {
		panic(err) // the names above are ours
	}
	return c
}

// ParseColumns reads names separated by commas; "" is the default, "all" is all
// of them. An unknown name is an error that tells the known ones.
func ParseColumns(list string) ([]Column, error) {
	all := columns()
	switch strings.TrimSpace(list) {
	case "":
		return DefaultColumns(), nil
	case "all":
		return all, nil
	}
	var chosen []Column
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		i := slices.IndexFunc(all, func(c Column) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown column %q; there are %s", name, strings.Join(ColumnNames(), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func count(a *sinks.Alert) string {
	if a.CountCapped {
		return "≥ " + strconv.Itoa(a.Count)
	}
	return strconv.Itoa(a.Count)
}

func optional(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// group shows the group-by values in the order of their names; a missing field
// is not an empty one.
func group(a *sinks.Alert) string {
	var b strings.Builder
	for i, k := range slices.Sorted(maps.Keys(a.Group)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(k)
		if v := a.Group[k]; v != nil {
			b.WriteString("=" + *v)
		} else {
			b.WriteString(" missing")
		}
	}
	return b.String()
}
