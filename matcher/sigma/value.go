package sigma

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// maxValue bounds the bytes of one value.
const maxValue = 64 << 10

// scalar is one value of a rule as text.
type scalar struct {
	node  *yaml.Node
	text  string
	plain bool // a number or a boolean: no wildcards in it
}

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	onlyDigits = regexp.MustCompile(`^0[0-9]+$`)
)

// scalar reads a value that is not null. Numbers and booleans are compared by
// their text, so they become text here.
func (r *reader) scalar(n *yaml.Node) (s scalar, ok bool) {
	s = scalar{node: n, text: n.Value}
	switch {
	case n.Kind != yaml.ScalarNode:
		r.errorf(n, "a value must be text, a number, true, false or null, not %s%s", kindOf(n), nestedHint(n))
		return s, false
	case len(n.Value) > maxValue:
		r.errorf(n, "a value of more than %d bytes", maxValue)
		return s, false
	}
	switch n.ShortTag() {
	case "!!bool":
		s.plain, s.text = true, strings.ToLower(n.Value)
	case "!!int", "!!float":
		s.plain = true
		if onlyDigits.MatchString(n.Value) {
			r.warnf(n, "%s is taken as it is written: quote it, YAML takes a number that begins with 0 for octal", clip(n.Value))
		} else if !jsonNumber.MatchString(n.Value) {
			var i int64
			var f float64
			if n.Decode(&i) == nil {
				s.text = strconv.FormatInt(i, 10)
			} else if n.Decode(&f) == nil {
				s.text = strconv.FormatFloat(f, 'g', -1, 64)
			}
		}
	}
	return s, true
}

func nestedHint(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		return ": a field inside another is written with a dot, as userIdentity.type"
	}
	return ""
}

// texts returns what the value stands for, placeholders expanded.
func (r *reader) expanded(c *chain, s scalar) ([]string, bool) {
	if !c.expand || s.plain {
		return []string{s.text}, true
	}
	return r.expand(s.node, s.text)
}

// patterns returns the patterns that one value stands for.
func (r *reader) patterns(c *chain, s scalar) (out []pattern, ok bool) {
	texts, ok := r.expanded(c, s)
	if !ok {
		return nil, false
	}
	for _, text := range texts {
		p := literalPattern(text)
		if !s.plain {
			p = matcher.ParseGlob(text, matcher.GlobSyntax{Question: true, Escape: true})
		}
		forms := []pattern{p}
		if c.windash {
			if len(text) > maxExpanded {
				ok = false
			} else {
				forms, ok = p.windash()
			}
			if !ok {
				r.errorf(s.node, "windash makes more than %d values of this one: write it with a wildcard for some dashes", maxAlternatives)
				return nil, false
			}
		}
		for _, name := range c.encode {
			var encoded []pattern
			for _, p := range forms {
				text, plain := p.literal()
				if !plain {
					r.errorf(s.node, "%s of a value with wildcards: escape * and ? with a backslash", name)
					return nil, false
				}
				for _, e := range encode(name, text) {
					encoded = append(encoded, literalPattern(e))
				}
			}
			forms = encoded
		}
		if len(forms) == 0 {
			r.errorf(s.node, "the value is too short for %s: nothing of it shows in all positions", c.encode[len(c.encode)-1])
			return nil, false
		}
		if out = append(out, forms...); len(out) > maxAlternatives {
			r.errorf(s.node, "the value stands for more than %d others", maxAlternatives)
			return nil, false
		}
	}
	return out, true
}

// textOp returns the operator that holds for a text which one of patterns
// matches.
func textOp(k kind, fold bool, patterns []pattern) matcher.Op {
	var literals []string
	var globs [][]matcher.GlobToken
	run := matcher.GlobToken{Kind: matcher.GlobRun}
	for _, p := range patterns {
		if text, ok := p.literal(); ok {
			literals = append(literals, text)
			continue
		}
		g := slices.Clone(p)
		if k == contains || k == endswith {
			g = slices.Insert(g, 0, run)
		}
		if k == contains || k == startswith {
			g = append(g, run)
		}
		globs = append(globs, g)
	}
	var ops []matcher.Op
	if len(literals) > 0 {
		constructor := map[kind]func(bool, ...string) matcher.Op{
			equals: matcher.Equals, contains: matcher.Contains, startswith: matcher.HasPrefix, endswith: matcher.HasSuffix,
		}[k]
		ops = append(ops, constructor(fold, literals...))
	}
	if len(globs) > 0 {
		ops = append(ops, matcher.Wildcard(fold, globs...))
	}
	if len(ops) == 1 {
		return ops[0]
	}
	return matcher.OneOf(ops...)
}

// op returns the operator for one value, or several of which one must do.
func (r *reader) op(c *chain, values []scalar) (matcher.Op, bool) {
	switch c.kind {
	case re:
		return r.each(c, values, r.regex)
	case cidr:
		return r.cidrs(c, values)
	case number:
		return r.each(c, values, func(c *chain, n *yaml.Node, text string) (matcher.Op, error) {
			op, err := matcher.Compare(c.rel, text, true)
			if err != nil {
				return nil, fmt.Errorf("%s compares numbers: %w", c.names[slices.Index(c.names, relationName(c.rel))], err)
			}
			return op, nil
		})
	case datePart:
		return r.each(c, values, func(c *chain, n *yaml.Node, text string) (matcher.Op, error) {
			i, err := strconv.Atoi(text)
			if err != nil {
				return nil, fmt.Errorf("a part of a date is a whole number, not %s", kindOf(n))
			}
			return matcher.CompareDatePart(c.part, c.rel, i), nil
		})
	default:
		var all []pattern
		for _, s := range values {
			p, ok := r.patterns(c, s)
			if !ok {
				return nil, false
			}
			all = append(all, p...)
		}
		return textOp(c.kind, !c.cased, all), true
	}
}

func relationName(rel matcher.Relation) string {
	for name, r := range relations {
		if r == rel {
			return name
		}
	}
	return ""
}

// each makes an operator of every value; one of them must hold.
func (r *reader) each(c *chain, values []scalar, build func(*chain, *yaml.Node, string) (matcher.Op, error)) (matcher.Op, bool) {
	var ops []matcher.Op
	good := true
	for _, s := range values {
		texts, ok := r.expanded(c, s)
		good = good && ok
		for _, text := range texts {
			op, err := build(c, s.node, text)
			if err != nil {
				r.errorf(s.node, "%v", err)
				good = false
				continue
			}
			ops = append(ops, op)
		}
	}
	if len(ops) == 1 {
		return ops[0], good
	}
	return matcher.OneOf(ops...), good
}

func (r *reader) cidrs(c *chain, values []scalar) (matcher.Op, bool) {
	var prefixes []netip.Prefix
	good := true
	for _, s := range values {
		texts, ok := r.expanded(c, s)
		good = good && ok
		for _, text := range texts {
			p, err := netip.ParsePrefix(text)
			if addr, bad := netip.ParseAddr(text); bad == nil && addr.Zone() == "" {
				p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
			}
			if err != nil {
				r.errorf(s.node, "%q is not a network in CIDR notation, as 10.0.0.0/8 or 2001:db8::/32", clip(text))
				good = false
				continue
			}
			if p != p.Masked() {
				r.warnf(s.node, "%s has bits set beyond its length: it is read as %s", text, p.Masked())
			}
			prefixes = append(prefixes, p)
		}
	}
	return matcher.CIDR(prefixes...), good
}
