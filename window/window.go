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
	Counted   Outcome = iota
	Duplicate         // remembered already: nothing changes
	Conflict          // a duplicate whose bytes differ: nothing changes
	Late              // older than the watermark: not counted
	Refused           // no room (a new absence key at the memory bound), or an invalid policy: not counted
	Noted             // it counts towards nothing new and is not remembered: the episode is full, or an absence key knows a newer match
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
	FiredAt int64 // event time of the match that completed the span; of an absence its last match plus Within
	Count   int   // matches in the episode, of an absence 1: the last match
	Capped  bool  // Count is a lower bound, Members are some of them
	Values  int   // distinct values, of a Distinct policy
	Notify  bool  // Updated: Last has come Realert past what was last told
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

// The changes. An episode begins with Fired and ends with one of Resolved,
// Merged and Evicted. After Resolved, Evicted and Forgotten the Members are not
// asked for again, unless a match that was dropped for a bound comes a second
// time; after Merged they belong to the other episode.
const (
	Fired     ChangeType = iota // a new episode
	Updated                     // an open episode changed
	Resolved                    // the watermark passed its last match by more than Within (absence: see Returned)
	Merged                      // folded into an earlier one
	Evicted                     // pushed out by the memory bound while open
	Forgotten                   // matches that belong to no episode, or no longer: no Serial, only Members and their times
)
