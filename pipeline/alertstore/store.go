package alertstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/trailtide/trailtide/sinks"
)

// Store answers questions about saved alerts: the newest state of each. Safe
// for concurrent use. Alerts that it returns belong to the caller, who must not
// change what their slices hold.
type Store interface {
	// List streams the alerts that pass, in the filter's order. It ends after
	// the first error. Alerts saved while it runs may or may not be seen; none
	// is seen twice.
	List(ctx context.Context, f Filter) iter.Seq2[*sinks.Alert, error]
	// Get returns the alert whose ID is id or, if only one does, begins with
	// it. ErrNotFound; *AmbiguousError.
	Get(ctx context.Context, id string) (*sinks.Alert, error)
	// Count counts the alerts that pass by the values of a field, the most
	// frequent first. Limit bounds the groups. ByNothing gives one group, "".
	Count(ctx context.Context, f Filter, by Field) ([]Group, error)
}

// ErrNotFound says that no alert has that ID.
var ErrNotFound = errors.New("no such alert")

// AmbiguousError says that several alerts' IDs begin with what was asked for.
type AmbiguousError struct {
	Prefix string
	IDs    []string // some of them
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("several alerts begin with %q: %s, …", e.Prefix, strings.Join(e.IDs, ", "))
}

// Field is what Count groups by.
type Field string

// The fields, by their JSON names.
const (
	ByNothing  Field = ""
	ByRule     Field = "rule_id"
	BySeverity Field = "severity"
	ByStatus   Field = "status"
	ByAccount  Field = "account"
	ByRegion   Field = "region"
	ByUser     Field = "user"
	ByName     Field = "event_name"
	BySource   Field = "event_source"
)

// Fields lists what Count can group by.
func Fields() []Field {
	return []Field{ByRule, BySeverity, ByStatus, ByAccount, ByRegion, ByUser, ByName, BySource}
}

// Validate refuses unknown fields.
func (f Field) Validate() error {
	if f == ByNothing || slices.Contains(Fields(), f) {
		return nil
	}
	names := make([]string, 0, len(Fields()))
	for _, n := range Fields() {
		names = append(names, string(n))
	}
	return fmt.Errorf("cannot group alerts by %q: one of %s", string(f), strings.Join(names, ", "))
}

// Of returns the alert's value of the field.
func (f Field) Of(a *sinks.Alert) string {
	switch f {
	case ByRule:
		return a.RuleID
	case BySeverity:
		return SeverityOf(Rank(a.Severity))
	case ByStatus:
		return string(a.Status)
	case ByAccount:
		return a.Account
	case ByRegion:
		return a.Region
	case ByUser:
		return a.User
	case ByName:
		return a.EventName
	case BySource:
		return a.EventSource
	default:
		return ""
	}
}

// NoCounts is where counting by f begins: ByNothing has its group from the start.
func (f Field) NoCounts() map[string]int64 {
	if f == ByNothing {
		return map[string]int64{"": 0}
	}
	return map[string]int64{}
}

// Group is how many alerts have one value.
type Group struct {
	Value string
	Count int64
}

// Groups turns counts into groups in their order: the most frequent first, then by
// value; limit 0: all.
func Groups(counts map[string]int64, limit int) []Group {
	groups := make([]Group, 0, len(counts))
	for v, n := range counts {
		groups = append(groups, Group{Value: v, Count: n})
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	if limit > 0 && len(groups) > limit {
		groups = groups[:limit]
	}
	return groups
}
