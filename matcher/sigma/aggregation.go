package sigma

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Aggregations stood behind a pipe in conditions before Sigma had correlations:
//
//	selection | count() > 10
//	selection | count(field) by other, third >= 5
//
// with the time in detection.timeframe.
var (
	aggregate = regexp.MustCompile(`^(?i:count)\s*\(\s*([^\s()]*)\s*\)\s*(?:(?i:by)\s+([^\s<>=,]+(?:\s*,\s*[^\s<>=,]+)*)\s*)?(<=|>=|==|=|<|>)\s*([0-9]+)$`)
	notSimple = regexp.MustCompile(`^(?i)(near|min|max|sum|avg)\b`)
)

// maxCount bounds what a threshold counts to.
const maxCount = 1_000_000

// cutAggregation splits a condition at the pipe. n is a copy of the condition's
// node that ends before it.
func cutAggregation(n *yaml.Node) (condition *yaml.Node, aggregation string, found bool) {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	if n.Kind != yaml.ScalarNode {
		return n, "", false
	}
	before, after, found := strings.Cut(n.Value, "|")
	if !found {
		return n, "", false
	}
	c := *n
	c.Value = strings.TrimRight(before, " \t\r\n")
	return &c, strings.TrimSpace(after), true
}

// aggregation reads the part behind the pipe as a threshold.
func (r *reader) aggregation(n *yaml.Node, text string, timeframe *yaml.Node) *matcher.Threshold {
	m := aggregate.FindStringSubmatch(text)
	if m == nil {
		why := "expected count() or count(field), by and fields if any, and > or >= a number"
		if name := notSimple.FindString(text); name != "" {
			why = name + " is not supported"
		}
		r.errorf(n, "the aggregation %q: %s; aggregations left Sigma with version 2, write a correlation", clip(text), why)
		return nil
	}
	field, by, op := m[1], m[2], m[3]
	if timeframe == nil {
		r.errorf(n, "the aggregation needs a timeframe beside the condition, as timeframe: 5m")
		return nil
	}
	t := &matcher.Threshold{}
	var ok bool
	if t.Window, ok = r.timespan(timeframe, "timeframe"); !ok {
		return nil
	}
	count, err := strconv.Atoi(m[4])
	switch {
	case op != ">" && op != ">=":
		r.errorf(n, "the aggregation compares with %s: only > and >= convert; for events that stay away write a native rule with absent_for", op)
		return nil
	case err != nil || count >= maxCount:
		r.errorf(n, "a count above %d", maxCount)
		return nil
	case op == ">":
		count++
	}
	if count < 1 {
		r.errorf(n, "a count of 0 holds without any event")
		return nil
	}
	t.Count = count
	if field != "" && field != "*" {
		path, ok := r.plainPath(n, field)
		if !ok {
			return nil
		}
		t.Distinct = path
	}
	for name := range strings.SplitSeq(by, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		path, ok := r.plainPath(n, name)
		if !ok {
			return nil
		}
		t.GroupBy = append(t.GroupBy, path)
	}
	r.warnf(n, "the aggregation is read as an event_count or value_count correlation over %s: aggregations left Sigma with version 2", t.Window)
	return t
}

func (r *reader) plainPath(at *yaml.Node, name string) (cloudtrail.Path, bool) {
	p, ok := r.path(at, name)
	if !ok {
		return nil, false
	}
	keys, _ := p.Plain()
	return keys, true
}

var spanForm = regexp.MustCompile(`^([0-9]{1,9})([smhdw])$`)

var spanUnits = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// timespan reads a time such as 90m.
func (r *reader) timespan(n *yaml.Node, what string) (time.Duration, bool) {
	m := spanForm.FindStringSubmatch(n.Value)
	if n.Kind != yaml.ScalarNode || m == nil {
		r.errorf(n, "%s must be a number and s, m, h or d, as 90m, not %s", what, kindOf(n))
		return 0, false
	}
	count, err := strconv.Atoi(m[1])
	if err != nil || count == 0 || time.Duration(count) > native.MaxDuration/spanUnits[m[2]] {
		r.errorf(n, "%s must be above 0 and at most %s", what, native.MaxDuration)
		return 0, false
	}
	return time.Duration(count) * spanUnits[m[2]], true
}

// counted returns the condition under which a match of cond counts: without one
// of the fields that it is grouped by, an event belongs to no group.
func counted(cond matcher.Node, groupBy []cloudtrail.Path, pos matcher.Pos) matcher.Node {
	if len(groupBy) == 0 {
		return cond
	}
	and := &matcher.And{Nodes: []matcher.Node{cond}, Note: matcher.Note{Label: "the event has the fields of group-by", Pos: pos}}
	for _, p := range groupBy {
		and.Nodes = append(and.Nodes, present(matcher.Keys(p...), pos))
	}
	return and
}
