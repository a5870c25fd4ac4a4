package cloudwatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// The reference is a direct reading of the language's table: its own little
// parser, and an evaluator over encoding/json values. It knows valid patterns only.

type refCond struct {
	any, all []refCond
	selector []string // ".name", "[3]", "[*]", ".*"
	op       string   // = != < <= > >= null true false absent
	kind     string   // text, glob, number, regex, star
	value    string
	re       *regexp.Regexp // of a glob or regex
}

var refToken = regexp.MustCompile(`^(?:\|\||&&|[(){}]|!=|<=|>=|[=<>]|"(?:[^"\\]|\\.)*"|%(?:[^%\\]|\\.)*%|\$(?:\.\['[^']*'\]|\.[\w*-]+|\[\d+\]|\[\*\])+|[A-Za-z0-9_.*:/@+-]+)`)

func refParse(src string) (refCond, error) {
	var tokens []string
	for s := strings.TrimSpace(src); s != ""; s = strings.TrimSpace(s) {
		t := refToken.FindString(s)
		if t == "" {
			return refCond{}, fmt.Errorf("no token at %q", s)
		}
		tokens = append(tokens, t)
		s = s[len(t):]
	}
	i := 0
	next := func() string {
		if i == len(tokens) {
			return ""
		}
		i++
		return tokens[i-1]
	}
	var or func() refCond
	factor := func() refCond {
		t := next()
		if t == "(" {
			c := or()
			next()
			return c
		}
		c := refCond{}
		for _, m := range regexp.MustCompile(`\.\['([^']*)'\]|(\.[\w*-]+)|(\[\d+\]|\[\*\])`).FindAllStringSubmatch(t[1:], -1) {
			switch {
			case m[2] != "":
				c.selector = append(c.selector, m[2])
			case m[3] != "":
				c.selector = append(c.selector, m[3])
			default:
				c.selector = append(c.selector, "."+m[1])
			}
		}
		switch op := next(); op {
		case "IS":
			c.op = strings.ToLower(next())
			return c
		case "NOT":
			next()
			c.op = "absent"
			return c
		default:
			c.op = op
		}
		v := next()
		switch {
		case v[0] == '"':
			c.kind, c.value = "glob", strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(v[1:len(v)-1])
		case v[0] == '%':
			c.kind, c.value = "regex", v[1:len(v)-1]
		case strings.Trim(v, "*") == "":
			c.kind = "star"
		case regexp.MustCompile(`^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$`).MatchString(v):
			c.kind, c.value = "number", v
		default:
			c.kind, c.value = "glob", v
		}
		switch c.kind {
		case "glob":
			c.re = refGlob(c.value)
		case "regex":
			c.re = regexp.MustCompile(c.value)
		}
		return c
	}
	and := func() refCond {
		c := refCond{all: []refCond{factor()}}
		for i < len(tokens) && tokens[i] == "&&" {
			i++
			c.all = append(c.all, factor())
		}
		return c
	}
	or = func() refCond {
		c := refCond{any: []refCond{and()}}
		for i < len(tokens) && tokens[i] == "||" {
			i++
			c.any = append(c.any, and())
		}
		return c
	}
	if next() != "{" {
		return refCond{}, fmt.Errorf("not the JSON form")
	}
	c := or()
	if next() != "}" || i != len(tokens) {
		return c, fmt.Errorf("not at the end: %v", tokens[i:])
	}
	return c, nil
}

// refEval decides; objects are refObject so that the first of duplicate keys counts.
func refEval(c refCond, event any) bool {
	switch {
	case c.any != nil:
		for _, sub := range c.any {
			if refEval(sub, event) {
				return true
			}
		}
		return false
	case c.all != nil:
		for _, sub := range c.all {
			if !refEval(sub, event) {
				return false
			}
		}
		return true
	}
	values := []any{event}
	for _, step := range c.selector {
		var reached []any
		for _, v := range values {
			object, _ := v.(refObject)
			array, _ := v.([]any)
			switch {
			case step == ".*":
				for _, m := range object {
					reached = append(reached, m)
				}
			case step == "[*]":
				reached = append(reached, array...)
			case step[0] == '[':
				n, _ := strconv.Atoi(step[1 : len(step)-1])
				if n < len(array) {
					reached = append(reached, array[n])
				}
			default:
				if m, ok := object[step[1:]]; ok {
					reached = append(reached, m)
				}
			}
		}
		values = reached
	}
	if c.op == "absent" {
		return len(values) == 0
	}
	for _, v := range values {
		if refHolds(c, v) {
			return true
		}
	}
	return false
}

func refHolds(c refCond, v any) bool {
	switch c.op {
	case "null":
		return v == nil
	case "true":
		return v == true
	case "false":
		return v == false
	}
	switch v.(type) {
	case nil, refObject, []any:
		return false
	}
	if c.op == "!=" {
		same := c
		same.op = "="
		return !refHolds(same, v)
	}
	text, isText := v.(string)
	switch c.kind {
	case "star":
		return true
	case "glob", "regex":
		return isText && c.re.MatchString(text)
	}
	var order int
	switch v := v.(type) {
	case string:
		order = strings.Compare(v, c.value)
	case json.Number:
		a, _ := new(big.Rat).SetString(v.String())
		b, _ := new(big.Rat).SetString(c.value)
		order = a.Cmp(b)
	default:
		return false
	}
	switch c.op {
	case "=":
		return order == 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

func refGlob(pattern string) *regexp.Regexp {
	parts := strings.Split(pattern, "*")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`)
}

type refObject map[string]any

// refDecode decodes JSON keeping the text of numbers and the first of duplicate keys.
func refDecode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := refValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func refValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := refObject{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := refValue(d)
			if err != nil {
				return nil, err
			}
			if _, dup := o[key.(string)]; !dup {
				o[key.(string)] = v
			}
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := refValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

func compactJSON(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}
