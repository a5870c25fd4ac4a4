package pipeline

import (
	"bytes"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// maxAhead is how far ahead of the wall clock an event time is believed.
const maxAhead = 5 * time.Minute

// maxDeadBytes is how much of an invalid event its dead letter keeps.
const maxDeadBytes = 64 << 10

// Tally is the accounting of events: Read = Invalid + Matched + Duplicate +
// Unmatched, always.
type Tally struct {
	Read, Invalid, Matched, Duplicate, Unmatched int64

	Skipped int64 // control messages and digest files: not events
	Bytes   int64 // payload bytes as the source delivered them
}

func (t *Tally) add(o *Tally) {
	t.Read += o.Read
	t.Invalid += o.Invalid
	t.Matched += o.Matched
	t.Duplicate += o.Duplicate
	t.Unmatched += o.Unmatched
	t.Skipped += o.Skipped
	t.Bytes += o.Bytes
}

// partitionTally is the accounting of one partition's events in a batch.
type partitionTally struct {
	partition string
	Tally
}

// deadLetter is an event that could not be read.
type deadLetter struct {
	position, reason string
	raw              []byte
}

// result is what matching made of one batch. Nothing in it points into the
// batch's memory.
type result struct {
	open, idle []PartitionTime
	closed     []PartitionEnd
	lost       []string
	from       map[string][]string
	live       bool

	events    []*alerting.Event // with a match, in order
	reached   []PartitionTime   // greatest event time of each partition in the batch
	positions map[string][]byte
	dead      []deadLetter
	tallies   []partitionTally // Matched and Duplicate are the alert stage's to say
	costs     []ruleCost
}

// ruleCost is what evaluating one rule took in a batch. seconds is estimated
// from the evaluations that were timed.
type ruleCost struct {
	id          string
	evaluations uint64
	seconds     float64
}

// ruleset is a rule set, and its rules as the alert stage knows them.
type ruleset struct {
	set   *matcher.Ruleset
	known alerting.Rules
}

// lane takes batches through unwrapping and matching. It does no I/O and
// starts nothing; one goroutine owns it.
type lane struct {
	unwrapper *cloudtrail.Unwrapper
	rules     *ruleset
	matcher   *matcher.Matcher
	clock     func() int64 // monotonic nanoseconds, to sample what rules cost; nil: not sampled
	full      bool         // validate events that no rule can match, too

	ev      cloudtrail.Event
	hits    []matcher.Hit
	key     []byte
	reached []PartitionTime       // greatest event time of each partition in the batch
	at      map[string]int        // of partitions in reached
	emit    func(cloudtrail.Item) // l.item, bound once

	// the batch and record at hand
	batch *Batch
	rec   int
	part  int    // of the record's partition in reached
	label string // of the record, once asked for
	now   int64
	res   *result
}

func newLane(limits cloudtrail.Limits, full bool) *lane {
	l := &lane{unwrapper: cloudtrail.NewUnwrapper(limits), full: full, at: make(map[string]int)}
	l.unwrapper.Lazy = true
	l.emit = l.item
	return l
}

// process matches one batch against rs and releases it.
func (l *lane) process(b *Batch, rs *ruleset, now time.Time) *result {
	if l.rules != rs {
		l.rules, l.matcher = rs, rs.set.NewMatcherWith(matcher.MatcherOptions{Now: l.clock})
	}
	res := &result{open: b.Open, idle: b.Idle, closed: b.Closed, lost: b.Lost, from: b.From, live: b.Live, positions: make(map[string][]byte)}
	l.batch, l.res, l.now = b, res, now.UnixNano()
	l.reached, l.part = l.reached[:0], -1
	clear(l.at)
	maps.Copy(res.positions, b.Positions)
	for i := range b.Records {
		l.record(i)
	}
	for _, p := range l.reached {
		if p.Time != math.MinInt64 {
			res.reached = append(res.reached, p)
		}
	}
	for _, end := range b.Closed {
		if end.Position != nil {
			res.positions[end.Partition] = end.Position
		}
	}
	if b.Release != nil {
		b.Release()
	}
	l.matcher.TakeStats(func(r *matcher.Rule, st matcher.RuleStats) {
		c := ruleCost{id: r.ID, evaluations: st.Evaluated}
		if st.Sampled > 0 {
			c.seconds = float64(st.Nanos) / 1e9 * float64(st.Evaluated) / float64(st.Sampled)
		}
		res.costs = append(res.costs, c)
	})
	l.batch, l.res = nil, nil
	return res
}

func (l *lane) record(i int) {
	rec := &l.batch.Records[i]
	l.rec, l.label = i, ""
	if l.part < 0 || l.reached[l.part].Partition != rec.Partition {
		l.partition(rec.Partition)
	}
	if rec.Problem != "" {
		l.tally().Read++
		l.invalid(l.place(cloudtrail.Item{}), rec.Problem, rec.Payload)
	} else {
		l.tally().Bytes += int64(len(rec.Payload))
		l.unwrapper.Unwrap(rec.Payload, &l.ev, l.emit)
	}
	if last := i+1 == len(l.batch.Records) || l.batch.Records[i+1].Partition != rec.Partition; last {
		if p := l.batch.Places.Position(i); p != nil {
			l.res.positions[rec.Partition] = p
		}
	}
}

// partition makes part the place of the named partition.
func (l *lane) partition(name string) {
	i, ok := l.at[name]
	if !ok {
		i = len(l.reached)
		l.at[name] = i
		l.reached = append(l.reached, PartitionTime{Partition: name, Time: math.MinInt64})
		l.res.tallies = append(l.res.tallies, partitionTally{partition: name})
	}
	l.part = i
}

// tally is of the partition at hand.
func (l *lane) tally() *Tally { return &l.res.tallies[l.part].Tally }

func (l *lane) item(it cloudtrail.Item) {
	switch it.Kind {
	case cloudtrail.ItemSkipped:
		l.tally().Skipped++
		return
	case cloudtrail.ItemInvalid:
		l.tally().Read++
		l.invalid(l.place(it), it.Reason, it.Raw)
		return
	case cloudtrail.ItemEvent:
	}
	l.tally().Read++
	nanos, timed := l.ev.Time()
	usable := timed && nanos <= l.now+int64(maxAhead)
	hits, _, err := l.matcher.Match(l.hits[:0], &l.ev)
	l.hits = hits
	if err == nil && l.full {
		err = l.ev.Validate()
	}
	if err == nil {
		err = l.ev.Broken()
	}
	if err != nil {
		l.invalid(l.place(it), err.Error(), l.ev.Raw())
		return
	}
	if usable {
		p := &l.reached[l.part]
		p.Time = max(p.Time, nanos)
	}
	if len(hits) == 0 {
		l.tally().Unmatched++
		return
	}
	l.matched(it, nanos, timed, usable)
}

// matched keeps what the alert stage needs of an event with hits.
func (l *lane) matched(it cloudtrail.Item, nanos int64, timed, usable bool) {
	tree, err := l.ev.Parse()
	if err != nil {
		l.invalid(l.place(it), err.Error(), l.ev.Raw())
		return
	}
	rec := &l.batch.Records[l.rec]
	ev := &alerting.Event{
		Summary: cloudtrail.Summarize(tree), Raw: append([]byte(nil), l.ev.Raw()...),
		Position: l.place(it), Partition: rec.Partition,
		Identity: l.ev.Identity(), Sum: l.ev.Sum(),
		Time: nanos, HasTime: timed, Timed: usable, Reached: l.reached[l.part].Time,
	}
	if !rec.Arrived.IsZero() {
		ev.Arrived = rec.Arrived.UnixNano()
	}
	ev.Matches, l.key = alerting.Matches(l.hits, l.rules.known, &l.ev, l.key)
	l.res.events = append(l.res.events, ev)
}

func (l *lane) invalid(position, reason string, raw []byte) {
	l.tally().Invalid++
	raw = raw[:min(len(raw), maxDeadBytes)]
	l.res.dead = append(l.res.dead, deadLetter{position, reason, append([]byte(nil), raw...)})
}

// place is an item's position for people.
func (l *lane) place(it cloudtrail.Item) string {
	if l.label == "" {
		l.label = l.batch.Places.Label(l.rec)
	}
	switch split := l.batch.Records[l.rec].Index; {
	case split >= 0:
		return l.label + "#" + strconv.Itoa(split+it.Index)
	case it.Wrapped && !wholePayload(it, l.batch.Records[l.rec].Payload):
		return l.label + "#" + strconv.Itoa(it.Index)
	}
	return l.label
}

// wholePayload says that an item is all that its payload holds, such as a line
// that is no JSON: then it needs no index to be found.
func wholePayload(it cloudtrail.Item, payload []byte) bool {
	return it.Index == 0 && len(it.Raw) == len(bytes.TrimSpace(payload))
}
