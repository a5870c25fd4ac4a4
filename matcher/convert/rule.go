package convert

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/cloudwatch"
	"github.com/trailtide/trailtide/matcher/native"
)

// draft is a rule before it is written.
type draft struct {
	name        string // what the id is made from
	title       string
	description string
	disabled    bool
	language    string
	condition   *yaml.Node
	threshold   *matcher.Threshold
	comments    []string
	warnings    []string
	what        string // for a refusal
	source      matcher.Pos
}

// write adds the rule to the result, or its refusal.
func (c *converter) write(d draft) {
	id := c.id(d.name)
	rule := &yaml.Node{Kind: yaml.MappingNode}
	add := func(key string, value *yaml.Node) { rule.Content = append(rule.Content, textNode(key), value) }
	add("id", textNode(id))
	title := oneLine(d.title)
	if title == "" {
		title = id
	}
	add("title", textNode(title))
	add("severity", textNode("medium"))
	if d.disabled {
		add("enabled", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"})
	}
	if s := strings.TrimSpace(d.description); s != "" {
		add("description", textNode(s))
	}
	add(d.language, d.condition)
	if t := d.threshold; t != nil {
		add("threshold", thresholdNode(t))
	}
	for i, s := range d.comments {
		d.comments[i] = "# " + oneLine(s)
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{rule}}
	list.HeadComment = strings.Join(d.comments, "\n")
	file := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{textNode("rules"), list}}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(file), enc.Close()); err != nil {
		c.refuse(d.source, d.what, "writing the rule: %v", err)
		return
	}
	text := b.String()
	warnings, err := c.check(d.language, text)
	if err != nil {
		c.refuse(d.source, d.what, "%v", err)
		return
	}
	c.ids[id] = true
	c.result.Rules = append(c.result.Rules, Converted{
		ID: id, YAML: strings.TrimPrefix(text, "rules:\n"), Warnings: append(d.warnings, warnings...), Source: d.source,
	})
}

func thresholdNode(t *matcher.Threshold) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	add := func(key string, value *yaml.Node) { n.Content = append(n.Content, textNode(key), value) }
	number := func(v int) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	}
	add("count", number(t.Count))
	add("window", textNode(duration(t.Window)))
	if x := t.Tumbling; x != nil {
		add("compat", textNode("cloudwatch"))
		if x.Under {
			add("compare", textNode("<"))
		}
		add("periods", number(x.Periods))
		add("datapoints", number(x.Points))
		add("missing", textNode(x.Missing.String()))
	}
	return n
}

// check loads what was written.
func (c *converter) check(language, text string) (warnings []string, err error) {
	languages := maps.Clone(c.options.Languages)
	if languages == nil {
		languages = map[string]native.Language{}
	}
	languages["cloudwatch"] = cloudwatch.Language(func(w cloudwatch.Warning) { warnings = append(warnings, w.Msg) })
	if languages[language] == nil {
		return nil, nil
	}
	set, err := native.Loader{Languages: languages}.Parse("", []byte(text))
	if err != nil {
		var problem *native.Error
		if errors.As(err, &problem) {
			return nil, errors.New(problem.Msg)
		}
		return nil, err
	}
	if len(set.Rules) != 1 {
		return nil, fmt.Errorf("%d rules were written for one", len(set.Rules))
	}
	for _, w := range set.Warnings {
		warnings = append(warnings, w.Msg)
	}
	return warnings, nil
}

// textNode is a string, quoted where it would be read as something else.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if strings.ContainsAny(s, "\r\u0085\u2028\u2029\ufeff") || strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\n") || strings.Contains(s, "\t") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// duration writes d as rule files do: 5m, 1h30m, 1d.
func duration(d time.Duration) string {
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	s := d.String()
	s = strings.TrimSuffix(s, "m0s")
	if s != d.String() {
		s += "m"
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

const maxID = 100 // characters

// id makes an id from a name, unique in this conversion.
func (c *converter) id(name string) string {
	base := kebab(name)
	id := base
	for n := 2; c.ids[id]; n++ {
		id = base + "-" + strconv.Itoa(n)
	}
	return id
}

// kebab turns a name into an id: words in lower case with dashes between. A
// name of one word is split where its case changes: AWSCloudTrailChanges is
// aws-cloud-trail-changes.
func kebab(name string) string {
	runes := []rune(strings.TrimSpace(name))
	split := !strings.ContainsAny(name, " -_/.")
	var b strings.Builder
	for i, r := range runes {
		switch {
		case r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			if split && i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
				dash(&b)
			}
			b.WriteRune(unicode.ToLower(r))
		case r == '\'' || r == '’' || r == '‘' || r == '"' || r == '“' || r == '”':
		default:
			dash(&b)
		}
	}
	id := b.String()
	id = strings.Trim(id[:min(len(id), maxID)], "-")
	if id == "" {
		return "rule"
	}
	return id
}

func dash(b *strings.Builder) {
	if s := b.String(); s != "" && s[len(s)-1] != '-' {
		b.WriteByte('-')
	}
}
