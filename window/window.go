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

// The kinds of policy. Those up to Sum are satisfied by a span of matches at
// most Within long, and fire as soon as there is one: what comes later cannot
// take it back. The others are judged when the watermark has passed what they
// are about, so that nothing that comes later could change the verdict.
const (
	Count    Kind = iota // N matches
	Distinct             // N distinct values
	Absence              // no match for Within
	Together             // N distinct tags; Match.Value is a set of tags, a bit each
	InOrder              // tags 0 to N-1, each no earlier than the one before
	Sum                  // values, none of them negative, that add up to Bounds.Min

	// Peaks: judged when a chain ends, by the greatest value that Bounds speaks
	// of in any span Within long. FiredAt is when the chain ended.
	PeakCount    // matches
	PeakDistinct // distinct values
	PeakTags     // distinct tags
	PeakSum      // sum of values

	// Judged at each match, over the span that ends with it and is Within long.
	Average    // mean of values
	Percentile // value at Percent, nearest rank

	// Tumbling: matches are counted in periods of Within that are aligned to the
	// epoch, and an alarm is on or off at the end of each, as in CloudWatch.
	Tumbling
)

// Policy is a rule's threshold as the store needs it. It is stored with each
// key, so that a key outlives the rule that made it.
type Policy struct {
	Kind    Kind
	N       int // of Tumbling: the count that a datapoint is compared with
	Within  time.Duration
	Realert time.Duration // 0: an open episode is not told again

	Bounds  Bounds // of Sum, of the peaks, Average and Percentile
	Percent uint32 // of Percentile, in hundredths of a percent: 1 to 10,000

	// Of Tumbling: the alarm is on when Points of the last Periods datapoints are
	// N or more, or, Under, less than N.
	Periods uint16
	Points  uint16
	Under   bool
	Missing Missing

	// Depth says that matches are themselves firings of other keys, of keys of
	// Depth-1 and less: the key lives so many nanoseconds behind the watermark, so
	// that a firing at the instant that the watermark passes is not late.
	Depth uint8
}

// Missing says what a period without matches is to a Tumbling policy.
type Missing uint8

// What missing datapoints are.
const (
	NoData       Missing = iota // left out; with nothing else the alarm is off
	NotBreaching                // as if the datapoint did not breach
	Breaching                   // as if it did
	Ignore                      // the alarm stays as it is unless the others decide
)

// Match is one observation. Key is borrowed; the store copies it when new.
type Match struct {
	Key    []byte
	Policy Policy
	Time   int64 // event time, Unix nanoseconds
	ID     ID
	Sum    uint32 // of the event's bytes: same ID with another Sum is a conflict
	Value  uint64 // hash of the distinct value, set of tags, or a number: uint64(int64)
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
	Values  int   // distinct values or tags, of policies that count them
	Notify  bool  // Updated: Last has come Realert past what was last told
	// Returned: of a Resolved absence: a match came. False: it was given up
	// after ForgetAfter of silence.
	Returned bool
	Members  []Member // sorted by (time, ID); valid during the callback
	// Kept: of a Resolved Tumbling, so many of the last Members may be asked for
	// again.
	Kept int
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
