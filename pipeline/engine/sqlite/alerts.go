package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/sinks"
)

type alertRow struct {
	id, time int64
	encoded
}

func scanAlert(rows *sql.Rows) (a alertRow, err error) {
	return a, rows.Scan(&a.id, &a.time, &a.body, &a.event, &a.events)
}

const selectAlert = "SELECT id, time, body, event, events FROM alerts"

// List implements alertstore.Store. It reads page after page, so that a slow
// consumer of it does not hold the write-ahead log back.
func (r *Reader) List(ctx context.Context, f alertstore.Filter) iter.Seq2[*sinks.Alert, error] {
	return func(yield func(*sinks.Alert, error) bool) {
		if err := f.Validate(); err != nil {
			yield(nil, err)
			return
		}
		left := f.Limit
		var last *alertRow
		for {
			page, err := r.page(ctx, f, last)
			if err != nil {
				yield(nil, fmt.Errorf("list alerts: %w", err))
				return
			}
			for i := range page {
				a, err := decode(page[i].encoded)
				if err != nil {
					yield(nil, fmt.Errorf("list alerts: %w", err))
					return
				}
				if !f.MatchText(a) {
					continue
				}
				if !yield(a, nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			last = &page[len(page)-1]
		}
	}
}

// page reads the alerts after last in the filter's order.
func (r *Reader) page(ctx context.Context, f alertstore.Filter, last *alertRow) ([]alertRow, error) {
	w := where(f)
	order, after := "time DESC, id DESC", "(time, id) < (?, ?)"
	if f.OldestFirst {
		order, after = "time, id", "(time, id) > (?, ?)"
	}
	if last != nil {
		w.add(after, last.time, last.id)
	}
	return queryAll(ctx, r.db, scanAlert, fmt.Sprintf("%s%s ORDER BY %s LIMIT %d", selectAlert, w, order, pageRows), w.args...)
}

// Get implements alertstore.Store.
func (r *Reader) Get(ctx context.Context, id string) (*sinks.Alert, error) {
	// The upper bound is above every continuation, for an ID is ASCII.
	found, err := queryAll(ctx, r.db, scanAlert,
		selectAlert+" WHERE alert_id >= ? AND alert_id < ? ORDER BY alert_id LIMIT 5", id, id+"\x7f")
	if err != nil {
		return nil, fmt.Errorf("get alert %s: %w", id, err)
	}
	var ids []string
	for i := range found {
		a, err := decode(found[i].encoded)
		if err != nil {
			return nil, fmt.Errorf("get alert %s: %w", id, err)
		}
		if a.AlertID == id || len(found) == 1 && id != "" {
			return a, nil
		}
		ids = append(ids, a.AlertID)
	}
	if len(ids) == 0 || id == "" {
		return nil, fmt.Errorf("%w: %q", alertstore.ErrNotFound, id)
	}
	return nil, &alertstore.AmbiguousError{Prefix: id, IDs: ids}
}

// Count implements alertstore.Store.
func (r *Reader) Count(ctx context.Context, f alertstore.Filter, by alertstore.Field) ([]alertstore.Group, error) {
	if err := by.Validate(); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if f.Text != "" {
		return r.countByReading(ctx, f, by)
	}
	column := string(by) // one of a fixed set, all but the empty one columns
	if by == alertstore.ByNothing {
		column = "''"
	}
	w := where(f)
	counts := by.NoCounts()
	_, err := queryAll(ctx, r.db, func(rows *sql.Rows) (struct{}, error) {
		var n, rank int64
		var value string
		into := any(&value)
		if by == alertstore.BySeverity {
			into = &rank
		}
		err := rows.Scan(into, &n)
		if by == alertstore.BySeverity {
			value = alertstore.SeverityOf(int(rank))
		}
		counts[value] += n
		return struct{}{}, err
	}, "SELECT "+column+", count(*) FROM alerts"+w.String()+" GROUP BY 1", w.args...)
	if err != nil {
		return nil, fmt.Errorf("count alerts: %w", err)
	}
	return alertstore.Groups(counts, f.Limit), nil
}

func (r *Reader) countByReading(ctx context.Context, f alertstore.Filter, by alertstore.Field) ([]alertstore.Group, error) {
	counts := by.NoCounts()
	limit := f.Limit
	f.Limit = 0
	for a, err := range r.List(ctx, f) {
		if err != nil {
			return nil, err
		}
		counts[by.Of(a)]++
	}
	return alertstore.Groups(counts, limit), nil
}

// clause is a WHERE clause in the making; without a condition it is empty.
type clause struct {
	conds []string
	args  []any
}

func (c *clause) add(cond string, args ...any) {
	c.conds, c.args = append(c.conds, cond), append(c.args, args...)
}

func (c *clause) String() string {
	if len(c.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.conds, " AND ")
}

// patterns adds "one of these", where * stands for any text.
func (c *clause) patterns(column string, values []string) {
	if len(values) == 0 {
		return
	}
	var alternatives []string
	var exact, args []any
	for _, v := range values {
		if strings.Contains(v, "*") {
			alternatives = append(alternatives, column+" GLOB ?")
			args = append(args, globEscape.Replace(v))
		} else {
			exact = append(exact, v)
		}
	}
	if len(exact) > 0 {
		alternatives = append(alternatives, column+" IN (?"+strings.Repeat(", ?", len(exact)-1)+")")
	}
	c.add("("+strings.Join(alternatives, " OR ")+")", append(args, exact...)...)
}

var globEscape = strings.NewReplacer("[", "[[]", "?", "[?]")

// where says all of a filter but Text, Limit and the order.
func where(f alertstore.Filter) *clause {
	c := &clause{}
	c.patterns("rule_id", f.Rules)
	c.patterns("account", f.Accounts)
	c.patterns("region", f.Regions)
	c.patterns("user", f.Users)
	c.patterns("event_name", f.Names)
	c.patterns("event_source", f.Sources)
	if ranks := f.Ranks(); ranks != nil {
		args := make([]any, len(ranks))
		for i, r := range ranks {
			args[i] = r
		}
		c.add("severity IN ("+strings.TrimSuffix(strings.Repeat("?, ", len(args)), ", ")+")", args...)
	}
	if words := f.StatusWords(); words != nil {
		args := make([]any, len(words))
		for i, s := range words {
			args[i] = s
		}
		c.add("status IN ("+strings.TrimSuffix(strings.Repeat("?, ", len(args)), ", ")+")", args...)
	}
	if f.HideMerged {
		// Inside a JSON string the quotes would stand behind backslashes.
		c.add(`instr(CAST(body AS TEXT), '"merged_into":"') = 0`)
	}
	if !f.Since.IsZero() {
		c.add("time >= ?", nanos(f.Since))
	}
	if !f.Until.IsZero() {
		c.add("time < ?", nanos(f.Until))
	}
	return c
}
