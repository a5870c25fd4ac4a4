package native

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// compatKeys belong to compat: cloudwatch, beside count and window.
var compatKeys = []string{"compare", "periods", "datapoints", "missing"}

var missingWords = []string{"missing", "notBreaching", "breaching", "ignore"} // in the order of matcher.Missing

// tumbling reads compat: cloudwatch and the keys that belong to it.
func (r *reader) tumbling(list []entry, at map[string]*yaml.Node) *matcher.Tumbling {
	if at["compat"] == nil {
		for _, key := range compatKeys {
			if at[key] != nil {
				r.errorf(at[key], "%s belongs to compat: cloudwatch", key)
			}
		}
		return nil
	}
	x := &matcher.Tumbling{Periods: 1}
	for _, e := range list {
		switch e.key {
		case "compat":
			if s, ok := r.text(e.val, "compat"); ok && s != "cloudwatch" {
				r.errorf(e.val, "compat must be cloudwatch, not %q", clip(s))
			}
		case "compare":
			switch s, ok := r.text(e.val, "compare"); {
			case ok && s == "<":
				x.Under = true
			case ok && s != ">=":
				r.errorf(e.val, `compare must be ">=" or "<", not %q: more than n is at least n+1, at most n is less than n+1`, clip(s))
			}
		case "periods":
			x.Periods = r.count(e.val, "periods")
		case "datapoints":
			x.Points = r.count(e.val, "datapoints")
		case "missing":
			if s, ok := r.text(e.val, "missing"); ok {
				i := slices.Index(missingWords, s)
				if i < 0 {
					r.errorf(e.val, "missing: unknown %q, %s", clip(s), hint(s, missingWords))
				}
				x.Missing = matcher.Missing(max(i, 0))
			}
		case "distinct", "absent_for":
			r.errorf(e.at, "%s beside compat: cloudwatch, which counts matches", e.key)
		}
	}
	if x.Points == 0 {
		x.Points = x.Periods
	}
	if x.Points > x.Periods {
		r.errorf(at["datapoints"], "datapoints: %d of %d periods", x.Points, x.Periods)
	}
	return x
}

// What the periods of a threshold may be at most: what the windows remember.
const (
	maxPeriods = 10_080
)

// bounded checks what compat: cloudwatch makes of count and window.
func (r *reader) bounded(at map[string]*yaml.Node, t *matcher.Threshold) {
	x := t.Tumbling
	switch {
	case x == nil:
		return
	case x.Periods > maxPeriods:
		r.errorf(at["periods"], "periods must be at most %d", maxPeriods)
	case t.Window > MaxDuration/time.Duration(max(x.Periods, 1)):
		r.errorf(at["periods"], "%d periods of %v are longer than 31 days", x.Periods, t.Window)
	}
	r.futile(at["compat"], t)
}

// futile warns of alarms that are never on, and of those that never go off.
func (r *reader) futile(at *yaml.Node, t *matcher.Threshold) {
	x := t.Tumbling
	switch {
	case t.Count != 1:
	case x.Under && x.Missing != matcher.Breaching:
		r.warnf(at, "the threshold is never met: a period with fewer than 1 match has no datapoint, which breaches only under missing: breaching")
	case !x.Under && x.Missing == matcher.Breaching:
		r.warnf(at, "the threshold is always met: periods with matches breach, and so do those without")
	}
}
