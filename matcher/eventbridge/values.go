package eventbridge

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// valuesOf returns the tests of which one must hold; "exists": false goes into l.
func (c *compiler) valuesOf(items []*value, l *leaf) ([]matcher.Op, error) {
	var ops []matcher.Op
	var texts []string
	var addresses []netip.Prefix
	for _, item := range items {
		switch item.kind {
		case textValue:
			if a, ok := matcher.ParseLooseAddr(item.text); ok {
				addresses = append(addresses, netip.PrefixFrom(a, a.BitLen()))
			} else {
				texts = append(texts, item.text)
			}
		case numberValue:
			op, err := matcher.Compare(matcher.EQ, item.text, false)
			if err != nil {
				return nil, item.errorf("%v", err)
			}
			ops = append(ops, op)
		case boolValue:
			ops = append(ops, matcher.IsBool(item.text == "true"))
		case nullValue:
			ops = append(ops, matcher.IsNull())
		case objectValue:
			op, absent, err := c.expression(item)
			if err != nil {
				return nil, err
			}
			if l.absent = l.absent || absent; op != nil {
				ops = append(ops, op)
			}
		default:
			return nil, item.errorf("a value must be a string, a number, true, false, null or an operator such as {\"prefix\": \"…\"}, not %s", item.kind)
		}
	}
	if len(texts) > 0 {
		ops = append([]matcher.Op{matcher.Equals(false, texts...)}, ops...)
	}
	if len(addresses) > 0 {
		ops = append(ops, matcher.LooseCIDR(addresses...))
	}
	return ops, nil
}

var operators = []string{"prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "cidr", "exists", "exactly"}

// only returns the one member of an operator's object.
func only(v *value, what string, valid []string) (member, error) {
	if len(v.members) == 0 {
		return member{}, v.errorf("%s is empty: one of %s is expected", what, strings.Join(valid, ", "))
	}
	m := v.members[0]
	if !slices.Contains(valid, m.key) {
		return m, errorAt(m.pos, "unknown operator %q in %s: %s", m.key, what, hint(m.key, valid))
	}
	if len(v.members) > 1 {
		return m, errorAt(v.members[1].pos, "only one key is allowed in %s: %q is beside %q", what, v.members[1].key, m.key)
	}
	return m, nil
}

// expression reads an operator's object. absent says that it is {"exists": false}.
func (c *compiler) expression(v *value) (op matcher.Op, absent bool, err error) {
	m, err := only(v, "a match expression", operators)
	if err != nil {
		return nil, false, err
	}
	switch m.key {
	case "exists":
		if m.val.kind != boolValue {
			return nil, false, m.val.errorf("exists must be true or false, not %s", m.val.kind)
		}
		if m.val.text == "false" {
			return nil, true, nil
		}
		return matcher.Exists(), false, nil
	case "prefix", "suffix":
		op, err = affix(m)
	case "anything-but":
		op, err = c.anythingBut(m.val)
	case "numeric":
		op, err = c.numeric(m.val)
	default:
		if m.val.kind != textValue {
			return nil, false, m.val.errorf("%s must be a string, not %s", m.key, m.val.kind)
		}
		op, err = textOperator(m)
	}
	return op, false, err
}

func textOperator(m member) (matcher.Op, error) {
	switch m.key {
	case "exactly":
		return matcher.Equals(false, m.val.text), nil
	case "equals-ignore-case":
		return matcher.Equals(true, m.val.text), nil
	case "wildcard":
		return wildcard(m.val)
	default:
		return cidr(m.val)
	}
}

func affixOp(key string, fold bool, texts ...string) matcher.Op {
	if key == "prefix" {
		return matcher.HasPrefix(fold, texts...)
	}
	return matcher.HasSuffix(fold, texts...)
}

// affix reads prefix and suffix: a string, or {"equals-ignore-case": string}.
func affix(m member) (matcher.Op, error) {
	switch m.val.kind {
	case textValue:
		return affixOp(m.key, false, m.val.text), nil
	case objectValue:
		inner, err := only(m.val, m.key, []string{"equals-ignore-case"})
		if err != nil {
			return nil, err
		}
		if inner.val.kind != textValue {
			return nil, inner.val.errorf("equals-ignore-case must be a string, not %s", inner.val.kind)
		}
		return affixOp(m.key, true, inner.val.text), nil
	default:
		return nil, m.val.errorf("%s must be a string or {\"equals-ignore-case\": \"…\"}, not %s", m.key, m.val.kind)
	}
}

// wildcard reads a wildcard pattern: * is any run, \* and \\ are those characters.
func wildcard(v *value) (matcher.Op, error) {
	tokens, err := glob(v)
	if err != nil {
		return nil, err
	}
	return matcher.Wildcard(false, tokens), nil
}

func glob(v *value) ([]matcher.GlobToken, error) {
	for i := 0; i < len(v.text); i++ {
		switch v.text[i] {
		case '\\':
			i++
			if i == len(v.text) || v.text[i] != '*' && v.text[i] != '\\' {
				return nil, v.errorf("an invalid escape in the wildcard pattern %q: only \\* and \\\\ are allowed (in JSON written \\\\* and \\\\\\\\)", clip(v.text))
			}
		case '*':
			if i+1 < len(v.text) && v.text[i+1] == '*' {
				return nil, v.errorf("two wildcards in a row in %q: one * stands for any run", clip(v.text))
			}
		}
	}
	return matcher.ParseGlob(v.text, matcher.GlobSyntax{Escape: true}), nil
}

var anythingButOperators = []string{"prefix", "suffix", "equals-ignore-case", "wildcard"}

// anythingBut reads what a value must not be: a scalar, a list of one type, or
// an operator with a string or a list of strings.
func (c *compiler) anythingBut(v *value) (matcher.Op, error) {
	if v.kind == objectValue {
		m, err := only(v, "anything-but", anythingButOperators)
		if err != nil {
			return nil, err
		}
		return c.anythingButOperator(m)
	}
	items, err := c.oneOrMore(v, "anything-but")
	if err != nil {
		return nil, err
	}
	var texts []string
	var numbers []matcher.Op
	for _, item := range items {
		switch item.kind {
		case textValue:
			texts = append(texts, item.text)
		case numberValue:
			op, err := compare(matcher.EQ, item)
			if err != nil {
				return nil, err
			}
			numbers = append(numbers, op)
		default:
			return nil, item.errorf("anything-but may hold strings or numbers, not %s", item.kind)
		}
		if len(texts) > 0 && len(numbers) > 0 {
			return nil, item.errorf("anything-but may hold strings or numbers, not both")
		}
	}
	if len(texts) > 0 {
		return matcher.Neither(matcher.Equals(false, texts...)), nil
	}
	return matcher.Neither(numbers...), nil
}

func (c *compiler) anythingButOperator(m member) (matcher.Op, error) {
	items, err := c.oneOrMore(m.val, m.key)
	if err != nil {
		return nil, err
	}
	var texts []string
	var globs [][]matcher.GlobToken
	for _, item := range items {
		if item.kind != textValue {
			return nil, item.errorf("%s must be a string or an array of strings, not %s", m.key, item.kind)
		}
		switch m.key {
		case "wildcard":
			tokens, err := glob(item)
			if err != nil {
				return nil, err
			}
			globs = append(globs, tokens)
		case "prefix", "suffix":
			if item.text == "" {
				return nil, item.errorf("an empty %s in anything-but would exclude every string", m.key)
			}
		}
		texts = append(texts, item.text)
	}
	switch m.key {
	case "wildcard":
		return matcher.Neither(matcher.Wildcard(false, globs...)), nil
	case "equals-ignore-case":
		return matcher.Neither(matcher.Equals(true, texts...)), nil
	default:
		return matcher.Neither(affixOp(m.key, false, texts...)), nil
	}
}

// oneOrMore returns the items of a list that must not be empty, or v itself.
func (c *compiler) oneOrMore(v *value, what string) ([]*value, error) {
	if v.kind != listValue {
		return []*value{v}, nil
	}
	if len(v.items) == 0 {
		return nil, v.errorf("the array of %s is empty", what)
	}
	if c.values += len(v.items); c.values > MaxValues {
		return nil, v.errorf("more than %d values in one pattern", MaxValues)
	}
	return v.items, nil
}
