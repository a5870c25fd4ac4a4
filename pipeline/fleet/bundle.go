package fleet

import (
	"math"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/window"
)

// bundle is what an interval brought of one source partition: encoded, so that
// it can be written again as it is.
type bundle struct {
	name     string
	stay     int64         // of the source partition with this worker
	events   []*kgo.Record // for the repartition topic
	rules    map[ruleAt]*alerting.Rule
	absent   map[absentKey]*absence
	dead     []*kgo.Record
	position []byte
	times    repartition.Part
	closed   bool
	heirs    []string // that hold the watermark once it is closed
}

// ruleAt is a rule that a repartition partition has to know.
type ruleAt struct {
	partition int32
	hash      uint64
}

// absentKey is a key of an absence rule: only its newest match counts.
type absentKey struct {
	hash uint64
	key  string
}

type absence struct {
	ev     *alerting.Event
	match  alerting.Match
	folded int
}

func newBundle(name string, stay int64) *bundle {
	return &bundle{
		name: name, stay: stay, rules: make(map[ruleAt]*alerting.Rule), absent: make(map[absentKey]*absence),
		times: repartition.Part{Name: name, Reached: math.MinInt64},
	}
}

// add encodes an event for each partition that counts a match of it. The first
// record accounts for the event.
func (b *bundle) add(ev *alerting.Event, s *spreads, topic string, n int) {
	var at [8]int32
	where := at[:0]
	primary := true
	record := func(p int32, matches []alerting.Match) {
		e := *ev
		e.Secondary = !primary
		primary = false
		b.events = append(b.events, &kgo.Record{Topic: topic, Partition: p, Value: repartition.AppendEvent(nil, &e, matches)})
	}
	for i := range ev.Matches {
		m := &ev.Matches[i]
		p := s.partition(ev, m, n)
		b.know(p, m.Rule)
		where = append(where, p)
	}
	var group []alerting.Match
	for turn := range turns {
		for i := range ev.Matches {
			m := &ev.Matches[i]
			if where[i] < 0 || turnOf(ev, m) != turn {
				continue
			}
			if folds(ev, m) {
				if b.fold(ev, m, primary) {
					primary = false
				}
				continue
			}
			p := where[i]
			group = group[:0]
			for j := range where {
				if where[j] == p && !folds(ev, &ev.Matches[j]) {
					group = append(group, ev.Matches[j])
					where[j] = -1
				}
			}
			record(p, group)
		}
	}
}

// turns are how many kinds of matches there are, in the order in which they are
// asked to account for the event: who counts tells best whether it is a
// duplicate, late or without a time; what is folded cannot tell.
const turns = 3

func turnOf(ev *alerting.Event, m *alerting.Match) int {
	switch {
	case folds(ev, m):
		return 2
	case m.Rule.Policy == nil || m.Suppressed != nil:
		return 1
	}
	return 0
}

// folds says that of such matches only the newest one counts.
func folds(ev *alerting.Event, m *alerting.Match) bool {
	p := m.Rule.Policy
	return p != nil && p.Kind == window.Absence && ev.Timed && !m.NoGroup && !m.NoValue && m.Suppressed == nil
}

// fold keeps the newest match of a key of an absence rule. It answers whether
// the event is accounted for by that.
func (b *bundle) fold(ev *alerting.Event, m *alerting.Match, primary bool) bool {
	k := absentKey{m.Rule.Hash, string(m.Key)}
	old := b.absent[k]
	if old == nil {
		e := *ev
		e.Secondary = !primary
		b.absent[k] = &absence{ev: &e, match: *m}
		return primary
	}
	if primary {
		old.folded++
	}
	if ev.Time > old.ev.Time {
		e := *ev
		e.Secondary = old.ev.Secondary
		old.ev, old.match = &e, *m
	}
	return primary
}

// know notes that a partition has to be told of a rule and of those it feeds.
func (b *bundle) know(p int32, r *alerting.Rule) {
	k := ruleAt{p, r.Hash}
	if b.rules[k] == r {
		return
	}
	b.rules[k] = r
	for _, to := range r.Fed() {
		b.know(p, to)
	}
}

// seal encodes what was folded.
func (b *bundle) seal(s *spreads, topic string, n int) {
	for k, a := range b.absent {
		a.ev.Folded = a.folded
		p := s.partition(a.ev, &a.match, n)
		b.events = append(b.events, &kgo.Record{
			Topic: topic, Partition: p, Value: repartition.AppendEvent(nil, a.ev, []alerting.Match{a.match}),
		})
		delete(b.absent, k)
	}
}

// bundleOf names the source partition of a place for people,
// "PARTITION@offset" or "PATH:line".
func bundleOf(position string, known func(name string) bool) string {
	for end := len(position); end > 0; {
		i := strings.LastIndexAny(position[:end], "@:#")
		if i < 0 {
			break
		}
		if known(position[:i]) {
			return position[:i]
		}
		end = i
	}
	return position
}
