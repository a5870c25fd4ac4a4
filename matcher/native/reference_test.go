package native

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The reference evaluator reads a match map as docs/rules.md describes it, over
// the values of encoding/json. It shares no code with the engine and is as slow
// as it is plain.

type object = map[string]any

func refCondition(cond object, doc any) bool {
	for key, val := range cond {
		if !refEntry(key, val, doc) {
			return false
		}
	}
	return true
}

func refEntry(key string, val, doc any) bool {
	holds := func(c any) bool { return refCondition(c.(object), doc) }
	switch key {
	case "any":
		return slices.ContainsFunc(val.([]any), holds)
	case "all":
		return !slices.ContainsFunc(val.([]any), func(c any) bool { return !holds(c) })
	case "not":
		if list, ok := val.([]any); ok {
			return !slices.ContainsFunc(list, holds)
		}
		return !holds(val)
	case "anywhere":
		for k, v := range val.(object) {
			if !refValue(v, place{seen: refUnder(doc, k)}, false) {
				return false
			}
		}
		return true
	case "same_element":
		m := val.(object)
		for _, v := range refSeen(doc, strings.Split(m["path"].(string), ".")) {
			if slices.ContainsFunc(refFlat(v), func(el any) bool { return refCondition(m["match"].(object), el) }) {
				return true
			}
		}
		return false
	case "response":
		fails := func(k string) bool { v := refSeen(doc, []string{k}); return len(v) > 0 && v[0] != nil }
		login := refValue("Failure", refAt(doc, "responseElements.ConsoleLogin"), false)
		failure := fails("errorCode") || fails("errorMessage") || login
		if val == "unauthorized" {
			return refValue(object{"regex": "(?i)accessden(ied|y)|authorization(error|failure)|forbidden|notauthorized|unauthorized"}, refAt(doc, "errorCode"), false)
		}
		return failure == (val == "failure")
	}
	return refValue(val, refAt(doc, key), false)
}

// place is a field of a document and the values that stand there.
type place struct {
	doc  any
	path []string
	seen []any
}

func refAt(doc any, dotted string) place {
	path := strings.Split(dotted, ".")
	return place{doc, path, refSeen(doc, path)}
}

// refSeen returns the values at the end of a path; arrays on the way are gone
// through, one at the end is a value.
func refSeen(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	switch v := v.(type) {
	case []any:
		var out []any
		for _, el := range v {
			out = append(out, refSeen(el, path)...)
		}
		return out
	case object:
		if child, ok := v[path[0]]; ok {
			return refSeen(child, path[1:])
		}
	}
	return nil
}

func refUnder(v any, key string) (out []any) {
	switch v := v.(type) {
	case []any:
		for _, el := range v {
			out = append(out, refUnder(el, key)...)
		}
	case object:
		for k, child := range v {
			if k == key {
				out = append(out, child)
			}
			out = append(out, refUnder(child, key)...)
		}
	}
	return out
}

func refFlat(v any) (out []any) {
	if list, ok := v.([]any); ok {
		for _, el := range list {
			out = append(out, refFlat(el)...)
		}
		return out
	}
	return []any{v}
}

// refValue says whether what is written of a field holds for the values seen.
func refValue(spec any, at place, fold bool) bool {
	var leaves []any
	for _, v := range at.seen {
		leaves = append(leaves, refFlat(v)...)
	}
	switch spec := spec.(type) {
	case []any:
		return slices.ContainsFunc(spec, func(s any) bool { return refValue(s, at, fold) })
	case object:
		if f, ok := spec["ignore_case"]; ok {
			fold = f == true
		}
		single := object{}
		for op, arg := range spec {
			ok := true
			switch op {
			case "ignore_case":
			case "not":
				ok = !refValue(arg, at, fold)
			case "exists":
				ok = (len(at.seen) > 0) == arg.(bool)
			case "all_of":
				for _, a := range arg.([]any) {
					ok = ok && refValue(a, at, fold)
				}
			case "each":
				ok = refEach(at.doc, at.path, arg, fold)
			case "json":
				ok = slices.ContainsFunc(leaves, func(v any) bool { return refJSON(arg.(object), v) })
			default:
				single[op] = arg
			}
			if !ok {
				return false
			}
		}
		return len(single) == 0 || slices.ContainsFunc(leaves, func(v any) bool { return refJudge(single, v, fold) })
	default:
		return slices.ContainsFunc(leaves, func(v any) bool { return refOp("equals", spec, v, fold) })
	}
}

func refJSON(cond object, v any) bool {
	if o, ok := v.(object); ok {
		return refCondition(cond, o)
	}
	text, ok := v.(string)
	if !ok {
		return false
	}
	for _, s := range []string{text, unescaped(text)} {
		inner, err := decodeJSON(s)
		switch inner.(type) {
		case object, []any:
			return err == nil && refCondition(cond, inner)
		}
	}
	return false
}

func unescaped(s string) string {
	if out, err := url.PathUnescape(s); err == nil {
		return out
	}
	return s
}

func decodeJSON(s string) (v any, err error) {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	if err = dec.Decode(&v); err == nil {
		if _, err = dec.Token(); err == io.EOF {
			err = nil
		}
	}
	return v, err
}

func refEach(v any, path []string, spec any, fold bool) bool {
	if list, ok := v.([]any); ok {
		return len(list) > 0 && !slices.ContainsFunc(list, func(el any) bool { return !refEach(el, path, spec, fold) })
	}
	if len(path) == 0 {
		return refValue(spec, place{seen: []any{v}}, fold)
	}
	o, _ := v.(object)
	child, ok := o[path[0]]
	return ok && refEach(child, path[1:], spec, fold)
}

// refJudge says whether all operators hold for one value.
func refJudge(ops object, v any, fold bool) bool {
	for op, arg := range ops {
		if !refOp(op, arg, v, fold) {
			return false
		}
	}
	return true
}

func refOp(op string, arg, v any, fold bool) bool {
	if list, ok := arg.([]any); ok {
		return slices.ContainsFunc(list, func(a any) bool { return refOp(op, a, v, fold) })
	}
	if n, ok := arg.(json.Number); ok {
		m, ok := v.(json.Number)
		if !ok {
			return false
		}
		c := rat(m).Cmp(rat(n))
		switch op {
		case "lt":
			return c < 0
		case "lte":
			return c <= 0
		case "gt":
			return c > 0
		case "gte":
			return c >= 0
		default:
			return c == 0
		}
	}
	want, ok := arg.(string)
	if !ok {
		return (op == "equals" || op == "in") && arg == v
	}
	got, ok := v.(string)
	if !ok {
		return false
	}
	if fold && op != "regex" {
		want, got = strings.ToLower(want), strings.ToLower(got)
	}
	switch op {
	case "equals", "in":
		return got == want
	case "prefix":
		return strings.HasPrefix(got, want)
	case "suffix":
		return strings.HasSuffix(got, want)
	case "contains":
		return strings.Contains(got, want)
	case "wildcard":
		return refWildcard([]rune(want), []rune(got))
	case "regex":
		if fold {
			want = "(?i:" + want + ")"
		}
		return regexp.MustCompile(want).MatchString(got)
	case "cidr":
		a, err := netip.ParseAddr(got)
		return err == nil && netip.MustParsePrefix(want).Contains(a.Unmap())
	}
	panic("unknown operator " + op)
}

func refWildcard(pattern, text []rune) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	c, rest := pattern[0], pattern[1:]
	switch {
	case c == '*':
		return refWildcard(rest, text) || len(text) > 0 && refWildcard(pattern, text[1:])
	case c == '?':
		return len(text) > 0 && refWildcard(rest, text[1:])
	case c == '\\' && len(rest) > 0 && strings.ContainsRune(`*?\`, rest[0]):
		c, rest = rest[0], rest[1:]
	}
	return len(text) > 0 && text[0] == c && refWildcard(rest, text[1:])
}

func rat(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic("not a number: " + n)
	}
	return r
}

// generators of conditions and events that meet each other often

var (
	genText   = rapid.SampledFrom([]string{"", "x", "X", "xy", "Xyz", "y", "10.0.0.1", "10.2.0.0", "é", "É", "a*", "1", "true"})
	genNumber = rapid.SampledFrom([]json.Number{"0", "1", "1.0", "10e-1", "2", "-1", "9007199254740992", "9007199254740993"})
	genScalar = rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 9).Draw(t, "scalar") {
		case 0, 1:
			return genNumber.Draw(t, "number")
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return nil
		default:
			return genText.Draw(t, "text")
		}
	})
	genKey  = rapid.SampledFrom([]string{"a", "b", "c"})
	genPath = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(genKey, 1, 3).Draw(t, "path"), ".")
	})
)

func drawValue(t *rapid.T, depth int) any {
	switch k := rapid.IntRange(0, 5).Draw(t, "value"); {
	case k < 2 && depth > 0:
		return drawObject(t, depth-1)
	case k < 4 && depth > 0:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	case k == 4 && depth > 0:
		text, err := json.Marshal(drawValue(t, depth-1))
		if err != nil {
			panic(err)
		}
		if rapid.Bool().Draw(t, "percent") {
			return url.PathEscape(string(text))
		}
		return string(text)
	default:
		return genScalar.Draw(t, "leaf")
	}
}

func drawObject(t *rapid.T, depth int) object {
	o := object{}
	for _, k := range []string{"a", "b", "c"} {
		if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
			o[k] = drawValue(t, depth)
		}
	}
	return o
}

func drawEvent(t *rapid.T) object {
	o := drawObject(t, 4)
	o["eventName"] = genText.Draw(t, "eventName")
	for _, k := range []string{"errorCode", "errorMessage"} {
		if rapid.IntRange(0, 3).Draw(t, k) == 0 {
			o[k] = rapid.SampledFrom([]any{nil, "AccessDenied", "Client.UnauthorizedOperation", "Throttling"}).Draw(t, k)
		}
	}
	return o
}

func drawList(t *rapid.T, draw func() any) []any {
	var list []any
	for range rapid.IntRange(1, 3).Draw(t, "items") {
		list = append(list, draw())
	}
	return list
}

func drawCondition(t *rapid.T, depth int, event bool) object {
	o := object{}
	for range rapid.IntRange(1, 2).Draw(t, "entries") {
		switch k := rapid.IntRange(0, 10).Draw(t, "kind"); {
		case k < 3 && depth > 0:
			name := []string{"any", "all", "not"}[k]
			o[name] = drawList(t, func() any { return drawCondition(t, depth-1, event) })
		case k == 3 && depth > 0:
			o["not"] = drawCondition(t, depth-1, event)
		case k == 4 && depth > 0:
			o["same_element"] = object{"path": genPath.Draw(t, "path"), "match": drawCondition(t, depth-1, false)}
		case k == 5:
			o["anywhere"] = object{genKey.Draw(t, "key"): drawSpec(t, depth, false)}
		case k == 6 && event:
			o["response"] = rapid.SampledFrom([]string{"success", "failure", "unauthorized"}).Draw(t, "response")
		case k == 7 && event:
			o["eventName"] = rapid.SampledFrom([]any{"x", []any{"x", "Xyz"}, object{"prefix": "x", "ignore_case": true}, object{"wildcard": "*y*"}}).Draw(t, "name")
		default:
			o[genPath.Draw(t, "path")] = drawSpec(t, depth, true)
		}
	}
	return o
}

func drawSpec(t *rapid.T, depth int, path bool) any {
	switch k := rapid.IntRange(0, 9).Draw(t, "spec"); {
	case k < 2:
		return genScalar.Draw(t, "equals")
	case k < 3:
		return drawList(t, func() any { return genScalar.Draw(t, "item") })
	}
	o := object{}
	for range rapid.IntRange(1, 2).Draw(t, "operators") {
		switch k := rapid.IntRange(0, 7).Draw(t, "operator"); {
		case k == 0 && depth > 0:
			o["not"] = drawSpec(t, depth-1, path)
		case k == 1:
			o["exists"] = rapid.Bool().Draw(t, "exists")
		case k == 2:
			o["all_of"] = drawList(t, func() any { return genScalar.Draw(t, "item") })
		case k == 3 && path:
			o["each"] = drawJudge(t)
		case k == 4 && path && depth > 0:
			o["json"] = drawCondition(t, depth-1, false)
		default:
			name, arg := drawOperator(t)
			o[name] = arg
		}
	}
	for _, k := range textOperators {
		if _, ok := o[k]; ok {
			if rapid.IntRange(0, 3).Draw(t, "ignore_case") == 0 {
				o["ignore_case"] = true
			}
			break
		}
	}
	return o
}

func drawJudge(t *rapid.T) any {
	if rapid.Bool().Draw(t, "list") {
		return drawList(t, func() any { return genScalar.Draw(t, "item") })
	}
	name, arg := drawOperator(t)
	if rapid.Bool().Draw(t, "not") {
		return object{"not": object{name: arg}}
	}
	return object{name: arg}
}

func drawOperator(t *rapid.T) (string, any) {
	texts := rapid.SampledFrom([]any{"x", "X", "y", "É", "1", []any{"x", "z"}})
	switch k := rapid.IntRange(0, 5).Draw(t, "op"); k {
	case 0:
		return rapid.SampledFrom([]string{"equals", "in"}).Draw(t, "name"), drawList(t, func() any { return genScalar.Draw(t, "item") })
	case 1:
		return rapid.SampledFrom([]string{"prefix", "suffix", "contains"}).Draw(t, "name"), texts.Draw(t, "texts")
	case 2:
		return "wildcard", rapid.SampledFrom([]any{"x*", "*y*", "?", "a\\*", []any{"??", "*Z"}}).Draw(t, "pattern")
	case 3:
		return "regex", rapid.SampledFrom([]any{"^x", "y$", "x|é", []any{"^$", "[0-9]"}}).Draw(t, "expression")
	case 4:
		return "cidr", rapid.SampledFrom([]any{"10.0.0.0/16", "0.0.0.0/0", []any{"10.2.0.0/32", "::/0"}}).Draw(t, "range")
	default:
		return rapid.SampledFrom([]string{"lt", "lte", "gt", "gte"}).Draw(t, "name"), genNumber.Draw(t, "number")
	}
}

func mustJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// TestEngineAgreesWithReference compares compiled conditions with the reference
// on events made to meet them.
func TestEngineAgreesWithReference(t *testing.T) {
	held, missed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		cond := drawCondition(t, 3, true)
		c := compile(t, ruleWith("match: "+mustJSON(cond)))
		for range 5 {
			event := drawEvent(t)
			got, want := c.match(t, mustJSON(event)), refCondition(cond, object(event))
			if got != want {
				t.Fatalf("engine %t, reference %t\nmatch: %s\nevent: %s\n%s", got, want, mustJSON(cond), mustJSON(event), c.explain(t, mustJSON(event)))
			}
			if got {
				held++
			} else {
				missed++
			}
		}
	})
	if !t.Failed() && (held < missed/10 || missed < held/10) {
		t.Errorf("one-sided: %d held, %d did not", held, missed)
	}
}

// realConditions touch what real events hold.
var realConditions = []string{
	`{"eventName":"ConsoleLogin","response":"failure"}`,
	`{"response":"unauthorized"}`,
	`{"response":"success","readOnly":false}`,
	`{"userIdentity.type":["Root","AssumedRole"]}`,
	`{"userIdentity.type":{"not":"IAMUser"}}`,
	`{"userIdentity.type":{"exists":false}}`,
	`{"userIdentity.sessionContext.attributes.mfaAuthenticated":"true"}`,
	`{"userIdentity.arn":{"wildcard":"arn:aws:*:user/*"}}`,
	`{"userIdentity.arn":{"contains":"USER","ignore_case":true}}`,
	`{"eventName":{"prefix":["Delete","Put"]},"eventSource":{"suffix":".amazonaws.com"}}`,
	`{"eventName":{"regex":"^(Create|Authorize).*(Ingress|User)$"}}`,
	`{"eventName":{"wildcard":"*Policy*"}}`,
	`{"sourceIPAddress":{"cidr":["0.0.0.0/2","2000::/3"]}}`,
	`{"sourceIPAddress":{"not":{"cidr":"0.0.0.0/0"}}}`,
	`{"responseElements":null}`,
	`{"responseElements":{"not":null}}`,
	`{"requestParameters":{"exists":true}}`,
	`{"requestParameters.ipPermissions.items.ipRanges.items.cidrIp":"0.0.0.0/0"}`,
	`{"same_element":{"path":"requestParameters.ipPermissions.items","match":{"fromPort":{"lte":22},"toPort":{"gte":22}}}}`,
	`{"requestParameters.policyDocument":{"json":{"Statement.Effect":"Allow"}}}`,
	`{"requestParameters.policyDocument":{"json":{"same_element":{"path":"Statement","match":{"Effect":"Allow","Action":"*"}}}}}`,
	`{"anywhere":{"publiclyAccessible":true}}`,
	`{"anywhere":{"userName":{"exists":true}}}`,
	`{"resources.type":{"each":{"prefix":"AWS::"}}}`,
	`{"resources.type":{"all_of":["AWS::KMS::Key"]}}`,
	`{"not":[{"eventSource":"ec2.amazonaws.com"},{"eventName":{"prefix":"List"}}]}`,
	`{"any":[{"errorCode":{"contains":"Denied"}},{"userAgent":{"contains":["boto","stratus"],"ignore_case":true}}]}`,
	`{"recipientAccountId":"123837392027","awsRegion":{"not":["us-east-1"]}}`,
	`{"eventVersion":"1.08","managementEvent":true}`,
}

// TestRealEvents compares the two on the events of a corpus.
func TestRealEvents(t *testing.T) {
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: no corpus to read")
	}
	files, err := filepath.Glob(filepath.Join(dir, "cloudtrail", "*.jsonl*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no events under %s: %v", dir, err)
	}
	var conds []object
	var rules []compiled
	for _, text := range realConditions {
		v, err := decodeJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		conds = append(conds, v.(object))
		rules = append(rules, compile(t, ruleWith("match: "+text)))
	}
	held := make([]int, len(conds))
	for _, name := range files {
		readLines(t, name, func(line string) {
			v, err := decodeJSON(line)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			event := v.(object)
			if inner, ok := event["event"].(object); ok {
				event = inner
			}
			text := mustJSON(event)
			for i, cond := range conds {
				got, want := rules[i].match(t, text), refCondition(cond, event)
				if got != want {
					t.Errorf("engine %t, reference %t\nmatch: %s\nevent: %s", got, want, realConditions[i], text)
				}
				if got {
					held[i]++
				}
			}
		})
	}
	for i, n := range held {
		t.Logf("%6d %s", n, realConditions[i])
	}
}

func readLines(t *testing.T, name string, each func(string)) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var src io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if src, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(src)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		each(lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
