package convert

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/cloudwatch"
)

// metricFilter is a filter and one of the metrics that it feeds.
type metricFilter struct {
	name, pattern, logGroup string
	metric                  metric
	value                   string // of the metric, per match
	defaultValue            *float64
	dimensions              []pair // name → selector
	warnings                []string
	source                  matcher.Pos
	named                   bool // it has a name of its own
	used                    bool
}

type metric struct{ namespace, name string }

type metricAlarm struct {
	cloudwatch.Alarm
	metric   metric
	warnings []string
	source   matcher.Pos
}

// filter reads a metric filter; label stands for a name that it does not have.
func (c *converter) filter(tree map[string]any, label string, source matcher.Pos) {
	s := &settings{tree: tree}
	name := s.text("FilterName", false)
	named := name != ""
	if !named {
		name = label
	}
	what := "metric filter " + name
	if s.tree["FilterPattern"] == nil {
		s.problems = append(s.problems, "FilterPattern is missing")
	}
	pattern := s.known("FilterPattern")
	group := s.text("LogGroupName", false)
	s.warnings = slices.DeleteFunc(s.warnings, func(w string) bool { return strings.HasPrefix(w, "LogGroupName") })
	transformations := s.list("MetricTransformations")
	if len(transformations) == 0 {
		s.problems = append(s.problems, "MetricTransformations is missing")
	}
	for _, item := range transformations {
		m, ok := item.(map[string]any)
		if !ok {
			s.problems = append(s.problems, "MetricTransformations cannot be resolved")
			continue
		}
		t := &settings{tree: m}
		f := &metricFilter{
			name: name, named: named, pattern: pattern, logGroup: group, source: source, warnings: slices.Clone(s.warnings),
			metric: metric{t.text("MetricNamespace", true), t.text("MetricName", true)},
			value:  t.text("MetricValue", true), dimensions: t.dimensions("Dimensions"),
		}
		if v := t.number("DefaultValue", false); t.known("DefaultValue") != "" {
			f.defaultValue = &v
		}
		if problem := strings.Join(append(s.problems, t.problems...), "; "); problem != "" {
			c.refuse(source, what, "%s", problem)
			return
		}
		c.filters = append(c.filters, f)
	}
	if problem := s.problem(); problem != "" {
		c.refuse(source, what, "%s", problem)
	}
}

// alarm reads an alarm.
func (c *converter) alarm(tree map[string]any, label string, source matcher.Pos) {
	s := &settings{tree: tree}
	a := &metricAlarm{source: source}
	if a.Name = s.text("AlarmName", false); a.Name == "" {
		a.Name = label
	}
	what := "alarm " + a.Name
	a.Description = s.text("AlarmDescription", false)
	a.AlarmActions, a.OKActions = s.texts("AlarmActions"), s.texts("OKActions")
	a.ActionsDisabled = s.text("ActionsEnabled", false) == "false"
	if tree["Metrics"] != nil {
		c.refuse(source, what, "it computes with metrics (metric math), which has no counterpart")
		return
	}
	a.metric = metric{s.text("Namespace", true), s.text("MetricName", true)}
	if a.Statistic = s.known("Statistic"); a.Statistic == "" {
		a.Statistic = s.known("ExtendedStatistic")
	}
	a.Period = time.Duration(s.whole("Period", true)) * time.Second
	a.EvaluationPeriods = s.whole("EvaluationPeriods", true)
	a.DatapointsToAlarm = s.whole("DatapointsToAlarm", false)
	a.Limit = s.number("Threshold", true)
	a.Comparison = s.text("ComparisonOperator", true)
	a.TreatMissingData = s.known("TreatMissingData")
	for _, d := range s.dimensions("Dimensions") {
		a.Dimensions = append(a.Dimensions, cloudwatch.Dimension{Name: d.name, Value: d.value})
	}
	a.warnings = s.warnings
	if problem := s.problem(); problem != "" {
		c.refuse(source, what, "%s", problem)
		c.failed = append(c.failed, a)
		return
	}
	c.alarms = append(c.alarms, a)
}

// join makes a rule of each alarm with its filters, and of each filter that no
// alarm watches.
func (c *converter) join() {
	watching := map[metric]int{}
	for _, a := range c.alarms {
		watching[a.metric]++
	}
	for _, a := range c.alarms {
		c.joinAlarm(a, watching[a.metric] > 1)
	}
	for _, f := range c.filters {
		if f.used {
			continue
		}
		what := "metric filter " + f.name
		if i := slices.IndexFunc(c.failed, func(a *metricAlarm) bool { return a.metric == f.metric }); i >= 0 {
			c.refuse(f.source, what, "its alarm %s could not be converted", c.failed[i].Name)
			continue
		}
		d := f.draft(what)
		d.title = f.name
		d.warnings = append(d.warnings, fmt.Sprintf("no alarm in the input watches the metric %s of %s: every match is an alert", f.metric.name, f.metric.namespace))
		c.write(d)
	}
}

func (f *metricFilter) draft(what string) draft {
	d := draft{
		name: f.name, language: "cloudwatch", condition: textNode(f.pattern),
		what: what, source: f.source, warnings: slices.Clone(f.warnings),
	}
	d.comments = append(d.comments, fmt.Sprintf("metric filter %s, metric %s of %s", f.name, f.metric.name, f.metric.namespace))
	if f.logGroup != "" {
		d.comments = append(d.comments, "log group "+f.logGroup)
	}
	return d
}

func (c *converter) joinAlarm(a *metricAlarm, several bool) {
	what := "alarm " + a.Name
	var filters []*metricFilter
	for _, f := range c.filters {
		if f.metric == a.metric {
			filters = append(filters, f)
			f.used = true
		}
	}
	if len(filters) == 0 {
		c.refuse(a.source, what, "no metric filter in the input feeds the metric %s of %s", a.metric.name, a.metric.namespace)
		return
	}
	f := filters[0]
	d := f.draft(what)
	d.source, d.title, d.description = a.source, a.Name, a.Description
	switch {
	case !f.named:
		d.name = a.Name
	case several:
		d.name += "-" + a.Name
	}
	pattern, err := patternOf(filters)
	if err == nil {
		pattern, err = a.narrow(pattern, filters)
	}
	if err == nil {
		err = a.metricValue(filters)
	}
	if err == nil {
		err = a.threshold(&d)
	}
	if err != nil {
		c.refuse(a.source, what, "%v", err)
		return
	}
	d.condition = textNode(pattern)
	d.comments = append(d.comments, fmt.Sprintf("alarm %s: %s %s %g in %s", a.Name, a.Statistic, a.Comparison, a.Limit, duration(a.Period)))
	for _, actions := range []struct {
		name string
		arns []string
	}{{"alarm", a.AlarmActions}, {"OK", a.OKActions}} {
		if len(actions.arns) > 0 {
			d.comments = append(d.comments, actions.name+" actions "+strings.Join(actions.arns, ", "))
		}
	}
	d.warnings = append(append(d.warnings, a.warnings...), a.Warnings()...)
	if len(a.AlarmActions)+len(a.OKActions) > 0 {
		d.warnings = append(d.warnings, "the alarm's actions are kept as comments: name the sinks that should take their place")
	}
	if a.ActionsDisabled {
		d.warnings = append(d.warnings, "the alarm's actions are switched off; the rule is written disabled")
		d.disabled = true
	}
	if distinct := len(filters); distinct > 1 {
		d.warnings = append(d.warnings, fmt.Sprintf("%d metric filters feed the metric: an event that several of them match counts once", distinct))
	}
	c.write(d)
}

// threshold is a sliding window where one can stand for the alarm, else its own
// periods.
func (a *metricAlarm) threshold(d *draft) error {
	t, err := a.Threshold()
	if !errors.Is(err, cloudwatch.ErrNeedsCompat) {
		d.threshold = t
		return err
	}
	reason := err
	c, err := a.Compat()
	if err != nil {
		return err
	}
	if d.threshold, err = c.Threshold(); err != nil {
		return err
	}
	d.warnings = append(d.warnings, fmt.Sprintf("the rule %v", reason))
	if x := d.threshold.Tumbling; x.Under || x.Missing == matcher.Breaching {
		d.warnings = append(d.warnings, "silence can raise the alarm, which the rule judges from its first match on")
	}
	return nil
}

// patternOf joins the patterns of filters that feed one metric.
func patternOf(filters []*metricFilter) (string, error) {
	var patterns []string
	for _, f := range filters {
		if p := strings.TrimSpace(f.pattern); !slices.Contains(patterns, p) {
			patterns = append(patterns, p)
		}
	}
	if len(patterns) == 1 {
		return filters[0].pattern, nil
	}
	for i, p := range patterns {
		inner, ok := braced(p)
		if !ok {
			return "", fmt.Errorf("several metric filters feed its metric, and the pattern %s cannot be joined with others", p)
		}
		patterns[i] = "(" + inner + ")"
	}
	return "{ " + strings.Join(patterns, " || ") + " }", nil
}

func braced(pattern string) (inner string, ok bool) {
	p := strings.TrimSpace(pattern)
	if len(p) < 2 || p[0] != '{' || p[len(p)-1] != '}' {
		return "", false
	}
	return strings.TrimSpace(p[1 : len(p)-1]), true
}

// narrow adds what the alarm's dimensions ask for.
func (a *metricAlarm) narrow(pattern string, filters []*metricFilter) (string, error) {
	f := filters[0]
	for _, other := range filters[1:] {
		if !slices.Equal(other.dimensions, f.dimensions) {
			return "", fmt.Errorf("the metric filters that feed its metric emit different dimensions")
		}
	}
	for _, d := range f.dimensions {
		a.Emits = append(a.Emits, d.name)
	}
	for _, want := range a.Dimensions {
		i := slices.IndexFunc(f.dimensions, func(d pair) bool { return d.name == want.Name })
		if i < 0 {
			continue // Warnings tells
		}
		inner, ok := braced(pattern)
		if !ok || !strings.HasPrefix(f.dimensions[i].value, "$.") || strings.ContainsAny(want.Value, `"\*`) {
			return "", fmt.Errorf("its dimension %s=%s cannot be written as a condition", want.Name, want.Value)
		}
		pattern = fmt.Sprintf(`{ (%s) && (%s = "%s") }`, inner, f.dimensions[i].value, want.Value)
	}
	return pattern, nil
}

// metricValue sets what one match adds.
func (a *metricAlarm) metricValue(filters []*metricFilter) error {
	for _, f := range filters {
		v, err := strconv.ParseFloat(f.value, 64)
		if err != nil || v <= 0 {
			return fmt.Errorf("metric filter %s adds up %s: only a fixed number counts matches", f.name, f.value)
		}
		if a.PerMatch != 0 && (a.PerMatch != v || !same(a.Default, f.defaultValue)) {
			return fmt.Errorf("the metric filters that feed its metric add different values")
		}
		a.PerMatch, a.Default = v, f.defaultValue
	}
	return nil
}

func same(a, b *float64) bool { return a == b || a != nil && b != nil && *a == *b }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
