package sinks

import (
	"encoding/json"
	"time"
)

// Status of an alert.
type Status string

// The statuses.
const (
	Firing     Status = "firing"
	Update     Status = "update" // an open threshold alert told again
	Resolved   Status = "resolved"
	Suppressed Status = "suppressed"
)

// Alert is what a person or a system is told. Every field is owned by it. The
// JSON names are a contract.
type Alert struct {
	AlertID       string             `json:"alert_id"` // 32 hex digits
	RuleID        string             `json:"rule_id"`
	Title         string             `json:"title"`
	Severity      string             `json:"severity"`
	Status        Status             `json:"status"`
	Time          time.Time          `json:"time"`       // when it fired, event time
	FirstTime     time.Time          `json:"first_time"` // event time of the first match
	LastTime      time.Time          `json:"last_time"`
	Count         int                `json:"count"`
	CountCapped   bool               `json:"count_capped,omitempty"` // Count is a lower bound ("≥ 4096")
	Distinct      int                `json:"distinct,omitempty"`
	Group         map[string]*string `json:"group"` // group-by values; null: the field is missing
	Account       string             `json:"account"`
	Region        string             `json:"region"`
	User          string             `json:"user"`
	SourceIP      string             `json:"source_ip"`
	EventName     string             `json:"event_name"`
	EventSource   string             `json:"event_source"`
	EventID       string             `json:"event_id"`
	EventIDs      []string           `json:"event_ids"`
	Position      string             `json:"position"`               // FILE:LINE, FILE#INDEX, topic/partition@offset
	Event         json.RawMessage    `json:"event"`                  // the raw event; of a threshold the newest one at hand
	Events        []json.RawMessage  `json:"events,omitempty"`       // of a threshold: the first 3 and last 7, within 64 KiB
	EvidenceCut   bool               `json:"evidence_cut,omitempty"` // raw events were left out for the budget
	MergedInto    string             `json:"merged_into,omitempty"`
	Resolution    string             `json:"resolution,omitempty"` // quiet | returned | forgotten | merged | evicted
	Description   string             `json:"description,omitempty"`
	Runbook       string             `json:"runbook,omitempty"`
	References    []string           `json:"references,omitempty"`
	Tags          []string           `json:"tags,omitempty"`
	Suppression   string             `json:"suppression,omitempty"`    // reason of the suppression that holds
	CallerAccount string             `json:"caller_account,omitempty"` // userIdentity.accountId where it differs from account
	Sinks         []string           `json:"sinks,omitempty"`          // names of the sinks the rule asks for; empty: all
	DetectedAt    time.Time          `json:"detected_at"`              // wall clock of the commit that made this state
	// DelaySeconds is how long after Time a worker made a new alert: after an
	// outage, or in a replay, it is large.
	DelaySeconds int64 `json:"delay_seconds,omitempty"`
}
