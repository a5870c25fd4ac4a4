package lint

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/vocabulary"
)

// Kind says what a Finding is about.
type Kind string

// The kinds. Dead says of which the rule can never match.
const (
	UnknownEvent     Kind = "unknown-event"      // no name that the rule asks for is one of CloudTrail
	UnknownSource    Kind = "unknown-source"     // no event source that the rule asks for is one of CloudTrail
	NotOfSource      Kind = "not-of-source"      // the event source has no event of that name
	UnknownField     Kind = "unknown-field"      // the field is in no record
	Contradiction    Kind = "contradiction"      // conditions exclude one another
	PartialName      Kind = "partial-name"       // names lack a word that the names of a service have
	MisspeltEvent    Kind = "misspelt-event"     // one of several names looks misspelt
	MisspeltField    Kind = "misspelt-parameter" // a parameter of requests looks misspelt
	Duplicate        Kind = "duplicate"          // another rule has the same condition
	Shadowed         Kind = "shadowed"           // another rule alerts whenever this one does
	SuppressedWhole  Kind = "suppressed"         // a suppression holds whenever the rule does
	Unindexed        Kind = "unindexed"          // every event is evaluated
	ExcludedByItself Kind = "never"              // a condition that holds for no event
)

// Dead says that a rule of the finding never matches what it was meant for, or
// never tells anybody.
func (k Kind) Dead() bool {
	switch k {
	case MisspeltEvent, MisspeltField, Duplicate, Shadowed, Unindexed:
		return false
	default:
		return true
	}
}

// Finding is one remark on a rule.
type Finding struct {
	Pos  matcher.Pos // of the condition where it is known, else of the rule
	Rule string      // its ID
	Kind Kind
	Msg  string // without place and rule
}

// String returns the finding on one line, as warnings are printed.
func (f Finding) String() string {
	if at := f.Pos.String(); at != "" {
		return fmt.Sprintf("%s: rule %s: %s", at, f.Rule, f.Msg)
	}
	return fmt.Sprintf("rule %s: %s", f.Rule, f.Msg)
}

// Check looks at rules, each with its own suppressions, and at global ones. A nil
// vocabulary is the default one. The findings are in the order of the rules.
// Rules that are switched off are looked at by themselves, not beside others.
func Check(rules []*matcher.Rule, global []*matcher.Suppression, v *vocabulary.Vocabulary) []Finding {
	if v == nil {
		v = vocabulary.Default()
	}
	c := &checker{words: v, names: map[string][]string{}}
	rank := make(map[string]int, len(rules))
	for i, r := range rules {
		rank[r.ID] = i
		if r.Cond == nil {
			continue
		}
		c.rule = r
		c.alive()
		c.spelling()
		if !matcher.Indexed(r.Cond) && !c.dead {
			c.add(r.Pos, Unindexed, "no index can serve it, so that every event is parsed for it; name events, or a field that must have one of a few values")
		}
		c.suppressed(global)
	}
	c.compare(rules)
	slices.SortStableFunc(c.findings, func(a, b Finding) int { return cmp.Compare(rank[a.Rule], rank[b.Rule]) })
	return c.findings
}

type checker struct {
	words    *vocabulary.Vocabulary
	probe    matcher.Probe
	findings []Finding

	rule *matcher.Rule
	dead bool
	work int // literals looked at for the rule

	names map[string][]string // event names that satisfy an operator, by its canonical text
}

func (c *checker) add(pos matcher.Pos, kind Kind, format string, args ...any) {
	if pos.Line == 0 {
		pos = c.rule.Pos
	}
	c.findings = append(c.findings, Finding{Pos: pos, Rule: c.rule.ID, Kind: kind, Msg: fmt.Sprintf(format, args...)})
}

// alive reports the rule if no event can satisfy its condition.
func (c *checker) alive() {
	c.work, c.dead = 0, false
	if why := c.impossible(c.rule.Cond, false, nil); why != nil {
		c.dead = why.kind.Dead()
		c.add(why.pos, why.kind, "%s", why.msg)
	}
}
