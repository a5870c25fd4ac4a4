package sinks

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Permanent marks err: writing the same alert again cannot succeed. A nil err
// stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or an error that it wraps, was marked by
// Permanent.
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// ErrNotTried marks an alert of a batch that was not sent at all, because
// others failed before it: it does not count as an attempt.
var ErrNotTried = errors.New("not tried")

// RetryAfterError carries a receiver's wish to be left alone for a while.
type RetryAfterError struct {
	After time.Duration // from the moment the error was made; > 0
	Err   error
}

func (e *RetryAfterError) Error() string { return fmt.Sprintf("%v (retry after %v)", e.Err, e.After) }

// Unwrap returns the cause.
func (e *RetryAfterError) Unwrap() error { return e.Err }

// Failure is one alert that was not delivered.
type Failure struct {
	Index int // in the slice given to Write
	Err   error
}

// PartialError names the alerts of one Write that were not delivered; the
// others were. Each failure has a cause of its own, so that one that is
// permanent does not condemn the rest: look at Failed before asking
// IsPermanent of the whole.
type PartialError struct {
	Failed []Failure // ascending by Index, at least one
}

func (e *PartialError) Error() string {
	if len(e.Failed) == 0 {
		return "no alert failed"
	}
	first := e.Failed[0]
	if len(e.Failed) == 1 {
		return fmt.Sprintf("alert %d of the batch: %v", first.Index, first.Err)
	}
	return fmt.Sprintf("%d alerts of the batch failed, the first (%d): %v", len(e.Failed), first.Index, first.Err)
}

// Unwrap returns the causes.
func (e *PartialError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}

// Partial is what a sink returns that writes n alerts one by one: nil without
// failures, and a *PartialError otherwise.
func Partial(failed []Failure) error {
	if len(failed) == 0 {
		return nil
	}
	return &PartialError{Failed: failed}
}

// ParseRetryAfter reads the value of an HTTP Retry-After header: seconds, or a
// date, which counts from now. ok is false when it is neither, or not in the
// future. Semantics: RFC 9110 §10.2.3.
func ParseRetryAfter(value string, now time.Time) (after time.Duration, ok bool) {
	value = strings.TrimSpace(value)
	if secs, err := strconv.ParseUint(value, 10, 31); err == nil {
		after = time.Duration(secs) * time.Second
		return after, after > 0
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	after = date.Sub(now)
	return after, after > 0
}
