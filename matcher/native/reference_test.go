package native

import (
	"encoding/json"
	"io"
	"math/big"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
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
