package matcher

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of Tumbling: all periods together, and the count that they are
// compared with.
const (
	maxTumbling = 31 * 24 * time.Hour
	maxPeriods  = 10_080
)

// check says what is wrong with a threshold that tumbles.
func (x *Tumbling) check(t *Threshold) error {
	var errs []error
	if t.Count < 0 || t.Count > maxCorrelated {
		errs = append(errs, fmt.Errorf("a datapoint is compared with %d, not 0 to %d", t.Count, maxCorrelated))
	}
	if x.Periods < 1 || x.Periods > maxPeriods || x.Points < 1 || x.Points > x.Periods {
		errs = append(errs, fmt.Errorf("%d of %d periods: at most %d are looked at", x.Points, x.Periods, maxPeriods))
	} else if t.Window > maxTumbling/time.Duration(x.Periods) {
		errs = append(errs, fmt.Errorf("%d periods of %v are longer than 31 days", x.Periods, t.Window))
	}
	return errors.Join(errs...)
}
