// Package alertstore says how saved alerts are asked for: the filter, the
// grouping and the store's interface, shared by every engine that keeps alerts.
package alertstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Filter chooses alerts. Fields are ANDed, the values of one field are ORed; an
// empty field does not filter. A `*` in a value of Rules, Accounts, Regions,
// Users, Names and Sources stands for any text; everything else is exact.
type Filter struct {
	Rules       []string // rule IDs
	Severities  []string
	MinSeverity string   // this severity and above; "": all
	Statuses    []string // also "open": firing or update
	Accounts    []string
	Regions     []string
	Users       []string
	Names       []string // event names
	Sources     []string // event sources
	Since       time.Time
	Until       time.Time // Since ≤ Alert.Time < Until; zero: unbounded
	// Text is looked for, letter case ignored (ASCII), in the alert's fields and its raw events.
	Text string
	// HideMerged leaves episodes out that were folded into another one.
	HideMerged bool
	// Limit bounds the answer, after the order; 0: no bound.
	Limit int
	// OldestFirst turns the order: by Alert.Time, then by when the alert was first saved.
	OldestFirst bool
}

// Open is the status, in a filter only, of alerts that are not resolved or suppressed.
const Open = "open"

var (
	severities = [...]string{"info", "low", "medium", "high", "critical"}
	statuses   = [...]string{string(sinks.Firing), string(sinks.Update), string(sinks.Resolved), string(sinks.Suppressed)}
)

// Rank orders severities: info is 0, critical 4, anything else −1.
func Rank(severity string) int { return slices.Index(severities[:], strings.ToLower(severity)) }

// SeverityOf is the severity of a rank, "" for −1.
func SeverityOf(rank int) string {
	if rank < 0 || rank >= len(severities) {
		return ""
	}
	return severities[rank]
}

// Validate reports every unknown word and impossible bound at once.
func (f Filter) Validate() error {
	var errs []error
	for _, s := range append(slices.Clone(f.Severities), f.MinSeverity) {
		if s != "" && Rank(s) < 0 {
			errs = append(errs, fmt.Errorf("unknown severity %q: one of %s", s, strings.Join(severities[:], ", ")))
		}
	}
	for _, s := range f.Statuses {
		if s != Open && !slices.Contains(statuses[:], s) {
			errs = append(errs, fmt.Errorf("unknown status %q: one of %s, %s", s, strings.Join(statuses[:], ", "), Open))
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		errs = append(errs, fmt.Errorf("empty span of time: since %s is not before until %s",
			f.Since.Format(time.RFC3339), f.Until.Format(time.RFC3339)))
	}
	if f.Limit < 0 {
		errs = append(errs, fmt.Errorf("limit %d is negative", f.Limit))
	}
	return errors.Join(errs...)
}

// Ranks returns the severities that pass, as ranks; nil: all.
func (f Filter) Ranks() []int {
	if len(f.Severities) == 0 && f.MinSeverity == "" {
		return nil
	}
	ranks := []int{}
	for r, name := range severities {
		if r >= Rank(f.MinSeverity) && (len(f.Severities) == 0 || slices.ContainsFunc(f.Severities, func(s string) bool { return strings.EqualFold(s, name) })) {
			ranks = append(ranks, r)
		}
	}
	return ranks
}

// StatusWords returns the statuses that pass, Open spelled out; nil: all.
func (f Filter) StatusWords() []string {
	var words []string
	for _, s := range f.Statuses {
		if s == Open {
			words = append(words, string(sinks.Firing), string(sinks.Update))
		} else {
			words = append(words, s)
		}
	}
	return words
}

// Match says whether the alert passes. Limit and order are the store's.
func (f Filter) Match(a *sinks.Alert) bool {
	ranks, words := f.Ranks(), f.StatusWords()
	return anyOf(f.Rules, a.RuleID) && anyOf(f.Accounts, a.Account) && anyOf(f.Regions, a.Region) &&
		anyOf(f.Users, a.User) && anyOf(f.Names, a.EventName) && anyOf(f.Sources, a.EventSource) &&
		(ranks == nil || slices.Contains(ranks, Rank(a.Severity))) &&
		(words == nil || slices.Contains(words, string(a.Status))) &&
		(!f.HideMerged || a.MergedInto == "") &&
		(f.Since.IsZero() || !a.Time.Before(f.Since)) && (f.Until.IsZero() || a.Time.Before(f.Until)) &&
		f.MatchText(a)
}

// MatchText applies Text alone.
func (f Filter) MatchText(a *sinks.Alert) bool {
	if f.Text == "" {
		return true
	}
	needle := lower([]byte(f.Text))
	in := func(s string) bool { return bytes.Contains(lower([]byte(s)), needle) }
	for _, s := range [...]string{
		a.AlertID, a.RuleID, a.Title, a.Severity, string(a.Status), a.Account, a.Region, a.User, a.SourceIP,
		a.EventName, a.EventSource, a.EventID, a.Position, a.Description, a.Suppression, a.CallerAccount,
	} {
		if in(s) {
			return true
		}
	}
	for _, v := range a.Group {
		if v != nil && in(*v) {
			return true
		}
	}
	if slices.ContainsFunc(a.EventIDs, in) || slices.ContainsFunc(a.Tags, in) || in(string(a.Event)) {
		return true
	}
	for _, raw := range a.Events {
		if in(string(raw)) {
			return true
		}
	}
	return false
}

// lower folds ASCII letters only and in place, so that invalid UTF-8 stays what it is.
func lower(b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

func anyOf(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return wildcard(p, s) })
}

// wildcard matches s against a pattern whose * stand for any text.
func wildcard(pattern, s string) bool {
	first, rest, found := strings.Cut(pattern, "*")
	if !found {
		return s == pattern
	}
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	for {
		part, next, found := strings.Cut(rest, "*")
		if !found {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], next
	}
}
