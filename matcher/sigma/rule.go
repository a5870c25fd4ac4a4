package sigma

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// levels of Sigma in the order of matcher.Severity.
var levels = []string{"informational", "low", "medium", "high", "critical"}

// header is what rules, correlations and filters say about themselves.
type header struct {
	id, name, title string
	description     string // with author, license and false positives
	references      []string
	tags            []string
	severity        matcher.Severity
	leveled         bool // a level is stated
	pos             matcher.Pos
}

// header reads what documents of all kinds have. fallback is the ID of a
// document that states none.
func (r *reader) header(doc *yaml.Node, fallback string) header {
	h := header{id: fallback, severity: matcher.Medium, pos: r.pos(doc)}
	if n := get(doc, "id"); n != nil && !isNull(n) {
		if id, ok := r.text(n, "id"); ok {
			h.id = id
		}
	}
	r.rule = h.id
	optional := func(key string) string {
		n := get(doc, key)
		if n == nil || isNull(n) || n.Value == "" && n.Kind == yaml.ScalarNode {
			return ""
		}
		text, _ := r.text(n, key)
		return strings.TrimSpace(text)
	}
	h.name, h.title = optional("name"), optional("title")
	if h.title == "" {
		h.title = h.id
		r.warnf(doc, "the document has no title")
	}
	for key, into := range map[string]*[]string{"references": &h.references, "tags": &h.tags} {
		if n := get(doc, key); n != nil {
			*into = r.texts(n, key)
		}
	}
	h.description = r.description(doc, optional)
	if level := optional("level"); level != "" {
		i := slices.Index(levels, strings.ToLower(level))
		if i < 0 {
			r.errorf(get(doc, "level"), "unknown level %q, %s", clip(level), hint(level, levels))
		} else {
			h.severity, h.leveled = matcher.Severity(i), true
		}
	}
	switch status := optional("status"); status {
	case "", "stable", "test", "experimental":
	case "deprecated", "unsupported":
		r.warnf(get(doc, "status"), "the rule's status is %s", status)
	default:
		r.warnf(get(doc, "status"), "unknown status %q, %s", clip(status),
			hint(status, []string{"stable", "test", "experimental", "deprecated", "unsupported"}))
	}
	if t := optional("taxonomy"); t != "" && t != "sigma" {
		r.warnf(get(doc, "taxonomy"), "the taxonomy %q is not translated: fields are read as CloudTrail names them", clip(t))
	}
	return h
}

// description joins what people need beside the title. The Detection Rule
// License asks that the author stay with the rule and its matches.
func (r *reader) description(doc *yaml.Node, optional func(string) string) string {
	var parts []string
	if d := optional("description"); d != "" {
		parts = append(parts, d)
	}
	if n := get(doc, "falsepositives"); n != nil {
		if fp := r.texts(n, "falsepositives"); len(fp) > 0 {
			parts = append(parts, "False positives: "+strings.Join(fp, "; "))
		}
	}
	for _, key := range []string{"author", "license"} {
		n := get(doc, key)
		if n == nil || isNull(n) {
			continue
		}
		if texts := r.texts(n, key); len(texts) > 0 {
			parts = append(parts, strings.ToUpper(key[:1])+key[1:]+": "+strings.Join(texts, ", "))
		}
	}
	return strings.Join(parts, "\n\n")
}

// foreignSource says why a log source is not CloudTrail's, "" if it is.
func foreignSource(logsource *yaml.Node) string {
	part := func(key string) string {
		if n := get(logsource, key); n != nil && n.Kind == yaml.ScalarNode && !isNull(n) {
			return strings.ToLower(strings.TrimSpace(n.Value))
		}
		return ""
	}
	product, service := part("product"), part("service")
	if (product == "aws" || product == "") && service == "cloudtrail" {
		return ""
	}
	var words []string
	for _, key := range []string{"category", "product", "service"} {
		if v := part(key); v != "" {
			words = append(words, key+" "+clip(v))
		}
	}
	if words == nil {
		words = []string{"nothing"}
	}
	return "its log source is " + strings.Join(words, ", ") + ", not product aws, service cloudtrail"
}

// readRule reads a detection rule; nil when it is skipped or has errors.
func (r *reader) readRule(doc *yaml.Node, fallback string) (rule *matcher.Rule, name string, leveled bool) {
	before := len(r.errs)
	h := r.header(doc, fallback)
	rule = &matcher.Rule{
		ID: h.id, Title: h.title, Severity: h.severity, Enabled: true, Save: true,
		Description: h.description, References: h.references, Tags: h.tags,
		Pos: h.pos, Language: "sigma",
	}
	detection := get(doc, "detection")
	selections := r.selections(detection, "condition", "timeframe")
	cond := get(detection, "condition")
	switch {
	case detection.Kind != yaml.MappingNode:
	case cond == nil:
		r.errorf(detection, "the detection has no condition")
	case len(selections) == 0:
		r.errorf(detection, "the detection has no selection")
	default:
		timeframe := get(detection, "timeframe")
		cond, aggregation, found := cutAggregation(cond)
		rule.Cond = r.condition(cond, selections)
		if found {
			if rule.Threshold = r.aggregation(cond, aggregation, timeframe); rule.Threshold != nil && rule.Cond != nil {
				rule.Cond = counted(rule.Cond, rule.Threshold.GroupBy, r.pos(cond))
			}
		} else if timeframe != nil {
			r.warnf(timeframe, "timeframe without an aggregation means nothing")
		}
		if rule.Cond != nil {
			r.unused(selections)
		}
	}
	if len(r.errs) > before {
		return nil, h.name, h.leveled
	}
	return rule, h.name, h.leveled
}

func (r *reader) unused(selections []*selection) {
	for _, s := range selections {
		if !s.used {
			r.warnf(s.at, "the selection %s is not in the condition", s.name)
		}
	}
}
