//go:build unix

package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/trailtide/trailtide/bench/traffic"
)

// record is one record of the source topic.
type record struct {
	partition int32
	value     []byte
	broken    bool
}

// perSecond is how many everyday events there are in a second of event time. After
// a spell of them there is a pause that ends every chain of matches: none grows
// to where counting stops.
const (
	perSecond = 15
	spell     = 15_000
	pause     = 20 * time.Minute
)

// lateness of the traffic; far less than what windows.lateness allows.
const lateness = 4 * time.Minute

// trafficOf is what the source topic is filled with: everyday calls shuffled over
// all partitions, incidents, duplicates, broken events, chains of bursts whose
// order counts, and at the end an event in each partition that moves event time
// past all windows.
type trafficOf struct {
	records []record
	closing int          // how many of the last records are the closing ones
	leaps   map[int]bool // the records before which there is a pause
}

// newTraffic makes n everyday events, and the rest for them.
func newTraffic(seed uint64, n, partitions int) (*trafficOf, error) {
	out := &trafficOf{leaps: make(map[int]bool)}
	r := rand.New(rand.NewPCG(seed, 1))
	chains := &chainer{r: r}
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for made := 0; made < n; made += spell {
		g, err := traffic.New(traffic.Config{
			Seed: r.Uint64(), Start: now, Users: 80, Accounts: 8, EventsPerSecond: perSecond, Lateness: lateness, Duplicates: 0.04,
			Incidents: -1, IncidentEvery: 7 * time.Second,
		})
		if err != nil {
			return nil, err
		}
		out.leaps[len(out.records)] = made > 0
		out.spell(g, min(spell, n-made), partitions, r, chains)
		now = g.Now().Add(pause)
	}
	end := now.Add(3 * time.Hour)
	out.closing = partitions
	for p := range partitions {
		out.add(p, fmt.Appendf(nil, `{"eventVersion":"1.08","eventSource":"chaos.amazonaws.com","eventName":"ChaosEnd","eventID":"end-%d","eventTime":%q}`, p, clock(end)))
	}
	return out, nil
}

// spell adds the next n events of a generator, and what is planted among them.
func (t *trafficOf) spell(g *traffic.Generator, n, partitions int, r *rand.Rand, chains *chainer) {
	chains.begin(g.Now())
	for i := range n {
		ev := g.AppendNext(nil)
		t.add(r.IntN(partitions), ev)
		if i%400 == 200 {
			t.records = append(t.records, record{partition: int32(r.IntN(partitions)), value: bytes.Clone(ev[:len(ev)/2]), broken: true})
		}
		for _, s := range chains.due(g.Now()) {
			t.add(s.user%partitions, s.event)
			if r.IntN(5) == 0 {
				t.add(s.user%partitions, s.event)
			}
		}
	}
}

// list are the records for an Input.
func (t *trafficOf) list() []Record {
	out := make([]Record, len(t.records))
	for i, r := range t.records {
		out[i] = Record{Partition: int(r.partition), Value: r.value, Broken: r.broken, Closing: i >= len(t.records)-t.closing, Leap: t.leaps[i]}
	}
	return out
}

func (t *trafficOf) add(p int, value []byte) {
	t.records = append(t.records, record{partition: int32(p), value: value})
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// chainer plants bursts. Of one user the events are in one partition and in
// order, since when a burst fires is a match of the next correlation.
type chainer struct {
	r       *rand.Rand
	next    time.Time // when the next user begins
	users   int
	pending []chainStep
}

type chainStep struct {
	at    time.Time
	user  int
	event []byte
}

// begin forgets what has not come yet.
func (c *chainer) begin(now time.Time) { c.next, c.pending = now, nil }

// due are the steps up to now.
func (c *chainer) due(now time.Time) (out []chainStep) {
	for !c.next.After(now) {
		c.plan(c.next)
		c.next = c.next.Add(time.Duration(6+c.r.IntN(14)) * time.Second)
	}
	rest := c.pending[:0]
	for _, s := range c.pending {
		if s.at.After(now) {
			rest = append(rest, s)
		} else {
			out = append(out, s)
		}
	}
	c.pending = rest
	return out
}

// plan lets a user do some bursts on buckets, one after the other; not every one
// is long enough to fire.
func (c *chainer) plan(at time.Time) {
	user := c.users
	c.users++
	for burst := range 1 + c.r.IntN(4) {
		bucket := c.r.IntN(3)
		for i := range 2 + c.r.IntN(4) {
			id := fmt.Sprintf("step-%d-%d-%d", user, burst, i)
			c.pending = append(c.pending, chainStep{at, user, fmt.Appendf(nil,
				`{"eventVersion":"1.08","eventSource":"chaos.amazonaws.com","eventName":"ChaosStep","eventID":%q,"eventTime":%q,"recipientAccountId":"111122223333","requestParameters":{"kind":"step","user":"user-%d","bucket":"b-%d"}}`,
				id, clock(at), user, bucket)})
			at = at.Add(time.Duration(1+c.r.IntN(4)) * time.Second)
		}
		at = at.Add(time.Duration(15+c.r.IntN(60)) * time.Second)
	}
}

// event is a raw event as the recount reads it.
type event struct {
	doc map[string]any
	raw []byte
	at  time.Time
}

// read parses an event with the standard library.
func read(raw []byte) (*event, error) {
	e := &event{raw: raw}
	if err := json.Unmarshal(raw, &e.doc); err != nil {
		return nil, err
	}
	var err error
	e.at, err = time.Parse(time.RFC3339, e.text("eventTime"))
	return e, err
}

// text is the value at a path, empty if there is none.
func (e *event) text(path string) string {
	var v any = e.doc
	for _, name := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[name]
	}
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (e *event) identity() string {
	return strings.Join([]string{e.text("eventID"), e.text("recipientAccountId"), e.text("eventName"), e.text("eventTime")}, " ")
}
