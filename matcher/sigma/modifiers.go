package sigma

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/matcher"
)

// kind is how a value is compared.
type kind uint8

const (
	equals kind = iota
	contains
	startswith
	endswith
	re
	cidr
	exists
	number   // lt, lte, gt, gte
	datePart // minute … year, perhaps with a relation
)

// chain is what the modifiers of one field say.
type chain struct {
	kind     kind
	rel      matcher.Relation // of number and datePart
	part     matcher.DatePart
	fieldref bool // with equals, contains, startswith, endswith
	cased    bool
	all      bool
	neq      bool
	expand   bool
	windash  bool
	encode   []string // utf16…, base64… in order
	flags    string   // of re
	names    []string // as written, for messages
}

// modifierNames are all modifiers, and what each is.
var modifierNames = []string{
	"contains", "startswith", "endswith", "all", "re", "i", "m", "s", "cased", "cidr", "exists", "fieldref",
	"expand", "base64", "base64offset", "utf16", "utf16le", "utf16be", "wide", "windash",
	"lt", "lte", "gt", "gte", "neq", "minute", "hour", "day", "week", "month", "year",
}

var (
	textKinds = map[string]kind{"contains": contains, "startswith": startswith, "endswith": endswith}
	relations = map[string]matcher.Relation{"lt": matcher.LT, "lte": matcher.LE, "gt": matcher.GT, "gte": matcher.GE}
	dateParts = map[string]matcher.DatePart{
		"minute": matcher.Minute, "hour": matcher.Hour, "day": matcher.Day,
		"week": matcher.Week, "month": matcher.Month, "year": matcher.Year,
	}
)

// chain reads the modifiers that stand behind a field's name; at is the key.
// Modifiers apply from left to right; what cannot follow is refused.
func (r *reader) chain(at *yaml.Node, names []string) (c chain, ok bool) {
	refuse := func(i int, format string, args ...any) (chain, bool) {
		pos := *at
		pos.Column += strings.LastIndex(at.Value, "|"+strings.Join(names[i:], "|")) + 1
		if at.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			pos.Column++
		}
		r.errorf(&pos, format, args...)
		return c, false
	}
	typed := "" // the modifier that decided the kind
	for i, m := range names {
		if !slices.Contains(modifierNames, m) {
			return refuse(i, "unknown modifier %q, %s", clip(m), hint(m, modifierNames))
		}
		if slices.Contains(names[:i], m) {
			return refuse(i, "the modifier %s stands twice", m)
		}
		if k, is := textKinds[m]; is {
			if typed != "" && typed != "fieldref" {
				return refuse(i, "%s cannot follow %s: a value is compared in one way", m, typed)
			}
			if c.kind != equals {
				return refuse(i, "%s cannot stand beside another of contains, startswith, endswith", m)
			}
			c.kind, typed = k, m
			continue
		}
		if rel, is := relations[m]; is {
			if c.kind == datePart && c.rel == matcher.EQ {
				c.rel = rel
				continue
			}
			if typed != "" {
				return refuse(i, "%s cannot follow %s", m, typed)
			}
			c.kind, c.rel, typed = number, rel, m
			continue
		}
		if part, is := dateParts[m]; is {
			if typed != "" {
				return refuse(i, "%s cannot follow %s: it is the first modifier, as in eventTime|%s|gte", m, typed, m)
			}
			c.kind, c.part, c.rel, typed = datePart, part, matcher.EQ, m
			continue
		}
		switch m {
		case "all":
			c.all = true
		case "cased":
			c.cased = true
		case "neq":
			c.neq = true
		case "re", "cidr", "exists":
			if typed != "" {
				return refuse(i, "%s cannot follow %s: a value is compared in one way", m, typed)
			}
			c.kind, typed = map[string]kind{"re": re, "cidr": cidr, "exists": exists}[m], m
		case "i", "m", "s":
			if c.kind != re {
				return refuse(i, "%s is a part of re: write re|%s", m, m)
			}
			c.flags += m
		case "fieldref":
			if typed != "" && c.kind > endswith {
				return refuse(i, "fieldref cannot follow %s", typed)
			}
			c.fieldref = true
			if typed == "" {
				typed = m
			}
		case "expand":
			if len(c.encode) > 0 {
				return refuse(i, "expand must stand before %s: placeholders are not found in encoded text", c.encode[0])
			}
			c.expand = true
		case "windash":
			if len(c.encode) > 0 {
				return refuse(i, "windash must stand before %s: encoded text has no dashes to exchange", c.encode[0])
			}
			c.windash = true
		default: // encodings
			if typed != "" {
				return refuse(i, "%s must stand before %s: modifiers apply from left to right", m, typed)
			}
			for _, before := range c.encode {
				if strings.HasPrefix(before, "base64") || !strings.HasPrefix(m, "base64") {
					return refuse(i, "%s cannot follow %s", m, before)
				}
			}
			c.encode = append(c.encode, m)
		}
	}
	c.names = names
	if i, why := c.conflict(); i >= 0 {
		return refuse(i, "%s", why)
	}
	return c, true
}

// conflict returns the place of the modifier that does not go with the others,
// and why; -1 if there is none.
func (c *chain) conflict() (int, string) {
	at := func(name string) int { return slices.Index(c.names, name) }
	text := c.kind <= endswith
	switch {
	case c.fieldref && (c.expand || c.windash || len(c.encode) > 0):
		return at("fieldref"), "fieldref names a field: expand, windash and encodings cannot change it"
	case !text && len(c.encode) > 0:
		return at(c.encode[0]), "encodings are for text that is compared: they go with contains, startswith and endswith"
	case !text && c.windash:
		return at("windash"), "windash is for text that is compared: it goes with contains, startswith and endswith"
	case c.cased && c.kind == re:
		return at("cased"), "re distinguishes case already (re|i ignores it)"
	case c.cased && !text:
		return at("cased"), "cased is for text that is compared"
	case c.kind == exists && len(c.names) > 1:
		return at("exists"), "exists goes with no other modifier"
	case c.neq && c.all:
		return at("neq"), "neq differs from all values already: leave out all"
	case c.neq && (c.kind == number || c.kind == datePart && c.rel != matcher.EQ):
		return at("neq"), "neq beside lt, lte, gt or gte: write the opposite relation"
	case c.all && c.kind == datePart:
		return at("all"), "all: a date has one value of each part"
	}
	return -1, ""
}
