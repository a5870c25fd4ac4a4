package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// awsCLI reads what aws logs describe-metric-filters and aws cloudwatch
// describe-alarms print.
func (c *converter) awsCLI(in Input) error {
	var doc struct {
		MetricFilters   []map[string]any `json:"metricFilters"`
		MetricAlarms    []map[string]any
		CompositeAlarms []map[string]any
	}
	if err := decodeJSON(in.Data, &doc); err != nil {
		return fmt.Errorf("reading JSON: %w", err)
	}
	for i, m := range doc.MetricFilters {
		tree := map[string]any{"FilterName": m["filterName"], "FilterPattern": m["filterPattern"], "LogGroupName": m["logGroupName"]}
		var transformations []any
		list, _ := m["metricTransformations"].([]any)
		for _, item := range list {
			t, _ := item.(map[string]any)
			transformations = append(transformations, map[string]any{
				"MetricName": t["metricName"], "MetricNamespace": t["metricNamespace"], "MetricValue": t["metricValue"],
				"DefaultValue": t["defaultValue"], "Dimensions": t["dimensions"],
			})
		}
		tree["MetricTransformations"] = transformations
		c.filter(tree, fmt.Sprintf("metric-filter-%d", i+1), at(in))
	}
	for i, m := range doc.MetricAlarms {
		if list, ok := m["Dimensions"].([]any); ok && len(list) == 0 {
			delete(m, "Dimensions")
		}
		if list, ok := m["Metrics"].([]any); ok && len(list) == 0 {
			delete(m, "Metrics")
		}
		c.alarm(m, fmt.Sprintf("alarm-%d", i+1), at(in))
	}
	for _, m := range doc.CompositeAlarms {
		c.refuse(at(in), fmt.Sprintf("alarm %v", m["AlarmName"]), "a composite alarm has no counterpart")
	}
	return nil
}

// decodeJSON decodes keeping the digits of numbers.
func decodeJSON(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	d.UseNumber()
	return d.Decode(into)
}
