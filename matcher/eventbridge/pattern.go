package eventbridge

import (
	"maps"
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// alternative is one conjunction of a pattern: what must hold of each field, by
// its dotted path.
type alternative map[string]*leaf

// leaf is what a list of values in a pattern says of a field.
type leaf struct {
	path   string
	op     matcher.Op // nil: no value satisfies it
	absent bool       // {"exists": false} is among the values
	// literals are the values when all of them are strings.
	literals []string
	note     matcher.Note
}

// keys is the path as nested keys: "a.b" is the same as {"a": {"b": …}}.
func (l *leaf) keys() []string { return strings.Split(l.path, ".") }

// paths returns the paths in their order, which decides what {"exists": false}
// means inside arrays.
func (a alternative) paths() []string { return slices.Sorted(maps.Keys(a)) }

// compiler reads one pattern.
type compiler struct {
	warnings []Warning
	values   int // in lists, so far
	leaves   int // written into alternatives, so far
}

// maxWarnings bounds what is said of one pattern.
const maxWarnings = 100

func (c *compiler) warnf(pos matcher.Pos, format string, args ...any) {
	w, _ := errorAt(pos, format, args...).(*Error) //nolint:errorlint // it was made just now
	if len(c.warnings) < maxWarnings && !slices.ContainsFunc(c.warnings, func(o Warning) bool { return o.Pos == pos && o.Msg == w.Msg }) {
		c.warnings = append(c.warnings, Warning{Pos: pos, Msg: w.Msg})
	}
}

// pattern returns the alternatives of a pattern: one, and more where $or is in it.
func (c *compiler) pattern(v *value) ([]alternative, error) {
	if v.kind != objectValue {
		return nil, v.errorf("a pattern must be an object, not %s", v.kind)
	}
	return c.object([]alternative{{}}, "", v, false)
}

// object adds what v says of the fields below prefix to each alternative. Of
// what is said twice of one field the last counts, also between the branches of
// $or and what stands beside them.
func (c *compiler) object(alternatives []alternative, prefix string, v *value, insideOr bool) ([]alternative, error) {
	if len(v.members) == 0 {
		return nil, v.errorf("an empty object is not allowed in a pattern: write what must hold of a field, such as [{\"exists\": true}]")
	}
	var err error
	for _, m := range v.members {
		if m.key == "$or" {
			if alternatives, err = c.or(alternatives, prefix, m); err != nil {
				return nil, err
			}
			continue
		}
		if insideOr && slices.Contains(reserved, m.key) {
			return nil, errorAt(m.pos, "%q is reserved and cannot be a field inside $or", m.key)
		}
		path := prefix + m.key
		switch m.val.kind {
		case objectValue:
			if alternatives, err = c.object(alternatives, path+".", m.val, insideOr); err != nil {
				return nil, err
			}
		case listValue:
			l, err := c.leaf(path, m)
			if err != nil {
				return nil, err
			}
			if err := c.spend(len(alternatives), m.pos); err != nil {
				return nil, err
			}
			for _, a := range alternatives {
				a[path] = l
			}
		default:
			return nil, m.val.errorf("%q must be an object or an array of values, not %s: write [%s]", m.key, m.val.kind, label("", m.val)[len(`"": `):])
		}
	}
	return alternatives, nil
}

// spend counts the tests of all alternatives.
func (c *compiler) spend(n int, pos matcher.Pos) error {
	if c.leaves += n; c.leaves > maxLeaves {
		return errorAt(pos, "the combinations of $or have more than %d tests together", maxLeaves)
	}
	return nil
}

// or multiplies the alternatives by the branches of a $or.
func (c *compiler) or(alternatives []alternative, prefix string, m member) ([]alternative, error) {
	v := m.val
	if v.kind != listValue {
		return nil, v.errorf("$or must be an array of objects, not %s", v.kind)
	}
	if len(v.items) < 2 {
		return nil, v.errorf("$or must have at least 2 objects, not %d", len(v.items))
	}
	var out []alternative
	for _, branch := range v.items {
		if branch.kind != objectValue {
			return nil, branch.errorf("$or may hold objects only, not %s", branch.kind)
		}
		if len(out)+len(alternatives) > MaxCombinations {
			return nil, errorAt(m.pos, "more than %d combinations of $or branches", MaxCombinations)
		}
		copies := make([]alternative, len(alternatives))
		for i, a := range alternatives {
			if err := c.spend(len(a), m.pos); err != nil {
				return nil, err
			}
			copies[i] = maps.Clone(a)
		}
		more, err := c.object(copies, prefix, branch, true)
		if err != nil {
			return nil, err
		}
		if out = append(out, more...); len(out) > MaxCombinations {
			return nil, errorAt(m.pos, "more than %d combinations of $or branches", MaxCombinations)
		}
	}
	return out, nil
}

// reserved are the names that cannot be fields inside $or.
// Semantics: aws/event-ruler, reserved words of $or.
var reserved = []string{
	"exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
	"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
	"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
	"ip-address-in-range", "ip-address-not-in-range",
}

// leaf reads the values of a field.
func (c *compiler) leaf(path string, m member) (*leaf, error) {
	v := m.val
	if len(v.items) == 0 {
		return nil, v.errorf("an empty array is not allowed in a pattern: to match null write [null], to match any value [{\"exists\": true}]")
	}
	if c.values += len(v.items); c.values > MaxValues {
		return nil, v.errorf("more than %d values in one pattern", MaxValues)
	}
	l := &leaf{path: path, note: matcher.Note{Label: label(path, v), Pos: m.pos}}
	if !slices.ContainsFunc(v.items, func(item *value) bool { return item.kind != textValue }) {
		for _, item := range v.items {
			l.literals = append(l.literals, item.text)
		}
	}
	ops, err := c.valuesOf(v.items, l)
	if err != nil {
		return nil, err
	}
	switch len(ops) {
	case 0:
	case 1:
		l.op = ops[0]
	default:
		l.op = matcher.OneOf(ops...)
	}
	return l, nil
}
