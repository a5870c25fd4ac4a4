package matcher

import "slices"

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
	fold   bool
	values []string // sorted, distinct, folded if fold
	large  map[string]struct{}
}

// linearSet is the size up to which a set is searched by comparing.
const linearSet = 8

func newStringSet(fold bool, values []string) *stringSet {
	s := &stringSet{fold: fold, values: canonical(fold, values)}
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
	kind   affixKind
	fold   bool
	values []string // sorted, distinct, folded if fold
}

func newAffix(kind affixKind, fold bool, values []string) *affix {
	return &affix{kind: kind, fold: fold, values: canonical(fold, values)}
}

// canonical returns values folded if so asked, sorted and distinct.
func canonical(fold bool, values []string) []string {
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
func CompareText(rel Relation, value string) Op { return &textCompare{rel, value} }

type textCompare struct {
	rel   Relation
	value string
}

func (*stringSet) op()   {}
func (*affix) op()       {}
func (*textCompare) op() {}
