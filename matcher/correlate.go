package matcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// Bounds of what a correlation may ask.
const (
	maxTags        = 64
	maxCorrelated  = 65_536
	maxDepth       = 100
	maxCorrelation = 1_000 // members
)

// fed is a correlation that a rule without a threshold belongs to.
type fed struct {
	rule   int32 // of the correlation
	member *Member
	tag    int
}

// correlationRules checks the correlations and makes a rule of each. byID knows
// the others.
func correlationRules(list []*Correlation, byID map[string]*Rule) (rules []*Rule, err error) {
	var errs []error
	fail := func(c *Correlation, format string, args ...any) {
		errs = append(errs, c.Rule.Pos.at("correlation %s: %w", c.Rule.ID, fmt.Errorf(format, args...)))
	}
	byName := map[string]*Correlation{}
	for _, c := range list {
		if first, ok := byID[c.Rule.ID]; ok {
			fail(c, "the ID is already that of a rule at %s", first.Pos)
		} else if byName[c.Rule.ID] != nil {
			fail(c, "the ID is already that of the correlation at %s", byName[c.Rule.ID].Rule.Pos)
		}
		byName[c.Rule.ID] = c
		for _, e := range c.check() {
			fail(c, "%w", e)
		}
		for i := range c.Members {
			m := &c.Members[i]
			r, inner := byID[m.RuleID], byName[m.RuleID]
			if r == nil && inner == nil && !slices.ContainsFunc(list, func(o *Correlation) bool { return o.Rule.ID == m.RuleID }) {
				fail(c, "there is no rule %s", m.RuleID)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// Those whose members are all done come next; what is left goes round in circles.
	left := slices.Clone(list)
	for len(left) > 0 {
		var blocked []*Correlation
		for _, c := range left {
			if !c.ready(byID) {
				blocked = append(blocked, c)
				continue
			}
			for _, e := range c.complete(byID) {
				fail(c, "%w", e)
			}
			byID[c.Rule.ID] = c.Rule
			rules = append(rules, c.Rule)
		}
		if len(blocked) == len(left) {
			for _, c := range blocked {
				fail(c, "it refers to itself, through other correlations or directly")
			}
			break
		}
		left = blocked
	}
	return rules, errors.Join(errs...)
}

// check returns what is wrong with the correlation by itself.
func (c *Correlation) check() (errs []error) {
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Window <= 0 {
		fail("it needs a window")
	}
	if n := len(c.Members); n < 1 || n > maxCorrelation || c.Kind.Tagged() && n > maxTags {
		fail("%d rules are too many or too few", n)
	}
	if len(c.Bounds) == 0 {
		fail("it has no condition")
	}
	if c.Kind == PercentileOf && !(c.Percent >= 0.01 && c.Percent <= 100) {
		fail("the percentile must be from 0.01 to 100")
	}
	ids := map[string]bool{}
	for i := range c.Members {
		m := &c.Members[i]
		if len(m.GroupBy) != len(c.GroupBy) {
			fail("rule %s has %d group-by fields, the correlation %d", m.RuleID, len(m.GroupBy), len(c.GroupBy))
		}
		if ids[m.RuleID] && c.Kind.Tagged() {
			fail("rule %s stands in it twice", m.RuleID)
		}
		ids[m.RuleID] = true
		switch n := len(m.Fields); {
		case c.Kind == CountValues && n == 0, c.Kind.Numeric() && n != 1:
			fail("it has %d fields to take values from", n)
		case c.Kind != CountValues && !c.Kind.Numeric() && n > 0:
			fail("it takes no values")
		}
	}
	return append(errs, c.checkBounds()...)
}

func (c *Correlation) checkBounds() (errs []error) {
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	lower, upper, seen := false, false, map[BoundOp]bool{}
	for _, b := range c.Bounds {
		switch {
		case b.Op > NotEqualTo || math.IsNaN(b.Value) || math.Abs(b.Value) > greatestNumber/2/Scale:
			fail("the bound %v cannot be compared with", b.Value)
		case !c.Kind.Numeric() && (b.Value != math.Trunc(b.Value) || b.Value < 0 || b.Value > maxCorrelated):
			fail("a count is compared with %v, not a whole number from 0 to %d", b.Value, maxCorrelated)
		}
		lower = lower || b.Op == AtLeast || b.Op == MoreThan || b.Op == EqualTo || b.Op == NotEqualTo
		upper = upper || b.Op == AtMost || b.Op == LessThan
		if seen[b.Op] {
			fail("an operator stands in the condition twice")
		}
		seen[b.Op] = true
	}
	if upper && !lower && !c.Kind.Numeric() {
		fail("an upper bound alone cannot be seen where nothing happens: use absent_for, or add a lower bound")
	}
	if c.Kind == InOrder && len(errs) == 0 && c.least() != len(c.Members) {
		fail("an ordered correlation is of all its rules: its condition can only be that there are %d", len(c.Members))
	}
	if c.Kind == Together && c.Lower() && c.least() > len(c.Members) {
		fail("its condition wants more rules than it names")
	}
	return errs
}

// least is the least count that a condition with only lower bounds is satisfied
// by, -1 for other conditions.
func (c *Correlation) least() int {
	n := 1
	for _, b := range c.Bounds {
		switch b.Op {
		case AtLeast, EqualTo:
			n = max(n, int(b.Value))
		case MoreThan:
			n = max(n, int(b.Value)+1)
		default:
			return -1
		}
		if b.Op == EqualTo && c.Kind != InOrder {
			return -1
		}
	}
	return n
}

// Least is the least count that satisfies a condition that is Lower, at least 1.
func (c *Correlation) Least() int { return c.least() }

// ready says that all members are rules by now.
func (c *Correlation) ready(byID map[string]*Rule) bool {
	return !slices.ContainsFunc(c.Members, func(m Member) bool { return byID[m.RuleID] == nil })
}

// complete makes the correlation's rule whole, whose members are.
func (c *Correlation) complete(byID map[string]*Rule) (errs []error) {
	t := &Threshold{Correlation: c, Window: c.Window, Realert: c.Realert}
	for _, name := range c.GroupBy {
		t.GroupBy = append(t.GroupBy, strings.Split(name, "."))
	}
	any := &Or{Note: Note{Label: "any of the correlated rules", Pos: c.Rule.Pos}}
	c.depth = 0
	for i := range c.Members {
		m := &c.Members[i]
		r := byID[m.RuleID]
		any.Nodes = append(any.Nodes, r.Cond)
		if r.Threshold == nil {
			continue
		}
		depth := 1
		if r.correlates() {
			depth += r.Threshold.Correlation.depth
		}
		c.depth = max(c.depth, depth)
		if c.Kind.Numeric() {
			errs = append(errs, fmt.Errorf("rule %s counts itself: its firings have no numbers", r.ID))
		}
		for _, p := range slices.Concat(m.GroupBy, m.Fields) {
			if placeOf(r, p) < 0 {
				errs = append(errs, fmt.Errorf("rule %s is not grouped by %s: its firings do not have it", r.ID, pathName(p)))
			}
		}
	}
	if c.depth > maxDepth {
		errs = append(errs, fmt.Errorf("it stands on a chain of %d correlations, more than %d", c.depth, maxDepth))
	}
	c.Rule.Cond, c.Rule.Threshold = any, t
	return errs
}

// placeOf is where p stands among the group-by fields of r, -1 if it does not.
func placeOf(r *Rule, p cloudtrail.Path) int {
	return slices.IndexFunc(r.Threshold.GroupBy, func(g cloudtrail.Path) bool { return pathName(g) == pathName(p) })
}

// connect tells members which of the correlations they belong to: rules without
// a threshold by their hits, the others by their firings. It returns what is to
// be indexed: the correlations' own rules match through their members only.
func (rs *Ruleset) connect(correlations []*Rule) []*Rule {
	indexed := slices.Clone(rs.rules)
	place := make(map[string]int32, len(rs.rules))
	for i, r := range rs.rules {
		place[r.ID] = int32(i)
	}
	feeds := map[*Rule][]Feed{}
	rs.fed = make([][]fed, len(rs.rules))
	for i, r := range rs.rules {
		if !slices.Contains(correlations, r) {
			continue
		}
		indexed[i] = &Rule{ID: r.ID}
		if !r.Enabled {
			continue
		}
		c := r.Threshold.Correlation
		for tag := range c.Members {
			m := &c.Members[tag]
			at := place[m.RuleID]
			inner := rs.rules[at]
			if inner.Threshold == nil {
				rs.fed[at] = append(rs.fed[at], fed{rule: int32(i), member: m, tag: tag})
				continue
			}
			f := Feed{To: r, Tag: tag}
			for _, p := range m.GroupBy {
				f.Keys = append(f.Keys, placeOf(inner, p))
			}
			for _, p := range m.Fields {
				f.Fields = append(f.Fields, placeOf(inner, p))
			}
			feeds[inner] = append(feeds[inner], f)
		}
	}
	for _, r := range rs.rules {
		if len(r.feeds) > 0 || len(feeds[r]) > 0 {
			r.feeds = feeds[r]
		}
	}
	return indexed
}

// canonCorrelation appends what decides what a correlation counts.
func canonCorrelation(dst []byte, c *Correlation) []byte {
	dst = append(dst, 'c', byte(c.Kind))
	dst = binary.AppendUvarint(dst, math.Float64bits(c.Percent))
	for _, b := range c.Bounds {
		dst = binary.AppendUvarint(append(dst, byte(b.Op)), math.Float64bits(b.Value))
	}
	for i := range c.Members {
		m := &c.Members[i]
		dst = appendLengthed(dst, m.RuleID)
		for _, paths := range [][]cloudtrail.Path{m.GroupBy, m.Fields} {
			dst = binary.AppendUvarint(dst, uint64(len(paths)))
			for _, p := range paths {
				dst = appendLengthed(dst, strings.Join(p, "\x00"))
			}
		}
	}
	return dst
}
