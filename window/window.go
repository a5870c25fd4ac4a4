// Package window counts matches in exact sliding windows over event time,
// remembers identities, and follows the watermark. It knows nothing of rules,
// files or networks: time and identities are arguments. Everything in it keeps
// an undo log of the commit interval, so that an aborted commit leaves memory
// as it was.
package window

import "time"

// ID is an event's identity.
type ID [16]byte

// Kind is what a policy counts.
type Kind uint8

// The kinds of policy.
const (
	Count    Kind = iota // N matches
	Distinct             // N distinct values
	Absence              // no match for Within
)

// Policy is a rule's threshold as the store needs it. It is stored with each
// key, so that a key outlives the rule that made it.
type Policy struct {
	Kind    Kind
	N       int
	Within  time.Duration
	Realert time.Duration // 0: an open episode is not told again
}

// Match is one observation. Key is borrowed; the store copies it when new.
type Match struct {
	Key    []byte
	Policy Policy
	Time   int64 // event time, Unix nanoseconds
	ID     ID
	Sum    uint32 // of the event's bytes: same ID with another Sum is a conflict
	Value  uint64 // hash of the distinct value
}

// Outcome of an observation.
type Outcome uint8

// The outcomes.
const (
	Counted Outcome = iota
	Duplicate
	Conflict // a duplicate whose bytes differ
	Late     // older than the watermark: not counted
	Refused  // no room (a new absence key at the memory bound), or an invalid policy: not counted
	Noted    // it counts towards nothing new and is not remembered: the episode is full, or an absence key knows a newer match
)

// Change tells what became of an episode since the last Drain.
type Change struct {
	Key     []byte // owned by the store, valid during the callback
	Policy  Policy
	Type    ChangeType
	Serial  ID    // of the earliest match when the episode fired: with rule and key it names the alert
	Into    ID    // Merged: the Serial of the episode that took it in
	First   int64 // event times, Unix nanoseconds
	Last    int64
	FiredAt int64 // event time of the match (or the watermark, for absence) that made it fire
	Count   int   // matches in the episode
	Capped  bool  // Count is a lower bound
	Values  int   // distinct values, of a Distinct policy
	Notify  bool  // Updated: Realert has passed since it was last told
	// Returned: of a Resolved absence: a match came. False: it was given up
	// after ForgetAfter of silence.
	Returned bool
	Members  []Member // sorted by (time, ID); valid during the callback
}

// Member is one remembered match.
type Member struct {
	Time int64
	ID   ID
}

// ChangeType says what happened.
type ChangeType uint8

// The changes.
const (
	Fired     ChangeType = iota // a new episode
	Updated                     // an open episode changed
	Resolved                    // the watermark passed its last match by Within (absence: a match came)
	Merged                      // folded into an earlier one
	Evicted                     // pushed out by the memory bound while open
	Forgotten                   // never fired; its Members will not be asked for again
)
