package matcher

import (
	"bytes"
	"slices"
)

// Equals holds for a string that is one of values; with fold, ignoring case
// (Unicode simple folding).
func Equals(fold bool, values ...string) Op { return newStringSet(fold, values) }

// HasPrefix holds for a string that begins with one of values.
func HasPrefix(fold bool, values ...string) Op { return newAffix(prefix, fold, values) }

// HasSuffix holds for a string that ends with one of values.
func HasSuffix(fold bool, values ...string) Op { return newAffix(suffix, fold, values) }

// Contains holds for a string in which one of values occurs.
func Contains(fold bool, values ...string) Op { return newAffix(infix, fold, values) }

type stringSet struct {
	onText
	fold   bool
	values []string // sorted, distinct, folded if fold
	large  map[string]struct{}
}

// linearSet is the size up to which a set is searched by comparing.
const linearSet = 8

func newStringSet(fold bool, values []string) *stringSet {
	s := &stringSet{fold: fold, values: canonicalTexts(fold, values)}
	if len(s.values) > linearSet {
		s.large = make(map[string]struct{}, len(s.values))
		for _, v := range s.values {
			s.large[v] = struct{}{}
		}
	}
	return s
}

type affixKind uint8

const (
	prefix affixKind = iota
	suffix
	infix
)

type affix struct {
	onText
	kind   affixKind
	fold   bool
	values []string // sorted, distinct, folded if fold
}

func newAffix(kind affixKind, fold bool, values []string) *affix {
	return &affix{kind: kind, fold: fold, values: canonicalTexts(fold, values)}
}

// canonicalTexts returns values folded if so asked, sorted and distinct.
func canonicalTexts(fold bool, values []string) []string {
	out := slices.Clone(values)
	if fold {
		for i, v := range out {
			out[i] = Fold(v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// CompareText holds for a string that stands in the relation to value, compared
// byte by byte.
func CompareText(rel Relation, value string) Op { return &textCompare{rel: rel, value: value} }

type textCompare struct {
	onText
	rel   Relation
	value string
}

// onText are the traits of the operators that look at a text.
type onText struct{}

func (onText) whole() bool   { return false }
func (onText) textual() bool { return true }

func (s *stringSet) eval(e *evaluator) bool {
	if !e.cur.isText {
		return false
	}
	if s.fold && s.large == nil && !e.cur.isFolded && isASCII(e.cur.text) {
		for _, v := range s.values {
			if foldsTo(e.cur.text, v) {
				return true
			}
		}
		return false
	}
	text := e.text(s.fold)
	if s.large != nil {
		_, ok := s.large[string(text)]
		return ok
	}
	for _, v := range s.values {
		if string(text) == v {
			return true
		}
	}
	return false
}

func (a *affix) eval(e *evaluator) bool {
	if !e.cur.isText {
		return false
	}
	if a.fold && a.kind != infix && !e.cur.isFolded && isASCII(e.cur.text) {
		text := e.cur.text
		for _, v := range a.values {
			if n := len(text) - len(v); n >= 0 && (a.kind == prefix && foldsTo(text[:len(v)], v) || a.kind == suffix && foldsTo(text[n:], v)) {
				return true
			}
		}
		return false
	}
	text := e.text(a.fold)
	for _, v := range a.values {
		switch {
		case len(v) > len(text):
		case a.kind == prefix && string(text[:len(v)]) == v,
			a.kind == suffix && string(text[len(text)-len(v):]) == v,
			a.kind == infix && bytes.Contains(text, v2b(v)):
			return true
		}
	}
	return false
}

func (c *textCompare) eval(e *evaluator) bool {
	return e.cur.isText && c.rel.holds(bytes.Compare(e.cur.text, v2b(c.value)))
}

func (s *stringSet) canon(dst []byte) []byte { return canonTexts(dst, "equals", s.fold, s.values) }

func (a *affix) canon(dst []byte) []byte {
	return canonTexts(dst, affixWords[a.kind], a.fold, a.values)
}

func (c *textCompare) canon(dst []byte) []byte {
	return canonTexts(dst, "text"+c.rel.String(), false, []string{c.value})
}

var affixWords = [...]string{prefix: "begins with", suffix: "ends with", infix: "contains"}

func (s *stringSet) words() string   { return textWords("is", s.fold, s.values) }
func (a *affix) words() string       { return textWords(affixWords[a.kind], a.fold, a.values) }
func (c *textCompare) words() string { return textWords(c.rel.String(), false, []string{c.value}) }
