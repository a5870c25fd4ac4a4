package sigma

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// Query reads what a person searches for: a rule as it stands in a file (its
// log source is not looked at), the map of a detection, or a selection alone
// (a map, a list of maps, or keywords). A text that is no map or list is one
// keyword. Aggregations, correlations and filters are refused: a query looks at
// one event at a time. The errors are joined, each an *Error.
func Query(file string, src []byte, o Options) (matcher.Node, []Warning, error) {
	r := &reader{file: file, options: &o, lines: strings.Split(string(src), "\n")}
	cond := r.query(src)
	if err := errors.Join(r.errs...); err != nil {
		return nil, r.warnings, err
	}
	return cond, r.warnings, nil
}

func (r *reader) query(src []byte) matcher.Node {
	top := &yaml.Node{Line: 1, Column: 1}
	docs := r.documents(src)
	if len(docs) != 1 {
		if len(r.errs) == 0 {
			r.errorf(top, "a query is one YAML document, not %d", len(docs))
		}
		return nil
	}
	doc := docs[0]
	if !r.sound(doc, 1) {
		return nil
	}
	for _, key := range []string{"correlation", "filter"} {
		if n := get(doc, key); n != nil && get(doc, "condition") == nil && n.Kind == yaml.MappingNode && get(n, "rules") != nil {
			r.errorf(n, "a %s is about other rules: a query is one rule, a detection or a selection", key)
			return nil
		}
	}
	detection := doc
	if d := get(doc, "detection"); d != nil {
		detection = d
	}
	cond := get(detection, "condition")
	if cond == nil && detection == doc {
		s := &selection{name: "query", at: doc}
		return r.selection(s, doc)
	}
	if cond == nil {
		r.errorf(detection, "the detection has no condition")
		return nil
	}
	if _, aggregation, found := cutAggregation(cond); found {
		r.errorf(cond, "the aggregation %q counts events: a query looks at one at a time", clip(aggregation))
		return nil
	}
	selections := r.selections(detection, "condition", "timeframe")
	node := r.condition(cond, selections)
	if node != nil {
		r.unused(selections)
	}
	return node
}
