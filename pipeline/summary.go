package pipeline

import (
	"maps"
	"time"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/window"
)

// Summary is what a worker did so far, as far as it is durable.
type Summary struct {
	Tally
	Late, Untimed, Conflicts int64
	Ungrouped                int64
	Suppressed               int64
	Alerts                   map[sinks.Status]int64
	Rules                    map[string]int64 // matches by rule
	Commits                  int64
	Watermark                int64 // Unix nanoseconds
	Windows                  window.Stats
}

// Summary returns a copy. Safe while running.
func (w *Worker) Summary() Summary {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.summary
	s.Alerts, s.Rules = maps.Clone(s.Alerts), maps.Clone(s.Rules)
	return s
}

// record adds a durable interval to the summary and the metrics.
func (w *Worker) record(interval []*result, c *alerting.Counts, start time.Time) {
	var tally Tally
	for _, res := range interval {
		for i := range res.tallies {
			tally.add(&res.tallies[i].Tally)
		}
		w.metrics.costs(res.costs)
	}
	now := w.o.Now()
	w.metrics.tally(&tally)
	w.metrics.committed(now.Sub(start))
	w.mu.Lock()
	w.summary.Tally.add(&tally)
	w.summary.Commits++
	w.mu.Unlock()
	w.RecordCounts(c)
}

// RecordCounts adds what an alert stage counted in a durable interval to the
// summary and the metrics. Safe for concurrent use.
func (w *Worker) RecordCounts(c *alerting.Counts) {
	w.metrics.counts(c, w.o.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.summary
	s.Matched += c.Matched
	s.Duplicate += c.Duplicate
	s.Late += c.Late
	s.Untimed += c.Untimed
	s.Conflicts += c.Conflicts
	s.Ungrouped += c.Ungrouped
	if s.Alerts == nil {
		s.Alerts, s.Rules = make(map[sinks.Status]int64), make(map[string]int64)
	}
	for id, r := range c.Rules {
		s.Rules[id] += r.Matches
		s.Suppressed += r.Suppressed
		for status, n := range r.Alerts {
			s.Alerts[status] += n
		}
	}
}

// RecordState shows what this process holds of windows. Safe for concurrent use.
func (w *Worker) RecordState(state State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.metrics.state(state)
	w.summary.Watermark = state.Watermark()
	w.summary.Windows = state.Windows()
}
