package native

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

var ruleKeys = []string{
	"id", "title", "severity", "enabled", "description", "runbook", "references", "tags", "match",
	"cloudwatch", "eventbridge", "lucene", "threshold", "suppress", "sinks", "save", "tests",
}

// otherLanguages are the keys of the languages that the schema names.
var otherLanguages = []string{"cloudwatch", "eventbridge", "lucene"}

// severities in the order of matcher.Severity.
var severities = []string{"info", "low", "medium", "high", "critical"}

var (
	validID        = regexp.MustCompile(`^[a-z0-9-]+$`)
	validIDPattern = regexp.MustCompile(`^[a-z0-9*-]+$`)
)

const maxID = 128 // characters

// readRule returns nil when the rule cannot be used; why is in r.errs.
func (r *reader) readRule(n *yaml.Node) *matcher.Rule {
	before := len(r.errs)
	list, ok := r.entries(n, "a rule")
	if !ok {
		return nil
	}
	rule := &matcher.Rule{Enabled: true, Save: true, Language: "native", Pos: r.pos(n)}
	r.rule = ""
	for _, e := range list {
		if e.key == "id" {
			r.id(rule, e.val)
		}
	}
	var have []string
	var condition entry
	for _, e := range list {
		have = append(have, e.key)
		switch e.key {
		case "id":
		case "title":
			rule.Title, _ = r.text(e.val, "title")
		case "severity":
			rule.Severity = r.severity(e.val)
		case "enabled":
			rule.Enabled, _ = r.boolean(e.val, "enabled")
		case "description":
			rule.Description, _ = r.text(e.val, "description")
		case "runbook":
			rule.Runbook, _ = r.text(e.val, "runbook")
		case "references":
			rule.References = r.texts(e.val, "references")
		case "tags":
			rule.Tags = r.texts(e.val, "tags")
		case "sinks":
			rule.Sinks = r.texts(e.val, "sinks")
		case "save":
			rule.Save, _ = r.boolean(e.val, "save")
		case "threshold":
			rule.Threshold = r.threshold(e.val)
		case "suppress":
			rule.Suppress = r.suppressions(e.val, false)
		case "tests":
			rule.Tests = r.tests(e.val)
		default:
			if !r.isCondition(e.key) {
				r.unknownRuleKey(e)
				continue
			}
			if condition.at != nil {
				r.errorf(e.at, "%s beside %s: a rule has one condition", e.key, condition.key)
				continue
			}
			condition = e
			r.ruleCondition(rule, e)
		}
	}
	for _, key := range []string{"id", "title", "severity"} {
		if !slices.Contains(have, key) {
			r.errorf(n, "the rule has no %s", key)
		}
	}
	if condition.at == nil {
		r.errorf(n, "the rule has no condition: it needs match")
	}
	r.rule = ""
	if len(r.errs) > before {
		return nil
	}
	return rule
}

func (r *reader) isCondition(key string) bool {
	return key == "match" || slices.Contains(otherLanguages, key) || r.languages[key] != nil
}

func (r *reader) ruleCondition(rule *matcher.Rule, e entry) {
	if e.key == "match" {
		rule.Cond = r.condition(e.val, "match", scope{event: true, known: true})
		return
	}
	language := r.languages[e.key]
	if language == nil {
		known := slices.Sorted(maps.Keys(r.languages))
		r.errorf(e.at, "conditions in the language %q cannot be read here; available are %s", e.key,
			strings.Join(append([]string{"match"}, known...), ", "))
		return
	}
	rule.Language = e.key
	cond, err := language(r.file, e.val)
	if err != nil {
		r.wrap(e.val, e.key, err)
		return
	}
	rule.Cond = cond
}

func (r *reader) unknownRuleKey(e entry) {
	top, _, _ := strings.Cut(e.key, ".")
	if field := nearest(top, topFields); field != "" && nearest(e.key, ruleKeys) == "" {
		r.errorf(e.at, "unknown key %q, did you mean %q under \"match\"?", clip(e.key), field+e.key[len(top):])
		return
	}
	if slices.Contains(conditionKeys, e.key) {
		r.errorf(e.at, "unknown key %q: it belongs under \"match\"", e.key)
		return
	}
	r.errorf(e.at, "unknown key %q, %s", clip(e.key), hint(e.key, ruleKeys))
}

func (r *reader) id(rule *matcher.Rule, n *yaml.Node) {
	id, ok := r.text(n, "id")
	switch {
	case !ok:
	case len(id) > maxID:
		r.errorf(n, "id is longer than %d characters", maxID)
	case !validID.MatchString(id):
		r.errorf(n, "id %q may hold only a-z, 0-9 and -", clip(id))
	default:
		rule.ID, r.rule = id, id
	}
}

func (r *reader) severity(n *yaml.Node) matcher.Severity {
	s, ok := r.text(n, "severity")
	if !ok {
		return 0
	}
	i := slices.Index(severities, s)
	if i < 0 {
		r.errorf(n, "unknown severity %q, %s", clip(s), hint(s, severities))
		return 0
	}
	return matcher.Severity(i)
}
