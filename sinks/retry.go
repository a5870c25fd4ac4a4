package sinks

import (
	"errors"
	"math/rand/v2"
	"time"
)

// RetryPolicy says how often and how long a failed alert is tried again:
// exponential backoff with full jitter. Zero fields are the defaults.
type RetryPolicy struct {
	// Initial is the upper bound of the first pause; it doubles with each
	// attempt. Default 1 s.
	Initial time.Duration
	// Max bounds a pause. Default 1 min.
	Max time.Duration
	// MaxElapsed is how long after its first attempt an alert may still be tried
	// again. Default 1 h; negative: for ever.
	MaxElapsed time.Duration
	// MaxAttempts bounds the attempts, the first one counted. Default 0: only
	// MaxElapsed bounds them.
	MaxAttempts int
	// MaxSingle bounds the attempts of an alert that fails while the sink takes
	// others: the fault is with the alert, and nothing must wait an hour for it.
	// Attempts after which the receiver asked to be left alone are not counted.
	// Default 10; negative: no such bound.
	MaxSingle int
	// MaxRetryAfter bounds the pause that a receiver may ask for. Default 5 min.
	MaxRetryAfter time.Duration
}

// WithDefaults returns p with its zero fields set.
func (p RetryPolicy) WithDefaults() RetryPolicy {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&p.Initial, time.Second)
	set(&p.Max, time.Minute)
	set(&p.MaxElapsed, time.Hour)
	set(&p.MaxRetryAfter, 5*time.Minute)
	if p.MaxSingle == 0 {
		p.MaxSingle = 10
	}
	return p
}

// Validate reports what is out of range, all at once.
func (p RetryPolicy) Validate() error {
	d := p.WithDefaults()
	var errs []error
	if d.Initial < 0 {
		errs = append(errs, errors.New("initial must not be negative"))
	}
	if d.Max < d.Initial {
		errs = append(errs, errors.New("max must not be less than initial"))
	}
	if d.MaxRetryAfter < 0 {
		errs = append(errs, errors.New("max_retry_after must not be negative"))
	}
	if d.MaxAttempts < 0 {
		errs = append(errs, errors.New("max_attempts must not be negative"))
	}
	return errors.Join(errs...)
}

// Pause returns how long to wait after the given attempt (1 is the first)
// failed with err: a random time below the exponential bound, and what the
// receiver asked for on top of it, so that many senders do not come back in
// the same instant. random yields numbers in [0, 1).
func (p RetryPolicy) Pause(attempt int, err error, random func() float64) time.Duration {
	p = p.WithDefaults()
	bound := p.Max
	if shift := attempt - 1; shift < 32 && p.Initial <= p.Max>>shift {
		bound = p.Initial << shift
	}
	if random == nil {
		random = rand.Float64
	}
	pause := time.Duration(random() * float64(bound))
	var wish *RetryAfterError
	if errors.As(err, &wish) {
		pause += min(wish.After, p.MaxRetryAfter)
	}
	return pause
}

// GiveUp reports whether an alert that has failed so often is not tried again,
// and why. elapsed runs from its first attempt to the end of the coming pause;
// single is how many of its attempts failed while the sink took others.
func (p RetryPolicy) GiveUp(attempts, single int, elapsed time.Duration, err error) (reason string, done bool) {
	p = p.WithDefaults()
	switch {
	case IsPermanent(err):
		return "permanent", true
	case p.MaxAttempts > 0 && attempts >= p.MaxAttempts:
		return "attempts used up", true
	case p.MaxSingle > 0 && single >= p.MaxSingle:
		return "fails alone", true
	case p.MaxElapsed >= 0 && elapsed > p.MaxElapsed:
		return "time used up", true
	}
	return "", false
}
