package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// The reference evaluator sees JSON as nil, bool, json.Number, string, []any
// and object. It shares no code with the program.

// object is a JSON object in which the first of equal keys counts.
type object map[string]any

var errNotOne = errors.New("more than one JSON value")

// document parses one JSON value.
func document(b []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	v, err := value(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotOne
	}
	return v, nil
}

func value(dec *json.Decoder) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := value(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	case json.Delim('{'):
		o := object{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := value(dec)
			if err != nil {
				return nil, err
			}
			if _, twice := o[key.(string)]; !twice {
				o[key.(string)] = v
			}
		}
		_, err := dec.Token()
		return o, err
	}
	return tok, nil
}

// found is what a path leads to: the values at its end, arrays as they are, and
// whether an element of an array on the way lacks the rest of the path.
type found struct {
	values  []any
	lacking bool
}

// follow walks a path from v, through arrays by itself.
func follow(v any, path []string) found {
	if len(path) == 0 {
		return found{values: []any{v}}
	}
	switch v := v.(type) {
	case object:
		if member, ok := v[path[0]]; ok {
			return follow(member, path[1:])
		}
	case []any:
		var all found
		for _, el := range v {
			f := follow(el, path)
			all.values = append(all.values, f.values...)
			all.lacking = all.lacking || f.lacking
		}
		return all
	}
	return found{lacking: true}
}

// elements are the values with their arrays gone through.
func (f found) elements() []any {
	var all []any
	var add func(v any)
	add = func(v any) {
		list, ok := v.([]any)
		if !ok {
			all = append(all, v)
			return
		}
		for _, el := range list {
			add(el)
		}
	}
	for _, v := range f.values {
		add(v)
	}
	return all
}

// everywhere are the values of a key at any depth of v.
func everywhere(v any, key string) found {
	var all found
	switch v := v.(type) {
	case object:
		for k, member := range v {
			if k == key {
				all.values = append(all.values, member)
			}
			all.values = append(all.values, everywhere(member, key).values...)
		}
	case []any:
		for _, el := range v {
			all.values = append(all.values, everywhere(el, key).values...)
		}
	}
	return all
}

var paths sync.Map // dotted: []string

// split reads a dotted path, in which a backslash takes a character for itself.
func split(path string) []string {
	if names, ok := paths.Load(path); ok {
		return names.([]string)
	}
	names := cut(path)
	paths.Store(path, names)
	return names
}

func cut(path string) []string {
	var names []string
	var name []rune
	escaped := false
	for _, c := range path {
		switch {
		case escaped:
			name, escaped = append(name, c), false
		case c == '\\':
			escaped = true
		case c == '.':
			names, name = append(names, string(name)), nil
		default:
			name = append(name, c)
		}
	}
	return append(names, string(name))
}
