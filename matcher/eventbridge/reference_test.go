package eventbridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// The reference is a direct reading of the language's description over
// encoding/json values. It flattens the event into (path, scalar, elements of
// arrays it is in) and tries every combination.

type refField struct {
	value any
	in    map[string]int // array's place: index
}

type refPattern map[string][]any // path: values

// refTokens decodes JSON keeping the order of keys: objects are [][2]any.
func refTokens(d *json.Decoder) any {
	t, err := d.Token()
	if err != nil {
		panic(err)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			list = append(list, refTokens(d))
		}
		_, _ = d.Token()
		return list
	}
	object := [][2]any{}
	for d.More() {
		key, _ := d.Token()
		object = append(object, [2]any{key, refTokens(d)})
	}
	_, _ = d.Token()
	return object
}

func refRead(pattern string) []refPattern {
	d := json.NewDecoder(strings.NewReader(pattern))
	d.UseNumber()
	return refRules([]refPattern{{}}, "", refTokens(d).([][2]any))
}

func refRules(rules []refPattern, prefix string, object [][2]any) []refPattern {
	for _, kv := range object {
		key := kv[0].(string)
		if key == "$or" {
			var out []refPattern
			for _, branch := range kv[1].([]any) {
				var copies []refPattern
				for _, r := range rules {
					c := refPattern{}
					for k, v := range r {
						c[k] = v
					}
					copies = append(copies, c)
				}
				out = append(out, refRules(copies, prefix, branch.([][2]any))...)
			}
			rules = out
			continue
		}
		switch v := kv[1].(type) {
		case [][2]any:
			rules = refRules(rules, prefix+key+".", v)
		case []any:
			for _, r := range rules {
				r[prefix+key] = v
			}
		}
	}
	return rules
}

func refFlatten(v any, path, place string, in map[string]int, out map[string][]refField) {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			p := k
			if path != "" {
				p = path + "." + k
			}
			refFlatten(m, p, place+"/"+strconv.Quote(k), in, out)
		}
	case []any:
		for i, el := range v {
			_, object := el.(map[string]any)
			_, array := el.([]any)
			inner := in
			if object || array {
				inner = map[string]int{place: i}
				for k, j := range in {
					inner[k] = j
				}
			}
			refFlatten(el, path, fmt.Sprintf("%s[%d]", place, i), inner, out)
		}
	default:
		out[path] = append(out[path], refField{v, in})
	}
}

// refMatch says whether the pattern holds for the object as it is.
func refMatch(pattern string, event any) bool {
	fields := map[string][]refField{}
	refFlatten(event, "", "", map[string]int{}, fields)
	for _, rule := range refRead(pattern) {
		var paths []string
		for p := range rule {
			paths = append(paths, p)
		}
		sort.Strings(paths)
		if refSearch(rule, paths, fields, map[string]int{}) {
			return true
		}
	}
	return false
}

func refSearch(rule refPattern, paths []string, fields map[string][]refField, in map[string]int) bool {
	if len(paths) == 0 {
		return true
	}
	there := false
	for _, f := range fields[paths[0]] {
		both, ok := map[string]int{}, true
		for k, i := range in {
			both[k] = i
		}
		for k, i := range f.in {
			if j, bound := in[k]; bound && j != i {
				ok = false
			}
			both[k] = i
		}
		if !ok {
			continue
		}
		there = true
		for _, want := range rule[paths[0]] {
			if refValue(want, f.value) && refSearch(rule, paths[1:], fields, both) {
				return true
			}
		}
	}
	if there {
		return false
	}
	for _, want := range rule[paths[0]] {
		if o, ok := want.([][2]any); ok && o[0][0] == "exists" && o[0][1] == false {
			return refSearch(rule, paths[1:], fields, in)
		}
	}
	return false
}

func refRat(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic(n)
	}
	return r
}

func refAddr(s string) (netip.Addr, bool) {
	if strings.Count(s, ".") == 3 && !strings.Contains(s, ":") {
		parts := strings.Split(s, ".")
		for i, p := range parts {
			if t := strings.TrimLeft(p, "0"); t != "" {
				parts[i] = t
			} else if p != "" {
				parts[i] = "0"
			}
		}
		s = strings.Join(parts, ".")
	} else if strings.ContainsAny(s, ".%") {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil
}

// refValue says whether one value of a list holds for a scalar.
func refValue(want, got any) bool {
	switch want := want.(type) {
	case string:
		s, ok := got.(string)
		if a, is := refAddr(want); is {
			b, isToo := refAddr(s)
			return ok && isToo && a == b
		}
		return ok && s == want
	case json.Number:
		n, ok := got.(json.Number)
		return ok && refRat(n).Cmp(refRat(want)) == 0
	case [][2]any:
		return refOperator(want[0][0].(string), want[0][1], got)
	default:
		return want == got
	}
}

func refOperator(op string, operand, got any) bool {
	s, isText := got.(string)
	switch op {
	case "exists":
		return operand == true
	case "anything-but":
		if o, ok := operand.([][2]any); ok {
			for _, each := range refList(o[0][1]) {
				if refOperator(o[0][0].(string), each, got) {
					return false
				}
			}
			return true
		}
		for _, each := range refList(operand) {
			if t, ok := each.(string); ok && t == got || !ok && refValue(each, got) {
				return false
			}
		}
		return true
	case "numeric":
		n, ok := got.(json.Number)
		list := operand.([]any)
		for i := 0; ok && i < len(list); i += 2 {
			c := refRat(n).Cmp(refRat(list[i+1].(json.Number)))
			ok = map[string]bool{"=": c == 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[list[i].(string)]
		}
		return ok
	}
	if !isText {
		return false
	}
	fold := func(s string) string { return strings.ToLower(strings.ToUpper(s)) }
	if o, ok := operand.([][2]any); ok {
		operand, s = fold(o[0][1].(string)), fold(s)
	}
	want := operand.(string)
	switch op {
	case "prefix":
		return strings.HasPrefix(s, want)
	case "suffix":
		return strings.HasSuffix(s, want)
	case "equals-ignore-case":
		return strings.EqualFold(s, want)
	case "wildcard":
		return refWildcard(want, s)
	case "cidr":
		address, bits, _ := strings.Cut(want, "/")
		network, _ := refAddr(address)
		a, ok := refAddr(s)
		n, _ := strconv.Atoi(bits)
		p, _ := network.Prefix(n)
		return ok && p.Contains(a)
	}
	panic(op)
}

func refList(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func refWildcard(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '*':
		return refWildcard(p[1:], s) || s != "" && refWildcard(p, s[1:])
	case p[0] == '\\':
		p = p[1:]
	}
	return s != "" && s[0] == p[0] && refWildcard(p[1:], s[1:])
}

// refRecord says whether the pattern holds for a CloudTrail record.
func refRecord(pattern string, record map[string]any) bool {
	enveloped := false
	for _, rule := range refRead(pattern) {
		for path := range rule {
			enveloped = enveloped || path == "detail" || strings.HasPrefix(path, "detail.")
		}
	}
	if !enveloped {
		return refMatch(pattern, record)
	}
	envelope := map[string]any{"version": "0", "resources": []any{}, "detail": record, "detail-type": "AWS API Call via CloudTrail"}
	for field, from := range map[string]string{"account": "recipientAccountId", "region": "awsRegion", "time": "eventTime", "id": "eventID", "source": "eventSource"} {
		if v, ok := record[from]; ok {
			envelope[field] = v
		}
	}
	if s, ok := envelope["source"].(string); ok && strings.HasSuffix(s, ".amazonaws.com") {
		envelope["source"] = "aws." + strings.TrimSuffix(s, ".amazonaws.com")
	}
	switch record["eventType"] {
	case nil:
		if record["eventName"] == "ConsoleLogin" {
			envelope["detail-type"] = "AWS Console Sign In via CloudTrail"
		}
	case "AwsConsoleSignIn":
		envelope["detail-type"] = "AWS Console Sign In via CloudTrail"
	case "AwsServiceEvent":
		envelope["detail-type"] = "AWS Service Event via CloudTrail"
	case "AwsConsoleAction":
		envelope["detail-type"] = "AWS Console Action via CloudTrail"
	case "AwsCloudTrailInsight":
		envelope["detail-type"] = "AWS Insight via CloudTrail"
	case "AwsVpceEvent":
		envelope["detail-type"] = "AWS Network Activity Event via CloudTrail"
	}
	return refMatch(pattern, envelope)
}

func decodeEvent(t tester, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return v
}

// TestReferenceAgreesWithRecordings holds the reference itself to the cases.
func TestReferenceAgreesWithRecordings(t *testing.T) {
	for _, c := range recorded(t, "cases.jsonl") {
		if got := refMatch(c.Pattern, decodeEvent(t, c.Event)); got != c.Expected {
			t.Errorf("%s: the reference answers %t\npattern: %s\nevent: %s", c.ID, got, c.Pattern, c.Event)
		}
	}
}
