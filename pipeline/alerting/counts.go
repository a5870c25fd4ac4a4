package alerting

import "github.com/trailtide/trailtide/sinks"

// Counts is what an interval did. Only committed intervals are counted.
type Counts struct {
	Matched   int64 // events with a match that was not seen before
	Duplicate int64 // events whose every match was seen before
	Late      int64 // matched events that a threshold left out for being late
	Untimed   int64 // matched events that a threshold left out for lack of a usable time
	Ungrouped int64 // matched events that a correlation left out for lack of a group-by field
	Conflicts int64 // duplicates whose bytes differ
	Rules     map[string]*RuleCounts
	// Arrivals are the bus times of events that made an alert or counted
	// towards one (Unix nanoseconds), for the latency histogram.
	Arrivals []int64
}

// RuleCounts is what one rule did.
type RuleCounts struct {
	Matches    int64 // duplicates too
	Suppressed int64
	Alerts     map[sinks.Status]int64
}

// maxArrivals bounds the latency samples of an interval.
const maxArrivals = 4096

func (c *Counts) rule(id string) *RuleCounts {
	r := c.Rules[id]
	if r == nil {
		if c.Rules == nil {
			c.Rules = make(map[string]*RuleCounts)
		}
		r = &RuleCounts{Alerts: make(map[sinks.Status]int64, 1)}
		c.Rules[id] = r
	}
	return r
}

func (c *Counts) alert(ruleID string, s sinks.Status, arrived int64) {
	c.rule(ruleID).Alerts[s]++
	c.arrived(arrived)
}

func (c *Counts) arrived(t int64) {
	if t > 0 && len(c.Arrivals) < maxArrivals {
		c.Arrivals = append(c.Arrivals, t)
	}
}
