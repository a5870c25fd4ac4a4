package eventbridge

import (
	"fmt"
	"regexp"
	"strings"
)

// Rule is an EventBridge rule, with what a native rule file needs of it.
type Rule struct {
	ID          string // [a-z0-9-]+, made of the rule's name; never empty
	Name        string // as EventBridge has it; "" of a bare pattern
	Title       string // the first line of the description, or the name; never empty
	Description string
	Enabled     bool
	Pattern     string // the event pattern, JSON text that Parse accepts
	Warnings    []Warning
}

// ReadRules reads what `aws events describe-rule` (one rule) or `aws events
// list-rules` (several) print, or a bare event pattern, which becomes a rule
// named fallback. Rules without an event pattern, those on a schedule, are left out
// with a warning. An error says which rule cannot be converted and why.
func ReadRules(file string, src []byte, fallback string) ([]Rule, []Warning, error) {
	v, err := readJSON(file, src)
	if err != nil {
		return nil, nil, err
	}
	if v.kind != objectValue {
		return nil, nil, v.errorf("an EventBridge rule or an event pattern is expected, not %s", v.kind)
	}
	list := []*value{v}
	if rules := v.member("Rules"); rules != nil && len(rules.items) > 0 && isRule(rules.items[0]) {
		list = rules.items
	}
	var out []Rule
	var left []Warning
	for _, item := range list {
		if !isRule(item) {
			r, err := bareRule(file, src, fallback)
			return append(out, r), left, err
		}
		name := item.string("Name")
		if item.member("EventPattern") == nil {
			left = append(left, Warning{Pos: item.pos, Msg: fmt.Sprintf("rule %q has no event pattern (%s): left out", clip(name), clip(item.string("ScheduleExpression")))})
			continue
		}
		r, err := readRule(file, item)
		if err != nil {
			return nil, left, err
		}
		out = append(out, r)
	}
	return out, left, nil
}

// isRule tells a rule from a pattern, whose fields hold arrays and objects only.
func isRule(v *value) bool {
	for _, key := range []string{"Name", "EventPattern", "Arn", "ScheduleExpression"} {
		if m := v.member(key); m != nil && m.kind == textValue {
			return true
		}
	}
	return false
}

func readRule(file string, v *value) (Rule, error) {
	name := v.string("Name")
	r := Rule{
		ID: ruleID(name), Name: name, Title: name, Description: v.string("Description"),
		Enabled: v.string("State") != "DISABLED",
	}
	if line, _, _ := strings.Cut(strings.TrimSpace(r.Description), "\n"); line != "" {
		r.Title = strings.TrimSpace(line)
	}
	if r.Title == "" {
		r.Title = r.ID
	}
	pattern := v.member("EventPattern")
	if pattern.kind != textValue {
		return r, pattern.errorf("EventPattern must be a string of JSON text, not %s", pattern.kind)
	}
	r.Pattern = pattern.text
	_, warnings, err := Parse(file, []byte(r.Pattern))
	if err != nil {
		return r, inside(err, pattern.pos)
	}
	for _, w := range warnings {
		r.Warnings = append(r.Warnings, Warning{Pos: pattern.pos, Rule: r.ID, Msg: w.Msg})
	}
	return r, nil
}

func bareRule(file string, src []byte, fallback string) (Rule, error) {
	r := Rule{ID: ruleID(fallback), Title: fallback, Enabled: true, Pattern: string(src)}
	if r.Title == "" {
		r.Title = r.ID
	}
	_, warnings, err := Parse(file, src)
	for _, w := range warnings {
		w.Rule = r.ID
		r.Warnings = append(r.Warnings, w)
	}
	return r, err
}

// member returns the last value under key, nil if there is none.
func (v *value) member(key string) *value {
	for i := len(v.members) - 1; i >= 0; i-- {
		if v.members[i].key == key {
			return v.members[i].val
		}
	}
	return nil
}

func (v *value) string(key string) string {
	if m := v.member(key); m != nil && m.kind == textValue {
		return m.text
	}
	return ""
}

var notInID = regexp.MustCompile(`[^a-z0-9]+`)

// wordStart finds the words of a name in CamelCase.
var wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// ruleID makes a rule ID of a name: RootLogin_alarm is root-login-alarm.
func ruleID(name string) string {
	const most = 100
	id := strings.ToLower(wordStart.ReplaceAllString(name, "$1-$2"))
	id = strings.Trim(notInID.ReplaceAllString(id, "-"), "-")
	if len(id) > most {
		id = strings.Trim(id[:most], "-")
	}
	if id == "" {
		return "event-pattern"
	}
	return id
}
