package sigma

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Type is what a correlation counts.
type Type string

// The types. ValueSum, ValueAvg and ValuePercentile are in the specification's
// text but not in its list of allowed types: an extension.
const (
	EventCount      Type = "event_count"
	ValueCount      Type = "value_count"
	Temporal        Type = "temporal"
	TemporalOrdered Type = "temporal_ordered"
	ValueSum        Type = "value_sum"
	ValueAvg        Type = "value_avg"
	ValuePercentile Type = "value_percentile"
)

var types = []string{"event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile"}

// Bound is one part of a correlation's condition; all parts must hold.
type Bound struct {
	Op    string  // gt, gte, lt, lte, eq, neq
	Value float64 // a whole number but for value_sum, value_avg, value_percentile
}

// Correlation is what a correlation document says, its references resolved. It
// is neutral: whoever counts decides how. Immutable once linked.
type Correlation struct {
	ID, Name, Title string
	Type            Type
	Refs            []Ref    // in the order of the document, which temporal_ordered is about
	GroupBy         []string // names as written, aliases unresolved; empty: one group
	Timespan        time.Duration
	// Condition is about the number of events (event_count), of distinct values
	// (value_count), of different rules (temporal, temporal_ordered; by default all
	// of Refs), or about the sum, mean or percentile of values.
	Condition   []Bound
	Fields      []cloudtrail.Path // of value_*: several are one combined value
	Percentile  float64           // of value_percentile: 0 < p <= 100
	Generate    bool              // the referred rules alert by themselves as well
	Severity    matcher.Severity  // as stated, else the highest of the referred rules
	Description string
	References  []string
	Tags        []string
	Silent      bool // only referred to by other correlations, none of which says generate
	Pos         matcher.Pos
	Source      string

	// Rule is the same as a rule with a threshold, where a threshold can say it:
	// event_count, and value_count of one field, with gt or gte alone, over rules
	// (not correlations) that are grouped by the same fields. Otherwise nil.
	Rule *matcher.Rule

	leveled bool
	names   []reference
	aliases map[string]map[string]alias
}

// Ref is one referred rule or correlation; one of Rule and Correlation is set.
type Ref struct {
	Name        string // as written: an ID or a name
	Rule        *matcher.Rule
	Correlation *Correlation
	// GroupBy are the fields in the events of this rule, aliases resolved, one for
	// each of Correlation.GroupBy. Below a referred correlation they are fields of
	// the events that it counts.
	GroupBy []cloudtrail.Path
}

type reference struct {
	name string
	pos  matcher.Pos
}

type alias struct {
	path cloudtrail.Path
	pos  matcher.Pos
}

var (
	correlationKeys = []string{"type", "rules", "group-by", "timespan", "condition", "aliases", "generate"}
	boundOps        = []string{"gt", "gte", "lt", "lte", "eq", "neq"}
	decimalForm     = regexp.MustCompile(`^[-+]?[0-9]{1,15}(\.[0-9]{1,9})?$`)
)

const maxRefs = 1_000

// readCorrelation reads a correlation document; nil when it has errors.
func (r *reader) readCorrelation(doc *yaml.Node, fallback string) *Correlation {
	before := len(r.errs)
	h := r.header(doc, fallback)
	c := &Correlation{
		ID: h.id, Name: h.name, Title: h.title, Severity: h.severity, leveled: h.leveled, Description: h.description,
		References: h.references, Tags: h.tags, Pos: h.pos,
	}
	n := get(doc, "correlation")
	entries := r.entries(n, "correlation")
	for _, e := range entries {
		switch e.key {
		case "type":
			t, _ := r.text(e.val, "type")
			if c.Type = Type(t); !slices.Contains(types, t) {
				r.errorf(e.val, "unknown correlation type %q, %s", clip(t), hint(t, types))
			}
		case "rules":
			r.references(c, e.val)
		case "group-by":
			for _, item := range r.texts(e.val, "group-by") {
				if _, ok := r.path(e.val, item); ok {
					c.GroupBy = append(c.GroupBy, item)
				}
			}
		case "timespan":
			c.Timespan, _ = r.timespan(e.val, "timespan")
		case "aliases":
			r.aliases(c, e.val)
		case "generate":
			if e.val.ShortTag() != "!!bool" {
				r.errorf(e.val, "generate must be true or false, not %s", kindOf(e.val))
			}
			c.Generate = strings.EqualFold(e.val.Value, "true")
		case "condition":
		default:
			r.errorf(e.at, "unknown key %q, %s", clip(e.key), hint(e.key, correlationKeys))
		}
	}
	if n.Kind == yaml.MappingNode {
		for _, key := range []string{"type", "rules", "timespan"} {
			if get(n, key) == nil {
				r.errorf(n, "the correlation has no %s", key)
			}
		}
		if len(r.errs) == before {
			r.bounds(c, n)
		}
	}
	if generate := get(doc, "generate"); generate != nil && get(n, "generate") == nil {
		r.warnf(generate, "generate belongs under correlation")
	}
	if len(r.errs) > before {
		return nil
	}
	return c
}

func (r *reader) references(c *Correlation, n *yaml.Node) {
	list := items(n)
	if len(list) == 0 || len(list) > maxRefs {
		r.errorf(n, "rules must name 1 to %d rules", maxRefs)
		return
	}
	for _, item := range list {
		if name, ok := r.text(item, "the name or id of a rule"); ok {
			c.names = append(c.names, reference{name, r.pos(item)})
		}
	}
}

func (r *reader) aliases(c *Correlation, n *yaml.Node) {
	c.aliases = map[string]map[string]alias{}
	list := r.entries(n, "aliases")
	for _, e := range list {
		c.aliases[e.key] = map[string]alias{}
		fields := r.entries(e.val, "an alias")
		for _, f := range fields {
			name, ok := r.text(f.val, "the field of an alias")
			if !ok {
				continue
			}
			if path, ok := r.plainPath(f.val, name); ok {
				c.aliases[e.key][f.key] = alias{path, r.pos(f.at)}
			}
		}
	}
}

// bounds reads the condition.
func (r *reader) bounds(c *Correlation, correlation *yaml.Node) {
	n := get(correlation, "condition")
	temporal := c.Type == Temporal || c.Type == TemporalOrdered
	switch {
	case n == nil && temporal:
		c.Condition = []Bound{{"gte", float64(len(c.names))}}
		return
	case n == nil:
		r.errorf(correlation, "the correlation has no condition, as condition: {gte: 10}")
		return
	case n.Kind == yaml.ScalarNode:
		r.errorf(n, "conditions over the names of rules are not supported: write a map, as {gte: 2}, or chain correlations")
		return
	}
	before := len(r.errs)
	list := r.entries(n, "condition")
	for _, e := range list {
		switch {
		case slices.Contains(boundOps, e.key):
			v, err := strconv.ParseFloat(e.val.Value, 64)
			if e.val.Kind != yaml.ScalarNode || err != nil || !decimalForm.MatchString(e.val.Value) {
				r.errorf(e.val, "%s must be a number, not %s", e.key, kindOf(e.val))
				continue
			}
			if !c.numeric() && (v < 0 || v != float64(int64(v)) || v > maxCount) {
				r.errorf(e.val, "%s must be a whole number from 0 to %d", e.key, maxCount)
				continue
			}
			c.Condition = append(c.Condition, Bound{e.key, v})
		case e.key == "field" && strings.HasPrefix(string(c.Type), "value_"):
			for _, name := range r.texts(e.val, "field") {
				if p, ok := r.plainPath(e.val, name); ok {
					c.Fields = append(c.Fields, p)
				}
			}
			if len(c.Fields) > 1 && c.numeric() {
				r.errorf(e.val, "%s is about one field", c.Type)
			}
		case e.key == "field":
			r.errorf(e.at, "%s counts no field: did you mean value_count?", c.Type)
		case e.key == "percentile" && c.Type == ValuePercentile:
			v, err := strconv.ParseFloat(e.val.Value, 64)
			if err != nil || !(v > 0 && v <= 100) {
				r.errorf(e.val, "percentile must be above 0 and at most 100, not %s", kindOf(e.val))
			}
			c.Percentile = v
		default:
			r.errorf(e.at, "unknown key %q, %s", clip(e.key), hint(e.key, append([]string{"field"}, boundOps...)))
		}
	}
	if len(r.errs) == before {
		r.checkBounds(c, n)
	}
}

// numeric says that the condition is about a number other than a count.
func (c *Correlation) numeric() bool {
	return c.Type == ValueSum || c.Type == ValueAvg || c.Type == ValuePercentile
}

func (r *reader) checkBounds(c *Correlation, n *yaml.Node) {
	has := func(op string) bool {
		return slices.ContainsFunc(c.Condition, func(b Bound) bool { return b.Op == op })
	}
	lower, upper := has("gt") || has("gte"), has("lt") || has("lte")
	switch {
	case len(c.Condition) == 0:
		r.errorf(n, "the condition has none of %s", strings.Join(boundOps, ", "))
	case strings.HasPrefix(string(c.Type), "value_") && len(c.Fields) == 0:
		r.errorf(n, "%s needs the field whose values it takes, as condition: {field: sourceIPAddress, gte: 5}", c.Type)
	case c.Type == ValuePercentile && get(n, "percentile") == nil:
		r.errorf(n, "value_percentile needs percentile, as condition: {field: size, percentile: 95, gte: 100}")
	case has("gt") && has("gte"), has("lt") && has("lte"), has("eq") && len(c.Condition) > 1:
		r.errorf(n, "the operators contradict or repeat one another")
	case upper && !lower && !c.numeric():
		r.errorf(n, "an upper bound alone holds where nothing happens, and a group without events cannot be seen: "+
			"for events that stay away write a native rule with absent_for, or add a lower bound")
	case !c.numeric() && c.empty():
		r.errorf(n, "no count satisfies the condition")
	case !c.numeric() && c.holds(0):
		if has("neq") && !lower {
			return // groups without events are not looked at
		}
		r.errorf(n, "the condition holds without any event: the lower bound must be at least 1")
	case (c.Type == Temporal || c.Type == TemporalOrdered) && !c.reachable():
		r.errorf(n, "the condition wants more rules than the correlation names")
	}
}

// holds says whether a number satisfies the condition.
func (c *Correlation) holds(v float64) bool {
	for _, b := range c.Condition {
		ok := false
		switch b.Op {
		case "gt":
			ok = v > b.Value
		case "gte":
			ok = v >= b.Value
		case "lt":
			ok = v < b.Value
		case "lte":
			ok = v <= b.Value
		case "eq":
			ok = v == b.Value
		case "neq":
			ok = v != b.Value
		}
		if !ok {
			return false
		}
	}
	return true
}

// empty says that no count satisfies the condition. If one does, one next to
// some bound does.
func (c *Correlation) empty() bool {
	for _, b := range c.Condition {
		for d := -2.0; d <= 2; d++ {
			if v := b.Value + d; v >= 0 && c.holds(v) {
				return false
			}
		}
	}
	return true
}

func (c *Correlation) reachable() bool {
	for v := range len(c.names) + 1 {
		if v > 0 && c.holds(float64(v)) {
			return true
		}
	}
	return false
}
