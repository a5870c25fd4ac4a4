package alerting

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/window"
)

// An alert of a threshold shows the raw events of its first and last matches,
// within a budget.
const (
	headEvents   = 3
	tailEvents   = 7
	eventsBudget = 64 << 10 // bytes
)

func at(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

func newAlert(id alertID, i *Rule) *sinks.Alert {
	return &sinks.Alert{
		AlertID: id.String(), RuleID: i.ID, Title: i.Title, Severity: i.Severity,
		Description: i.Description, Runbook: i.Runbook, References: i.References, Tags: i.Tags, Sinks: i.Sinks,
		Status: sinks.Firing, Group: map[string]*string{},
	}
}

func describe(a *sinks.Alert, e *evidence) {
	s := &e.summary
	a.Account, a.Region, a.User, a.SourceIP = s.Account, s.Region, s.User, s.SourceIP
	a.EventName, a.EventSource, a.EventID, a.CallerAccount = s.EventName, s.EventSource, s.EventID, s.CallerAccount
	a.Position, a.Event = e.position, json.RawMessage(e.raw)
	if e.suppression != "" {
		a.Suppression = e.suppression
	}
}

// plainAlert makes the alert of a match without a threshold. Event time stands
// for everything; an event without a readable one is alerted at the zero time.
func plainAlert(id alertID, ev *Event, m *Match) *sinks.Alert {
	a := newAlert(id, m.Rule)
	e := evidence{summary: ev.Summary, position: ev.Position, raw: ev.Raw}
	if m.Suppressed != nil {
		a.Status = sinks.Suppressed
		e.suppression = m.Suppressed.Reason
	}
	describe(a, &e)
	a.Count, a.EventIDs = 1, []string{ev.EventID}
	if ev.HasTime {
		a.Time = at(ev.Time)
		a.FirstTime, a.LastTime = a.Time, a.Time
	}
	return a
}

// drain turns what happened to episodes since the last flush into alerts.
func (s *Stage) drain(ctx context.Context) error {
	if len(s.derived) > 0 {
		return s.drainDerived(ctx)
	}
	var failed error
	s.store.Drain(func(c *window.Change) {
		if failed == nil {
			failed = s.change(ctx, c)
		}
	})
	return failed
}

func (s *Stage) change(ctx context.Context, c *window.Change) error {
	if c.Type == window.Forgotten {
		s.dropEvidence(c)
		return nil
	}
	hash, groupKey, ok := splitWindowKey(c.Key)
	if !ok {
		return fmt.Errorf("window key %x is too short", c.Key)
	}
	info := s.rules.get(hash)
	if info == nil {
		return fmt.Errorf("windows of a rule with hash %016x, but no rule of that hash is stored", hash)
	}
	a := newAlert(thresholdID(info.ID, groupKey, c.Serial), info)
	a.DetectedAt = s.now
	if err := fillGroup(a, info, groupKey); err != nil {
		return err
	}
	a.Time, a.FirstTime, a.LastTime = at(c.FiredAt), at(c.First), at(c.Last)
	a.Count, a.CountCapped, a.Distinct = c.Count, c.Capped, c.Values
	if err := s.fillEvidence(ctx, a, c); err != nil {
		return err
	}
	s.emit(a, info, c)
	if c.Type == window.Resolved || c.Type == window.Evicted {
		s.dropEvidence(c)
	}
	return nil
}

// emit stores an alert's newest state and tells it where it is to be told. An
// open episode is stored as firing; "update" is what a receiver is told.
func (s *Stage) emit(a *sinks.Alert, info *Rule, c *window.Change) {
	notify := !s.opts.Quiet
	switch c.Type {
	case window.Fired:
	case window.Updated:
		notify = notify && c.Notify
	case window.Resolved:
		a.Status, a.Resolution = sinks.Resolved, "quiet"
		switch {
		case c.Returned:
			a.Resolution = "returned"
		case c.Policy.Kind == window.Absence:
			a.Resolution = "forgotten"
		}
	case window.Merged:
		a.Status, a.Resolution = sinks.Resolved, "merged"
		_, groupKey, _ := splitWindowKey(c.Key)
		a.MergedInto = thresholdID(info.ID, groupKey, c.Into).String()
	case window.Evicted:
		a.Status, a.Resolution = sinks.Resolved, "evicted"
	case window.Forgotten:
		return
	}
	if info.Silent {
		return
	}
	if c.Type == window.Fired {
		s.delay(a)
	}
	if a.Suppression != "" {
		a.Status, notify = sinks.Suppressed, false
	}
	save := info.Save || s.opts.SaveAll
	if c.Type == window.Updated && notify {
		told := *a
		told.Status = sinks.Update
		s.txn.Alert(a, save, false)
		s.txn.Alert(&told, false, true)
		s.counts.alert(info.ID, sinks.Update, 0)
		return
	}
	s.txn.Alert(a, save, notify)
	if c.Type != window.Updated {
		s.counts.alert(info.ID, a.Status, 0)
	}
}

// delay says how long after its event time a new alert was made.
func (s *Stage) delay(a *sinks.Alert) {
	if s.opts.Delays && !a.Time.IsZero() {
		a.DelaySeconds = max(0, int64(s.now.Sub(a.Time)/time.Second))
	}
}

func fillGroup(a *sinks.Alert, info *Rule, groupKey []byte) error {
	fields, err := info.threshold().DecodeKey(groupKey)
	if err != nil {
		return fmt.Errorf("read the group of an alert of rule %s: %w", info.ID, err)
	}
	for i := range fields {
		if fields[i].Missing {
			a.Group[fields[i].Path] = nil
			continue
		}
		a.Group[fields[i].Path] = &fields[i].Value
	}
	return nil
}

// evidence reads the evidence of a change's members.
func (s *Stage) evidence(ctx context.Context, c *window.Change) ([]evidence, error) {
	keys := make([][]byte, len(c.Members))
	for i := range c.Members {
		keys[i] = evidenceKey(c.Key, c.Members[i].ID)
	}
	values, err := s.eng.Evidence(ctx, s.part, keys)
	if err != nil {
		return nil, fmt.Errorf("read the evidence of an alert: %w", err)
	}
	list := make([]evidence, len(values))
	for i, v := range values {
		if list[i].missing = v == nil; v == nil {
			continue
		}
		if err := list[i].decode(v); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// lookUp completes the archived evidence that an alert shows: of its first and
// last events. What is not there any more stays archived.
func (s *Stage) lookUp(ctx context.Context, list []evidence) error {
	var offsets []int64
	var at []int
	for i := range list {
		if list[i].archived && (i < headEvents || i >= len(list)-tailEvents) {
			offsets, at = append(offsets, list[i].offset), append(at, i)
		}
	}
	if len(offsets) == 0 || s.opts.Lookup == nil {
		return nil
	}
	events, err := s.opts.Lookup(ctx, s.part, offsets)
	if err != nil {
		return fmt.Errorf("look up the events of an alert: %w", err)
	}
	for i, ev := range events {
		if e := &list[at[i]]; ev != nil {
			e.summary, e.position, e.raw, e.archived = ev.Summary, ev.Position, ev.Raw, false
		}
	}
	return nil
}

// fillEvidence names the counted events, describes the newest, and adds the raw
// JSON of the first and the last ones.
func (s *Stage) fillEvidence(ctx context.Context, a *sinks.Alert, c *window.Change) error {
	list, err := s.evidence(ctx, c)
	if err != nil {
		return err
	}
	if err := s.lookUp(ctx, list); err != nil {
		return err
	}
	a.EventIDs = make([]string, 0, len(list))
	newest := new(evidence)
	budget := eventsBudget
	for i := range list {
		e := &list[i]
		if e.missing {
			a.EvidenceCut = true
			continue
		}
		newest = e
		for _, id := range e.eventIDs() {
			if e.ids == nil || !slices.Contains(a.EventIDs, id) { // two firings may share an event
				a.EventIDs = append(a.EventIDs, id)
			}
		}
		if i >= headEvents && i < len(list)-tailEvents {
			continue
		}
		if e.archived || len(e.raw) > budget {
			a.EvidenceCut = true
			continue
		}
		budget -= len(e.raw)
		a.Events = append(a.Events, json.RawMessage(e.raw))
	}
	describe(a, newest)
	return nil
}

func (s *Stage) dropEvidence(c *window.Change) {
	for i := range c.Members[:len(c.Members)-c.Kept] {
		s.txn.Delete(engine.Evidence, evidenceKey(c.Key, c.Members[i].ID))
	}
}
