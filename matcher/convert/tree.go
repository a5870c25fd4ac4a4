package convert

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// unresolved stands in a tree for a value that cannot be known from the input.
type unresolved struct{ text string }

// settings reads the settings of one filter or alarm from a tree: map[string]any,
// []any, string, json.Number, bool, nil and unresolved. Keys are CloudFormation's.
type settings struct {
	tree     map[string]any
	problems []string // why it cannot be used
	warnings []string
}

func (s *settings) get(key string, required bool) any {
	v := s.tree[key]
	u, open := v.(unresolved)
	switch {
	case open && required:
		s.problems = append(s.problems, fmt.Sprintf("%s cannot be resolved: %s", key, u.text))
	case open:
		s.warnings = append(s.warnings, fmt.Sprintf("%s cannot be resolved and is left out: %s", key, u.text))
	case v == nil && required:
		s.problems = append(s.problems, key+" is missing")
	default:
		return v
	}
	return nil
}

func (s *settings) text(key string, required bool) string {
	switch v := s.get(key, required).(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		s.problems = append(s.problems, key+" is no text")
		return ""
	}
}

// known reads an optional text that decides when an alarm fires: it may be
// missing, but not unresolved.
func (s *settings) known(key string) string {
	if s.tree[key] == nil {
		return ""
	}
	return s.text(key, true)
}

func (s *settings) number(key string, required bool) float64 {
	text := s.known(key)
	if text == "" {
		if required && s.tree[key] == nil {
			s.problems = append(s.problems, key+" is missing")
		}
		return 0
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		s.problems = append(s.problems, fmt.Sprintf("%s: %q is no number", key, text))
	}
	return f
}

const maxWhole = 1 << 30

func (s *settings) whole(key string, required bool) int {
	f := s.number(key, required)
	if f != float64(int(f)) || f < 0 || f > maxWhole {
		s.problems = append(s.problems, fmt.Sprintf("%s: %g is no whole number", key, f))
		return 0
	}
	return int(f)
}

// list reads a list, of a single value the only one.
func (s *settings) list(key string) []any {
	switch v := s.get(key, false).(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func (s *settings) texts(key string) (out []string) {
	for _, item := range s.list(key) {
		switch item := item.(type) {
		case string:
			out = append(out, item)
		case unresolved:
			s.warnings = append(s.warnings, fmt.Sprintf("%s: %s cannot be resolved and is left out", key, item.text))
		}
	}
	return out
}

// dimensions reads [{Name or Key, Value}] or {name: value}, in either form.
func (s *settings) dimensions(key string) (out []pair) {
	v := s.tree[key]
	if v == nil {
		return nil
	}
	bad := func() { s.problems = append(s.problems, key+" cannot be resolved") }
	switch v := v.(type) {
	case map[string]any:
		for _, name := range sortedKeys(v) {
			value, ok := v[name].(string)
			if !ok {
				bad()
			}
			out = append(out, pair{name, value})
		}
	case []any:
		for _, item := range v {
			m, _ := item.(map[string]any)
			name, ok := m["Name"].(string)
			if !ok {
				name, ok = m["Key"].(string)
			}
			value, known := m["Value"].(string)
			if !ok || !known {
				bad()
			}
			out = append(out, pair{name, value})
		}
	default:
		bad()
	}
	return out
}

type pair struct{ name, value string }

// problem joins the problems; empty: there are none.
func (s *settings) problem() string { return strings.Join(s.problems, "; ") }

// decimalText writes a number without an exponent where that is short.
func decimalText(f *big.Float) string {
	if i, acc := f.Int64(); acc == big.Exact {
		return strconv.FormatInt(i, 10)
	}
	return f.Text('g', -1)
}

// at is a place in an input without one nearer.
func at(in Input) matcher.Pos { return matcher.Pos{File: in.Name, Line: 1} }
