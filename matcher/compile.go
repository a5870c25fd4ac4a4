package matcher

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// String returns the place as FILE:LINE:COL; parts that are not known are left
// out.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
	}
}

// at prefixes an error with the place, if it is known.
func (p Pos) at(format string, args ...any) error {
	if s := p.String(); s != "" {
		return fmt.Errorf("%s: "+format, append([]any{s}, args...)...)
	}
	return fmt.Errorf(format, args...)
}

// Compile sets Rule.Hash and Suppression.OnKey, which belong to it, and builds
// the index; the rules must not change from then on. All errors are joined,
// each with file, line and column. Rules that are not Enabled are kept for show
// and never match.
func Compile(rules []*Rule, o Options) (*Ruleset, error) {
	var errs []error
	byID := make(map[string]*Rule, len(rules))
	for _, r := range rules {
		if first, ok := byID[r.ID]; ok {
			errs = append(errs, r.Pos.at("rule %s is already defined at %s", r.ID, first.Pos))
			continue
		}
		byID[r.ID] = r
		errs = append(errs, r.check()...)
		if err := o.checkEnrichment(r.Cond); err != nil {
			errs = append(errs, r.Pos.at("rule %s: %w", r.ID, err))
		}
		for _, s := range r.Suppress {
			if err := o.checkEnrichment(s.Cond); err != nil {
				errs = append(errs, s.Pos.at("a suppression of rule %s: %w", r.ID, err))
			}
		}
	}
	for _, s := range o.Suppress {
		if s.Cond == nil {
			errs = append(errs, s.Pos.at("a suppression without a condition"))
		}
		if err := o.checkEnrichment(s.Cond); err != nil {
			errs = append(errs, s.Pos.at("a suppression: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	correlations, err := correlationRules(o.Correlations, byID)
	if err != nil {
		return nil, err
	}
	rs := &Ruleset{rules: slices.Concat(rules, correlations), byID: byID, enrich: o.Enrich}
	slices.SortFunc(rs.rules, func(a, b *Rule) int { return cmp.Compare(a.ID, b.ID) })
	global := newGlobalSuppressions(o.Suppress)
	rs.suppress = make([][]*Suppression, len(rs.rules))
	for i, r := range rs.rules {
		if h := r.hash(); r.Hash != h {
			r.Hash = h
		}
		rs.suppress[i] = global.with(r)
	}
	rs.index = buildIndex(rs.connect(correlations))
	return rs, nil
}

// check returns what makes a rule unfit.
func (r *Rule) check() (errs []error) {
	if r.Cond == nil {
		errs = append(errs, r.Pos.at("rule %s has no condition", r.ID))
	}
	if t := r.Threshold; t != nil && t.AbsentFor <= 0 && t.Correlation == nil && (t.Count < 1 && t.Tumbling == nil || t.Window <= 0) {
		errs = append(errs, r.Pos.at("rule %s: a threshold needs a count and a window, or absent_for", r.ID))
	}
	if t := r.Threshold; t != nil && t.Tumbling != nil {
		if err := t.Tumbling.check(t); err != nil {
			errs = append(errs, r.Pos.at("rule %s: %w", r.ID, err))
		}
	}
	for _, s := range r.Suppress {
		if s.Cond == nil {
			errs = append(errs, s.Pos.at("rule %s: a suppression without a condition", r.ID))
		}
	}
	return errs
}

// hash is Rule.Hash.
func (r *Rule) hash() uint64 {
	b := appendLengthed(nil, r.ID)
	b = r.Cond.canon(b)
	if t := r.Threshold; t != nil {
		b = binary.AppendVarint(append(b, 't'), int64(t.Count))
		b = binary.AppendVarint(b, int64(t.Window))
		b = binary.AppendVarint(b, int64(t.AbsentFor))
		b = binary.AppendVarint(b, int64(t.Realert))
		b = appendLengthed(b, strings.Join(t.Distinct, "\x00"))
		if x := t.Tumbling; x != nil {
			b = fmt.Appendf(b, "tumbling %v", *x)
		}
		if t.Correlation != nil {
			b = canonCorrelation(b, t.Correlation)
		}
		for _, p := range t.GroupBy {
			b = appendLengthed(b, strings.Join(p, "\x00"))
		}
	}
	return xxhash.Sum64(b)
}

// appendLengthed appends s behind its length.
func appendLengthed[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
