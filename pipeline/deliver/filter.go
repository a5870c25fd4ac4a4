package deliver

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Filter chooses the alerts of a route. The zero value chooses all.
// Suppressed alerts are never sent, whatever the filter says.
type Filter struct {
	// MinSeverity is the least severity: info, low, medium, high or critical.
	// Default: all. An alert of a severity that is none of these passes.
	MinSeverity string
	// Rules and ExcludeRules are rule IDs, * standing for any text. Default: all, none.
	Rules        []string
	ExcludeRules []string
	// Statuses to send. Default: firing, update and resolved.
	Statuses []sinks.Status
	// MaxAge leaves alerts out whose last event is older: after an outage, or
	// when old events are read. They are counted as stale. 0: never.
	MaxAge time.Duration
	// StaleToDead puts such alerts into the dead letter, so that somebody can
	// look through what was not told.
	StaleToDead bool
}

// severities in ascending order.
func severities() []string { return []string{"info", "low", "medium", "high", "critical"} }

// Validate reports every problem at once.
func (f *Filter) Validate() error {
	var errs []error
	if f.MinSeverity != "" && !slices.Contains(severities(), f.MinSeverity) {
		errs = append(errs, fmt.Errorf("min_severity: %q is not one of %s", f.MinSeverity, strings.Join(severities(), ", ")))
	}
	for _, p := range slices.Concat(f.Rules, f.ExcludeRules) {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			errs = append(errs, fmt.Errorf("rules: %q is not a pattern", p))
		}
	}
	for _, s := range f.Statuses {
		if s != sinks.Firing && s != sinks.Update && s != sinks.Resolved {
			errs = append(errs, fmt.Errorf("statuses: %q is not one of firing, update, resolved", s))
		}
	}
	if f.MaxAge < 0 {
		errs = append(errs, errors.New("max_age: must not be negative"))
	}
	return errors.Join(errs...)
}

// verdict on an alert.
type verdict uint8

const (
	send verdict = iota
	filtered
	stale
)

func (f *Filter) judge(route string, a *sinks.Alert, now time.Time) verdict {
	switch {
	case a.Status == sinks.Suppressed,
		len(a.Sinks) > 0 && !slices.Contains(a.Sinks, route),
		len(f.Statuses) > 0 && !slices.Contains(f.Statuses, a.Status),
		len(f.Rules) > 0 && !matchAny(f.Rules, a.RuleID),
		matchAny(f.ExcludeRules, a.RuleID),
		f.tooMild(a.Severity):
		return filtered
	case f.MaxAge > 0 && !a.LastTime.IsZero() && now.Sub(a.LastTime) > f.MaxAge:
		return stale
	}
	return send
}

func (f *Filter) tooMild(severity string) bool {
	s := slices.Index(severities(), severity)
	return s >= 0 && s < slices.Index(severities(), f.MinSeverity)
}

func matchAny(patterns []string, id string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, id)
		return ok && err == nil
	})
}
