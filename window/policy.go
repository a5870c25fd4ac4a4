package window

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxN is the greatest Policy.N and the greatest Options.MaxMembers: a key that
// has to remember more is a mistake in the rule.
const MaxN = 65536

// Validate reports everything that is wrong with p, nil if nothing is.
func (p Policy) Validate() error {
	var errs []error
	switch p.Kind {
	case Absence:
	case Count, Distinct:
		if p.N < 1 || p.N > MaxN {
			errs = append(errs, fmt.Errorf("count %d is not between 1 and %d", p.N, MaxN))
		}
	case Together, InOrder:
		if p.N < 1 || p.N > MaxTags {
			errs = append(errs, fmt.Errorf("%d tags are not between 1 and %d", p.N, MaxTags))
		}
	case Sum:
		if p.Bounds.Set != HasMin || p.Bounds.Min < 1 {
			errs = append(errs, errors.New("a sum that fires at once has a least value above 0 and no other bound"))
		}
	case PeakCount, PeakDistinct, PeakTags, PeakSum, Average, Percentile:
		errs = append(errs, p.Bounds.validate())
		if p.Kind < PeakSum && p.Bounds.ceiling() > MaxN {
			errs = append(errs, fmt.Errorf("a count is compared with more than %d", MaxN))
		}
		if p.Kind == Percentile && (p.Percent < 1 || p.Percent > 100_00) {
			errs = append(errs, fmt.Errorf("percentile %d/100 is not above 0 and at most 100", p.Percent))
		}
	case Tumbling:
		errs = append(errs, p.tumbles())
	default:
		errs = append(errs, fmt.Errorf("unknown kind of policy %d", p.Kind))
	}
	if p.Depth > MaxDepth {
		errs = append(errs, fmt.Errorf("depth %d is more than %d", p.Depth, MaxDepth))
	}
	if p.Within <= 0 {
		errs = append(errs, fmt.Errorf("window %v is not positive", p.Within))
	}
	if p.Realert < 0 {
		errs = append(errs, fmt.Errorf("realert %v is negative", p.Realert))
	}
	return errors.Join(errs...)
}

// MaxTags is how many tags a set holds. MaxDepth is the greatest Policy.Depth.
const (
	MaxTags  = 64
	MaxDepth = 100
)

// valued says that the value of each match is kept.
func (p *Policy) valued() bool {
	const kinds = 1<<Distinct | 1<<Together | 1<<InOrder | 1<<Sum |
		1<<PeakDistinct | 1<<PeakTags | 1<<PeakSum | 1<<Average | 1<<Percentile
	return kinds>>p.Kind&1 != 0
}

// tagged says that values are sets of tags.
func (p *Policy) tagged() bool {
	return p.Kind == Together || p.Kind == InOrder || p.Kind == PeakTags
}

// peaks says that a chain is judged when it ends.
func (p *Policy) peaks() bool { return p.Kind >= PeakCount && p.Kind <= PeakSum }

// trailing says that the span before each match is judged.
func (p *Policy) trailing() bool { return p.Kind == Average || p.Kind == Percentile }

// live says that silence counts: the key is due only while the source is
// connected and read to its end, and it is not evicted for idleness.
func (p *Policy) live() bool {
	return p.Kind == Absence || p.Kind == Tumbling && (p.Under || p.Missing == Breaching)
}

// behind is the watermark w as keys of p know it.
func (p *Policy) behind(w int64) int64 {
	if p.Depth == 0 {
		return w
	}
	return max(w, math.MinInt64+int64(p.Depth)) - int64(p.Depth)
}

// delay is when the watermark has to pass for what keys of p do after t.
func (p *Policy) delay(t int64) int64 { return after(t, time.Duration(p.Depth)) }

// apart says whether b is more than w after a. a must not be after b. The
// difference is taken unsigned: it cannot overflow.
func apart(a, b int64, w time.Duration) bool {
	return uint64(b)-uint64(a) > uint64(w)
}

// over says whether watermark w has passed t by more than d.
func over(w, t int64, d time.Duration) bool {
	return w > t && apart(t, w, d)
}

// after is t + d, or the end of time.
func after(t int64, d time.Duration) int64 {
	if t > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return t + int64(d)
}
