package e2e

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// holds says whether a condition, as docs/rules.md describes it, holds for a
// JSON value. It reads the YAML as it stands: slow and plain.
func holds(v any, cond *yaml.Node) bool {
	for i := 0; i < len(cond.Content); i += 2 {
		if !line(v, cond.Content[i].Value, cond.Content[i+1]) {
			return false
		}
	}
	return true
}

// line is one line of a condition's map.
func line(v any, key string, what *yaml.Node) bool {
	switch key {
	case "any":
		return some(what.Content, func(n *yaml.Node) bool { return holds(v, n) })
	case "all":
		return every(what.Content, func(n *yaml.Node) bool { return holds(v, n) })
	case "not":
		return !some(listOf(what), func(n *yaml.Node) bool { return holds(v, n) })
	case "response":
		return some(listOf(what), func(n *yaml.Node) bool { return response(v, n.Value) })
	case "anywhere":
		for i := 0; i < len(what.Content); i += 2 {
			name := strings.Join(split(what.Content[i].Value), ".")
			if !field(everywhere(v, name), what.Content[i+1], false) {
				return false
			}
		}
		return true
	case "same_element":
		return every(listOf(what), func(n *yaml.Node) bool {
			return some(follow(v, split(member(n, "path").Value)).elements(), func(el any) bool {
				return holds(el, member(n, "match"))
			})
		})
	}
	return field(follow(v, split(key)), what, false)
}

// field is what stands beside a path: a value, a list, or a map of operators.
func field(f found, what *yaml.Node, fold bool) bool {
	switch what.Kind {
	case yaml.ScalarNode:
		return some(f.elements(), func(v any) bool { return equals(v, what, fold) })
	case yaml.SequenceNode:
		return some(what.Content, func(n *yaml.Node) bool { return field(f, n, fold) })
	default: // a map of operators
	}
	if n := member(what, "ignore_case"); n != nil {
		fold = n.Value == "true"
	}
	var onValue []func(v any) bool
	for i := 0; i < len(what.Content); i += 2 {
		op, arg := what.Content[i].Value, what.Content[i+1]
		ok := true
		switch op {
		case "ignore_case":
		case "not":
			ok = !field(f, arg, fold)
		case "exists":
			ok = (len(f.values) > 0) == (arg.Value == "true")
		case "all_of":
			ok = every(listOf(arg), func(n *yaml.Node) bool { return field(f, n, fold) })
		case "each":
			all := f.elements()
			ok = len(all) > 0 && !f.lacking && every(all, func(v any) bool {
				return field(found{values: []any{v}}, arg, fold)
			})
		case "json":
			ok = some(f.elements(), func(v any) bool { return inText(v, arg) })
		default:
			onValue = append(onValue, func(v any) bool {
				return some(listOf(arg), func(n *yaml.Node) bool { return operator(op, v, n, fold) })
			})
		}
		if !ok {
			return false
		}
	}
	return len(onValue) == 0 || some(f.elements(), func(v any) bool {
		return every(onValue, func(op func(any) bool) bool { return op(v) })
	})
}

// operator is a test of one value that is no array.
func operator(op string, v any, arg *yaml.Node, fold bool) bool {
	if op == "equals" || op == "in" {
		return equals(v, arg, fold)
	}
	switch op {
	case "lt", "lte", "gt", "gte":
		n, ok := v.(json.Number)
		if !ok {
			return false
		}
		c := number(n.String()).Cmp(number(arg.Value))
		return op == "lt" && c < 0 || op == "lte" && c <= 0 || op == "gt" && c > 0 || op == "gte" && c >= 0
	}
	text, ok := v.(string)
	if !ok {
		return false
	}
	a := arg.Value
	if op == "cidr" {
		return inRange(text, a)
	}
	if op == "regex" {
		if fold {
			a = "(?i:" + a + ")"
		}
		return expression(a).MatchString(text)
	}
	if fold {
		text, a = folded(text), folded(a)
	}
	switch op {
	case "prefix":
		return strings.HasPrefix(text, a)
	case "suffix":
		return strings.HasSuffix(text, a)
	case "contains":
		return strings.Contains(text, a)
	case "wildcard":
		return wildcard(text, a)
	}
	panic(fmt.Sprintf("the reference does not know the operator %q", op))
}

func equals(v any, arg *yaml.Node, fold bool) bool {
	switch v := v.(type) {
	case nil:
		return arg.ShortTag() == "!!null"
	case bool:
		return arg.ShortTag() == "!!bool" && v == (arg.Value == "true")
	case json.Number:
		return (arg.ShortTag() == "!!int" || arg.ShortTag() == "!!float") && number(v.String()).Cmp(number(arg.Value)) == 0
	case string:
		if tag := arg.ShortTag(); tag != "!!str" && tag != "!!timestamp" {
			return false
		}
		return v == arg.Value || fold && folded(v) == folded(arg.Value)
	}
	return false // an object equals nothing
}

// number keeps every digit.
func number(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic(fmt.Sprintf("%q is not a number", s))
	}
	return r
}

// folded maps each character to the least of those that are the same to simple
// folding.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, s)
}

func wildcard(text, pattern string) bool {
	var re strings.Builder
	re.WriteString(`(?s)\A`)
	for rest := pattern; rest != ""; {
		switch {
		case rest[0] == '*':
			re.WriteString(".*")
		case rest[0] == '?':
			re.WriteString(".")
		case rest[0] == '\\' && len(rest) > 1:
			rest = rest[1:]
			fallthrough
		default:
			re.WriteString(regexp.QuoteMeta(rest[:1]))
		}
		rest = rest[1:]
	}
	re.WriteString(`\z`)
	return expression(re.String()).MatchString(text)
}

var expressions sync.Map // source: *regexp.Regexp

func expression(src string) *regexp.Regexp {
	if re, ok := expressions.Load(src); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(src)
	expressions.Store(src, re)
	return re
}

func inRange(text, cidr string) bool {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		one := netip.MustParseAddr(cidr).Unmap()
		return addr == one
	}
	return p.Masked().Contains(addr)
}

// inText is the operator json.
func inText(v any, cond *yaml.Node) bool {
	switch v := v.(type) {
	case object:
		return holds(v, cond)
	case string:
		doc, err := document([]byte(v))
		if err != nil {
			plain, unescapeErr := url.PathUnescape(v)
			if unescapeErr != nil {
				return false
			}
			if doc, err = document([]byte(plain)); err != nil {
				return false
			}
		}
		switch doc.(type) {
		case object, []any:
			return holds(doc, cond)
		}
	}
	return false
}

var unauthorized = []string{
	"accessdenied", "accessdeny", "authorizationerror", "authorizationfailure", "forbidden", "notauthorized", "unauthorized",
}

// response is what AWS answered to the call.
func response(v any, want string) bool {
	there := func(path string) bool {
		return some(follow(v, split(path)).values, func(v any) bool { return v != nil })
	}
	denied := some(follow(v, split("errorCode")).elements(), func(v any) bool {
		code, _ := v.(string)
		return some(unauthorized, func(word string) bool { return strings.Contains(strings.ToLower(code), word) })
	})
	failed := there("errorCode") || there("errorMessage") ||
		some(follow(v, split("responseElements.ConsoleLogin")).elements(), func(v any) bool { return v == "Failure" })
	switch want {
	case "success":
		return !failed
	case "failure":
		return failed
	}
	return denied
}

// listOf are the items of a list, or the one thing that stands in its place.
func listOf(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// member is the value beside a key of a map, nil if it has none.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func some[T any](all []T, f func(T) bool) bool {
	for _, v := range all {
		if f(v) {
			return true
		}
	}
	return false
}

func every[T any](all []T, f func(T) bool) bool {
	return !some(all, func(v T) bool { return !f(v) })
}
