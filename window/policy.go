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
	if p.Kind <= Absence && p.Within > 0 && p.Realert >= 0 && (p.Kind == Absence || p.N >= 1 && p.N <= MaxN) {
		return nil
	}
	var errs []error
	if p.Kind > Absence {
		errs = append(errs, fmt.Errorf("unknown kind of policy %d", p.Kind))
	}
	if p.Kind < Absence && (p.N < 1 || p.N > MaxN) {
		errs = append(errs, fmt.Errorf("count %d is not between 1 and %d", p.N, MaxN))
	}
	if p.Within <= 0 {
		errs = append(errs, fmt.Errorf("window %v is not positive", p.Within))
	}
	if p.Realert < 0 {
		errs = append(errs, fmt.Errorf("realert %v is negative", p.Realert))
	}
	return errors.Join(errs...)
}

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
