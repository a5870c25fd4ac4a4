package sigma

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
)

// The reference: a direct reading of the semantics over decoded JSON and YAML.
// It shares nothing with the engine. A member of an object is a key and a value;
// the order is kept, for the compact text.
type (
	member struct {
		key   string
		value any
	}
	object []member
)

func decodeJSON(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	v, err := decodeValue(dec)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func decodeValue(dec *json.Decoder) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		o := object{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			o = append(o, member{key.(string), v})
		}
		_, err = dec.Token()
		return o, err
	case json.Delim('['):
		a := []any{}
		for dec.More() {
			v, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		_, err = dec.Token()
		return a, err
	}
	return tok, nil
}

func compactJSON(v any) string {
	switch v := v.(type) {
	case object:
		parts := make([]string, len(v))
		for i, m := range v {
			parts[i] = compactJSON(m.key) + ":" + compactJSON(m.value)
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, el := range v {
			parts[i] = compactJSON(el)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case json.Number:
		return v.String()
	default:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			panic(err)
		}
		s := strings.TrimSuffix(b.String(), "\n")
		return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\b`, `\u0008`, `\f`, `\u000c`).Replace(s)
	}
}

// at returns the values at a path; arrays on the way mean all of their elements.
func at(v any, path []string) (out []any) {
	if len(path) == 0 {
		return []any{v}
	}
	switch v := v.(type) {
	case object:
		for _, m := range v {
			if m.key == path[0] {
				return at(m.value, path[1:])
			}
		}
	case []any:
		for _, el := range v {
			out = append(out, at(el, path)...)
		}
	}
	return out
}

// refTexts returns the texts by which a value is compared.
func refTexts(v any) (out []string) {
	switch v := v.(type) {
	case nil:
	case string:
		return []string{v}
	case []any:
		objects := false
		for _, el := range v {
			_, is := el.(object)
			objects = objects || is
			out = append(out, refTexts(el)...)
		}
		if objects {
			out = append(out, compactJSON(v))
		}
	default:
		return []string{compactJSON(v)}
	}
	return out
}

func holdsNil(v any) bool {
	if a, ok := v.([]any); ok {
		for _, el := range a {
			if holdsNil(el) {
				return true
			}
		}
	}
	return v == nil
}

// refRule evaluates the rules of one document.
type refRule struct {
	Detection    map[string]any `yaml:"detection"`
	placeholders map[string][]string
	compiled     map[string]*regexp.Regexp
}

func (r *refRule) regexp(expr string) *regexp.Regexp {
	if r.compiled[expr] == nil {
		r.compiled[expr] = regexp.MustCompile(expr)
	}
	return r.compiled[expr]
}

func newRefRule(t testing.TB, src string, placeholders map[string][]string) *refRule {
	t.Helper()
	r := &refRule{placeholders: placeholders, compiled: map[string]*regexp.Regexp{}}
	if err := yaml.Unmarshal([]byte(src), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *refRule) holds(event any) bool {
	conditions, ok := r.Detection["condition"].([]any)
	if !ok {
		conditions = []any{r.Detection["condition"]}
	}
	for _, c := range conditions {
		if r.condition(fmt.Sprint(c), event) {
			return true
		}
	}
	return false
}

var (
	refOf      = regexp.MustCompile(`(1|all) of ([\w*]+)`)
	refBracket = regexp.MustCompile(`\(([^()]*)\)`)
)

// condition works by rewriting: "x of" to brackets, brackets to TRUE or FALSE.
func (r *refRule) condition(text string, event any) bool {
	text = refOf.ReplaceAllStringFunc(text, func(s string) string {
		m := refOf.FindStringSubmatch(s)
		var names []string
		for name := range r.Detection {
			if name == "condition" || name == "timeframe" {
				continue
			}
			pattern := "^" + strings.ReplaceAll(m[2], "*", ".*") + "$"
			if m[2] == "them" {
				pattern = "^[^_]"
			}
			if r.regexp(pattern).MatchString(name) {
				names = append(names, name)
			}
		}
		return "(" + strings.Join(names, map[string]string{"1": " or ", "all": " and "}[m[1]]) + ")"
	})
	for strings.Contains(text, "(") {
		text = refBracket.ReplaceAllStringFunc(text, func(s string) string {
			return strings.ToUpper(fmt.Sprint(r.flat(s[1:len(s)-1], event)))
		})
	}
	return r.flat(text, event)
}

func (r *refRule) flat(text string, event any) bool {
	for _, alternative := range strings.Split(text, " or ") {
		all := true
		for _, term := range strings.Split(alternative, " and ") {
			term = strings.TrimSpace(term)
			negated := false
			for strings.HasPrefix(term, "not ") {
				negated = !negated
				term = strings.TrimSpace(term[len("not "):])
			}
			value := term == "TRUE"
			if s, ok := r.Detection[term]; ok {
				value = r.selection(s, event)
			}
			all = all && value != negated
		}
		if all {
			return true
		}
	}
	return false
}

func (r *refRule) selection(s, event any) bool {
	switch s := s.(type) {
	case map[string]any:
		for key, value := range s {
			if !r.item(key, value, event) {
				return false
			}
		}
		return true
	case []any:
		for _, el := range s {
			if r.selection(el, event) {
				return true
			}
		}
		return false
	default:
		return r.item("|contains", s, event)
	}
}

func (r *refRule) item(key string, value, event any) bool {
	field, rest, _ := strings.Cut(key, "|")
	mods := strings.Split(rest, "|")
	has := func(m string) bool { return strings.Contains("|"+rest+"|", "|"+m+"|") }
	values, ok := value.([]any)
	if !ok {
		values = []any{value}
	}
	if has("expand") {
		values = r.expand(values)
	}
	var reached []any
	if field == "" {
		reached = []any{everything(event)}
		if !has("re") {
			mods = append(mods, "contains")
		}
	} else {
		reached = at(event, strings.Split(field, "."))
	}
	if has("exists") {
		return (len(reached) > 0) == (values[0] == true)
	}
	there := false
	for _, v := range reached {
		there = there || v != nil
	}
	any, all := false, true
	for _, want := range values {
		one := false
		if want == nil {
			one = len(reached) == 0 || holdsNil(reached)
		} else if has("fieldref") {
			for _, other := range at(event, strings.Split(want.(string), ".")) {
				there = there && other != nil
				for _, text := range refTexts(other) {
					one = one || r.one(mods, regexp.QuoteMeta(text), true, reached)
				}
			}
			there = there && len(at(event, strings.Split(want.(string), "."))) > 0
		} else {
			one = r.one(mods, want, false, reached)
		}
		any, all = any || one, all && one
	}
	switch {
	case has("neq"):
		return there && !any
	case has("all"):
		return all
	}
	return any
}

// everything returns what keywords search: every value's text, and the whole.
func everything(v any) []any {
	out := []any{compactJSON(v)}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			for _, m := range v {
				walk(m.value)
			}
		case []any:
			for _, el := range v {
				walk(el)
			}
		default:
			out = append(out, v)
		}
	}
	walk(v)
	return out
}

func (r *refRule) expand(values []any) (out []any) {
	for _, v := range values {
		again := false
		for name, replacements := range r.placeholders {
			if s := fmt.Sprint(v); strings.Contains(s, "%"+name+"%") {
				for _, with := range replacements {
					out = append(out, r.expand([]any{strings.Replace(s, "%"+name+"%", with, 1)})...)
				}
				again = true
				break
			}
		}
		if !again {
			out = append(out, v)
		}
	}
	return out
}

// one says whether a value matches one of those reached. A literal is a regular
// expression already.
func (r *refRule) one(mods []string, want any, literal bool, reached []any) bool {
	patterns := []string{fmt.Sprint(want)}
	if f, ok := want.(float64); ok && f == float64(int(f)) {
		patterns[0] += ".0" // as it is written in the rules of this test
	}
	before, after := "^(?:", ")$"
	flags, relation, part := "is", "", ""
	for _, m := range mods {
		switch m {
		case "contains":
			before, after = "(?:", ")"
		case "startswith":
			after = ")"
		case "endswith":
			before = "(?:"
		case "cased":
			flags = "s"
		case "re":
			literal, flags, before, after = true, "", "(?:", ")"
		case "i", "m", "s":
			flags += m
		case "cidr", "lt", "lte", "gt", "gte":
			relation = m
		case "minute", "hour", "day", "week", "month", "year":
			part = m
		case "windash":
			patterns = refDashes(patterns[0])
		case "wide":
			patterns[0] = string(refUTF16(patterns[0]))
		case "base64":
			patterns[0] = base64.StdEncoding.EncodeToString([]byte(patterns[0]))
		case "base64offset":
			patterns = refOffsets(patterns[0])
		}
	}
	_, isText := want.(string)
	for _, v := range reached {
		for _, text := range refTexts(v) {
			for _, p := range patterns {
				switch {
				case part != "":
					if refPart(part, relation, text, p) {
						return true
					}
					continue
				case relation == "cidr":
					addr, err := netip.ParseAddr(text)
					if err == nil && netip.MustParsePrefix(p).Contains(addr) {
						return true
					}
					continue
				case relation != "":
					if refNumber(relation, text, p) {
						return true
					}
					continue
				case !literal && !isText:
					p = regexp.QuoteMeta(p)
				case !literal:
					p = refGlob(p)
				}
				expr := before + p + after
				if flags != "" {
					expr = "(?" + flags + ")" + expr
				}
				if r.regexp(expr).MatchString(text) {
					return true
				}
			}
		}
	}
	return false
}

// refGlob reads the table of escapes.
func refGlob(s string) string {
	var b strings.Builder
	for s != "" {
		switch {
		case strings.HasPrefix(s, `\\`), strings.HasPrefix(s, `\*`), strings.HasPrefix(s, `\?`):
			b.WriteString(regexp.QuoteMeta(s[1:2]))
			s = s[2:]
			continue
		case s[0] == '*':
			b.WriteString(".*")
		case s[0] == '?':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(s[:1]))
		}
		s = s[1:]
	}
	return b.String()
}

func refDashes(s string) (out []string) {
	for i, c := range s {
		if strings.ContainsRune("-/–—―", c) {
			for _, rest := range refDashes(s[i+len(string(c)):]) {
				for _, dash := range []string{"-", "/", "–", "—", "―"} {
					out = append(out, s[:i]+dash+rest)
				}
			}
			return out
		}
	}
	return []string{s}
}

func refUTF16(s string) (out []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

// refOffsets finds the stable middle by comparing encodings in two surroundings.
func refOffsets(s string) (out []string) {
	for shift := range 3 {
		pad := strings.Repeat("\x00", shift)
		a := base64.StdEncoding.EncodeToString([]byte(pad + s + "\x00\x00\x00"))
		b := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xff", shift) + s + "\xff\xff\xff"))
		from := 0
		for shift > 0 && from*6 < shift*8 {
			from++
		}
		to := from
		for to < len(a) && a[to] == b[to] && (to+1)*6 <= (shift+len(s))*8 {
			to++
		}
		out = append(out, a[from:to])
	}
	return out
}

var refDecimal = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$`)

func refNumber(relation, text, operand string) bool {
	if !refDecimal.MatchString(text) {
		return false
	}
	a, _ := new(big.Rat).SetString(text)
	b, _ := new(big.Rat).SetString(operand)
	return refRelation(relation, a.Cmp(b))
}

func refRelation(relation string, order int) bool {
	switch relation {
	case "lt":
		return order < 0
	case "lte":
		return order <= 0
	case "gt":
		return order > 0
	case "gte":
		return order >= 0
	}
	return order == 0
}

func refPart(part, relation, text, operand string) bool {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return false
	}
	at = at.UTC()
	_, week := at.ISOWeek()
	have := map[string]int{
		"minute": at.Minute(), "hour": at.Hour(), "day": at.Day(), "week": week, "month": int(at.Month()), "year": at.Year(),
	}[part]
	want := 0
	if _, err := fmt.Sscan(operand, &want); err != nil {
		panic(err)
	}
	return refRelation(relation, have-want)
}
