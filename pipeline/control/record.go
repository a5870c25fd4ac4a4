// Package control keeps what people say to alerts: that somebody works on one,
// that one is closed, that a kind of alert is to be ignored for a while. What
// they say is a Record; in a fleet it travels in a compacted topic, with the
// embedded engine it lies in the state file. A Book is what is in force.
package control

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Action is what is said.
type Action string

// The actions.
const (
	// Ack: somebody works on the alert. Updates of it are not told any more,
	// its end is.
	Ack Action = "ack"
	// Close: a person ended it. Nothing of this alert is told any more.
	Close Action = "close"
	// Ignore: alerts of the same scope are kept and not told until a time.
	Ignore Action = "ignore"
	// Unignore lifts an Ignore of the same scope.
	Unignore Action = "unignore"
)

// Version of the records that this program writes; it reads no later one.
const Version = 1

// DefaultIgnore is how long an Ignore holds that says nothing else.
const DefaultIgnore = 30 * 24 * time.Hour

// maxText bounds each text of a record in bytes, so that one is never too large
// for a topic.
const maxText = 4 << 10

// ErrNewer says that a later version of the program wrote a record.
var ErrNewer = errors.New("control record of a newer version")

// Record is what a person said about an alert, once.
type Record struct {
	Action  Action
	AlertID string // of an Ignore the alert that it was said at
	Scope   Scope  // of Ignore and Unignore
	By      string // may be empty
	Reason  string // may be empty
	At      time.Time
	Until   time.Time // of an Ignore: its end
}

// Scope is which alerts an Ignore means: those of a rule with the same group-by
// values; where the rule has none, of plain alerts those of the same account,
// user, event source and event name.
type Scope struct {
	RuleID string
	Group  map[string]*string // of an alert with a threshold; nil value: the field is missing
	Plain  bool               // the fields below count, Group does not
	// Of a plain alert:
	Account, User, EventSource, EventName string
}

// ScopeOf returns the scope that an alert stands for.
func ScopeOf(a *sinks.Alert) Scope {
	if len(a.Group) > 0 || a.Count > 1 || a.Distinct > 0 || len(a.Events) > 0 || a.EvidenceCut {
		return Scope{RuleID: a.RuleID, Group: maps.Clone(a.Group)}
	}
	return plainScope(a)
}

func plainScope(a *sinks.Alert) Scope {
	return Scope{
		RuleID: a.RuleID, Plain: true,
		Account: a.Account, User: a.User, EventSource: a.EventSource, EventName: a.EventName,
	}
}

// ID is the scope's name: 32 hex digits, the same on every machine.
func (s Scope) ID() string {
	parts := []string{s.RuleID}
	if s.Plain {
		parts = append(parts, "plain", s.Account, s.User, s.EventSource, s.EventName)
	} else {
		parts = append(parts, "group")
		for _, field := range slices.Sorted(maps.Keys(s.Group)) {
			if v := s.Group[field]; v != nil {
				parts = append(parts, field, "=", *v)
			} else {
				parts = append(parts, field, "-")
			}
		}
	}
	b, err := json.Marshal(parts)
	if err != nil {
		panic("strings are JSON: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// String is the scope for people.
func (s Scope) String() string {
	text := s.RuleID
	add := func(name, value string) {
		if value != "" {
			text += " " + name + "=" + value
		}
	}
	if s.Plain {
		add("account", s.Account)
		add("user", s.User)
		add("event_source", s.EventSource)
		add("event_name", s.EventName)
		return text
	}
	for _, field := range slices.Sorted(maps.Keys(s.Group)) {
		if v := s.Group[field]; v != nil {
			add(field, *v)
		} else {
			text += " " + field + " missing"
		}
	}
	return text
}

// Key is what the record replaces: of two with one key the later counts.
func (r *Record) Key() string {
	switch r.Action {
	case Ignore, Unignore:
		return "ignore/" + r.Scope.ID()
	default:
		return string(r.Action) + "/" + r.AlertID
	}
}

// Validate reports every problem at once.
func (r *Record) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch r.Action {
	case Ack, Close:
		if r.AlertID == "" {
			bad("alert_id: is needed")
		}
	case Ignore:
		if r.Until.IsZero() || !r.Until.After(r.At) {
			bad("until: must be after now")
		}
		fallthrough
	case Unignore:
		if r.Scope.RuleID == "" {
			bad("rule_id: is needed")
		}
	default:
		bad("action: %q is not one of ack, close, ignore, unignore", string(r.Action))
	}
	if r.At.IsZero() {
		bad("at: is needed")
	}
	for _, t := range []time.Time{r.At, r.Until} {
		if y := t.Year(); y < 1 || y > 9999 {
			bad("a time of the year %d", y)
		}
	}
	for _, s := range []string{r.AlertID, r.By, r.Reason} {
		if len(s) > maxText {
			bad("a text of %d bytes is longer than %d", len(s), maxText)
		}
	}
	return errors.Join(errs...)
}

// wire is a Record as JSON.
type wire struct {
	V           int                `json:"v"`
	Action      Action             `json:"action"`
	AlertID     string             `json:"alert_id,omitempty"`
	RuleID      string             `json:"rule_id,omitempty"`
	Plain       bool               `json:"plain,omitempty"`
	Group       map[string]*string `json:"group,omitempty"`
	Account     string             `json:"account,omitempty"`
	User        string             `json:"user,omitempty"`
	EventSource string             `json:"event_source,omitempty"`
	EventName   string             `json:"event_name,omitempty"`
	By          string             `json:"by,omitempty"`
	Reason      string             `json:"reason,omitempty"`
	At          time.Time          `json:"at"`
	Until       *time.Time         `json:"until,omitempty"`
}

// Append appends the record in its durable form.
func (r *Record) Append(dst []byte) ([]byte, error) {
	if err := r.Validate(); err != nil {
		return dst, fmt.Errorf("write control record: %w", err)
	}
	w := wire{V: Version, Action: r.Action, AlertID: r.AlertID, By: r.By, Reason: r.Reason, At: r.At.UTC()}
	if r.Action == Ignore {
		until := r.Until.UTC()
		w.Until = &until
	}
	if r.Action == Ignore || r.Action == Unignore {
		s := r.Scope
		w.RuleID, w.Plain = s.RuleID, s.Plain
		if s.Plain {
			w.Account, w.User, w.EventSource, w.EventName = s.Account, s.User, s.EventSource, s.EventName
		} else {
			w.Group = s.Group
		}
	}
	b, err := json.Marshal(&w)
	if err != nil {
		return dst, fmt.Errorf("write control record: %w", err)
	}
	return append(dst, b...), nil
}

// Parse reads what Append wrote. ErrNewer: a later version wrote it.
func Parse(b []byte) (*Record, error) {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fmt.Errorf("read control record: %w", err)
	}
	if w.V > Version {
		return nil, fmt.Errorf("%w: version %d, this program knows up to %d", ErrNewer, w.V, Version)
	}
	if w.V < 1 {
		return nil, fmt.Errorf("read control record: version %d", w.V)
	}
	r := &Record{Action: w.Action, AlertID: w.AlertID, By: w.By, Reason: w.Reason, At: w.At.UTC()}
	if w.Until != nil && w.Action == Ignore {
		r.Until = w.Until.UTC()
	}
	if w.Action == Ignore || w.Action == Unignore {
		r.Scope = Scope{RuleID: w.RuleID, Plain: w.Plain}
		if w.Plain {
			r.Scope.Account, r.Scope.User, r.Scope.EventSource, r.Scope.EventName = w.Account, w.User, w.EventSource, w.EventName
		} else if len(w.Group) > 0 {
			r.Scope.Group = w.Group
		}
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("read control record: %w", err)
	}
	return r, nil
}
