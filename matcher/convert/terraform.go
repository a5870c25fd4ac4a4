package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/trailtide/trailtide/matcher"
)

const (
	filterResource = "aws_cloudwatch_log_metric_filter"
	alarmResource  = "aws_cloudwatch_metric_alarm"
)

// Bounds of Terraform files.
const (
	maxTerraform = 1 << 20 // bytes of one file
	maxBrackets  = 200
	maxTernaries = 10_000
	maxVariables = 100      // references in one expression
	maxValue     = 64 << 10 // bytes of a value that others may refer to
)

// configuration is a set of Terraform files, read as one module.
type configuration struct {
	sources   map[string][]byte
	defaults  map[string]cty.Value // of variables
	locals    map[string]*hclsyntax.Attribute
	resources []*hclsyntax.Block // filters and alarms
	ctx       *hcl.EvalContext
}

// terraform reads the metric filters and alarms of Terraform files.
func (c *converter) terraform(files []Input) error {
	m := &configuration{sources: map[string][]byte{}, defaults: map[string]cty.Value{}, locals: map[string]*hclsyntax.Attribute{}}
	for _, in := range files {
		if err := m.parse(in); err != nil {
			return err
		}
	}
	m.settle()
	for _, block := range m.resources {
		start := block.DefRange()
		pos := matcher.Pos{File: start.Filename, Line: start.Start.Line}
		label := block.Labels[1]
		what := strings.TrimPrefix(block.Labels[0], "aws_cloudwatch_") + "." + label
		if a := block.Body.Attributes["for_each"]; a != nil {
			c.refuse(pos, what, "for_each is not expanded: %s", m.text(a.Expr))
			continue
		}
		if a := block.Body.Attributes["count"]; a != nil {
			n := m.value(a.Expr)
			if n != json.Number("1") {
				if n != json.Number("0") {
					c.refuse(pos, what, "count is not expanded: %s", m.text(a.Expr))
				}
				continue
			}
		}
		if dynamic := m.dynamic(block); dynamic != "" {
			c.refuse(pos, what, "dynamic blocks are not expanded: %s", dynamic)
			continue
		}
		for _, name := range m.defaultsUsed(block) {
			c.note("%s: %s: the variable %s is taken at its default", pos, what, name)
		}
		if block.Labels[0] == filterResource {
			tree := m.renamed(block.Body, filterNames)
			var list []any
			for _, b := range block.Body.Blocks {
				if b.Type == "metric_transformation" {
					list = append(list, m.renamed(b.Body, transformationNames))
				}
			}
			tree["MetricTransformations"] = list
			c.filter(tree, label, pos)
			continue
		}
		tree := m.renamed(block.Body, alarmNames)
		for _, b := range block.Body.Blocks {
			if b.Type == "metric_query" {
				tree["Metrics"] = []any{"metric_query"}
			}
		}
		c.alarm(tree, label, pos)
	}
	return nil
}

// Terraform's names of settings, and CloudFormation's.
var (
	filterNames         = map[string]string{"name": "FilterName", "pattern": "FilterPattern", "log_group_name": "LogGroupName"}
	transformationNames = map[string]string{
		"name": "MetricName", "namespace": "MetricNamespace", "value": "MetricValue", "default_value": "DefaultValue", "dimensions": "Dimensions",
	}
	alarmNames = map[string]string{
		"alarm_name": "AlarmName", "alarm_description": "AlarmDescription", "alarm_actions": "AlarmActions", "ok_actions": "OKActions",
		"actions_enabled": "ActionsEnabled", "metric_name": "MetricName", "namespace": "Namespace", "statistic": "Statistic",
		"extended_statistic": "ExtendedStatistic", "period": "Period", "evaluation_periods": "EvaluationPeriods",
		"datapoints_to_alarm": "DatapointsToAlarm", "threshold": "Threshold", "comparison_operator": "ComparisonOperator",
		"treat_missing_data": "TreatMissingData", "dimensions": "Dimensions",
	}
)

var unaryRun = regexp.MustCompile(`(?:[!-][ \t]*){300}`)

// parse reads one file.
func (m *configuration) parse(in Input) error {
	depth, ternaries := 0, 0
	for _, b := range in.Data {
		switch b {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '?':
			ternaries++
		}
		if depth > maxBrackets {
			break
		}
	}
	if len(in.Data) > maxTerraform || depth > maxBrackets || ternaries > maxTernaries || unaryRun.Match(in.Data) {
		return fmt.Errorf("%s: too large or nested too deep", in.Name)
	}
	file, diags := hclsyntax.ParseConfig(in.Data, in.Name, hcl.InitialPos)
	if diags.HasErrors() {
		return fmt.Errorf("reading Terraform: %w", diags)
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return fmt.Errorf("%s: not Terraform's native syntax", in.Name)
	}
	m.sources[in.Name] = in.Data
	for _, b := range body.Blocks {
		switch {
		case b.Type == "variable" && len(b.Labels) == 1:
			if a := b.Body.Attributes["default"]; a != nil {
				if v, diags := a.Expr.Value(nil); !diags.HasErrors() && v.IsWhollyKnown() && !v.IsNull() {
					m.defaults[b.Labels[0]] = v
				}
			}
		case b.Type == "locals":
			for name, a := range b.Body.Attributes {
				m.locals[name] = a
			}
		case b.Type == "resource" && len(b.Labels) == 2 && (b.Labels[0] == filterResource || b.Labels[0] == alarmResource):
			m.resources = append(m.resources, b)
		}
	}
	return nil
}

// rounds is how deep references may go: a local that names a filter whose name
// is a local of a local.
const rounds = 5

// settle evaluates what expressions may refer to.
func (m *configuration) settle() {
	locals, filters := map[string]cty.Value{}, map[string]cty.Value{}
	for range rounds {
		m.ctx = &hcl.EvalContext{
			Variables: map[string]cty.Value{
				"var": object(m.defaults), "local": object(locals), filterResource: object(filters),
			},
			Functions: functions(),
		}
		next := map[string]cty.Value{}
		for name, a := range m.locals {
			if v, ok := m.eval(a.Expr); ok && valueSize(v) <= maxValue {
				next[name] = v
			}
		}
		locals = next
		filters = map[string]cty.Value{}
		for _, b := range m.resources {
			if b.Labels[0] == filterResource && b.Body.Attributes["for_each"] == nil {
				v := m.filterObject(b)
				if b.Body.Attributes["count"] != nil {
					v = cty.TupleVal([]cty.Value{v})
				}
				filters[b.Labels[1]] = v
			}
		}
	}
}

func object(m map[string]cty.Value) cty.Value { return cty.ObjectVal(m) }

// filterObject is what other expressions see of a filter.
func (m *configuration) filterObject(b *hclsyntax.Block) cty.Value {
	o := m.attributes(b.Body)
	if name, ok := o["name"]; ok {
		o["id"] = name
	}
	var list []cty.Value
	for _, sub := range b.Body.Blocks {
		if sub.Type == "metric_transformation" {
			list = append(list, object(m.attributes(sub.Body)))
		}
	}
	o["metric_transformation"] = cty.TupleVal(list)
	return object(o)
}

func (m *configuration) attributes(b *hclsyntax.Body) map[string]cty.Value {
	o := map[string]cty.Value{}
	for name, a := range b.Attributes {
		if v, ok := m.eval(a.Expr); ok && valueSize(v) <= maxValue {
			o[name] = v
		}
	}
	return o
}

// eval evaluates an expression as far as it is simple; ok is false when its value
// is not known.
func (m *configuration) eval(e hclsyntax.Expression) (cty.Value, bool) {
	loops := false
	diags := hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		_, loop := n.(*hclsyntax.ForExpr)
		loops = loops || loop
		return nil
	})
	if loops || diags.HasErrors() || len(e.Variables()) > maxVariables {
		return cty.NilVal, false
	}
	v, diags := e.Value(m.ctx)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return cty.NilVal, false
	}
	v, _ = v.UnmarkDeep()
	return v, true
}

// valueSize is about how many bytes a value holds.
func valueSize(v cty.Value) int {
	size := 0
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) { // the callback never fails
		size += 8
		if v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
			size += len(v.AsString())
		}
		return true, nil
	})
	return size
}

// value returns the expression's value as a tree, or unresolved.
func (m *configuration) value(e hclsyntax.Expression) any {
	if v, ok := m.eval(e); ok {
		return ctyTree(v)
	}
	if list, ok := e.(*hclsyntax.TupleConsExpr); ok {
		out := make([]any, len(list.Exprs))
		for i, item := range list.Exprs {
			out[i] = m.value(item)
		}
		return out
	}
	return unresolved{m.text(e)}
}

// text is the expression as it is written.
func (m *configuration) text(e hclsyntax.Expression) string {
	r := e.Range()
	text := string(bytes.TrimSpace(r.SliceBytes(m.sources[r.Filename])))
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:80], "") + "…"
	}
	return oneLine(text)
}

func (m *configuration) renamed(b *hclsyntax.Body, names map[string]string) map[string]any {
	tree := map[string]any{}
	for name, a := range b.Attributes {
		if to := names[name]; to != "" {
			if v := m.value(a.Expr); v != nil {
				tree[to] = v
			}
		}
	}
	return tree
}

func (m *configuration) dynamic(b *hclsyntax.Block) string {
	for _, sub := range b.Body.Blocks {
		if sub.Type == "dynamic" && len(sub.Labels) > 0 {
			return sub.Labels[0]
		}
	}
	return ""
}

// defaultsUsed names the variables with a default to which a resource refers.
func (m *configuration) defaultsUsed(b *hclsyntax.Block) []string {
	used := map[string]bool{}
	var refs []hcl.Traversal
	for _, body := range append([]*hclsyntax.Block{b}, b.Body.Blocks...) {
		for _, a := range body.Body.Attributes {
			refs = append(refs, a.Expr.Variables()...)
		}
	}
	for _, t := range refs {
		if len(t) < 2 || t.RootName() != "var" {
			continue
		}
		if step, ok := t[1].(hcl.TraverseAttr); ok {
			if _, has := m.defaults[step.Name]; has {
				used[step.Name] = true
			}
		}
	}
	return sortedKeys(used)
}

// functions are the ones that cost little whatever they are given.
func functions() map[string]function.Function {
	return map[string]function.Function{
		"lower": stdlib.LowerFunc, "upper": stdlib.UpperFunc, "trimspace": stdlib.TrimSpaceFunc, "chomp": stdlib.ChompFunc,
		"concat": stdlib.ConcatFunc, "compact": stdlib.CompactFunc, "merge": stdlib.MergeFunc, "coalesce": stdlib.CoalesceFunc,
		"join": joinFunc,
	}
}

// joinFunc is join(separator, list) with a short separator.
var joinFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "separator", Type: cty.String}, {Name: "list", Type: cty.List(cty.String)}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		sep := args[0].AsString()
		if len(sep) > 64 {
			return cty.NilVal, fmt.Errorf("a separator of %d bytes", len(sep))
		}
		var texts []string
		for _, v := range args[1].AsValueSlice() {
			if v.IsNull() {
				return cty.NilVal, fmt.Errorf("null in a list of texts")
			}
			texts = append(texts, v.AsString())
		}
		return cty.StringVal(strings.Join(texts, sep)), nil
	},
})

func ctyTree(v cty.Value) any {
	if v.IsNull() {
		return nil
	}
	t := v.Type()
	switch {
	case t == cty.String:
		return v.AsString()
	case t == cty.Bool:
		return v.True()
	case t == cty.Number:
		return json.Number(decimalText(v.AsBigFloat()))
	case t.IsListType(), t.IsTupleType(), t.IsSetType():
		out := []any{}
		for _, item := range v.AsValueSlice() {
			out = append(out, ctyTree(item))
		}
		return out
	case t.IsMapType(), t.IsObjectType():
		out := map[string]any{}
		for key, item := range v.AsValueMap() {
			out[key] = ctyTree(item)
		}
		return out
	}
	return unresolved{"a value of type " + t.FriendlyName()}
}
