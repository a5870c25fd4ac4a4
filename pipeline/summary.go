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
func (w *Worker) record(interval []*result, c *alerting.Counts, stage *alerting.Stage, start time.Time) {
	tally := Tally{Matched: c.Matched, Duplicate: c.Duplicate}
	for _, res := range interval {
		tally.add(&res.tally)
		w.metrics.costs(res.costs)
	}
	now := w.o.Now()
	w.metrics.interval(&tally, c, stage, now, now.Sub(start))

	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.summary
	s.Tally.add(&tally)
	s.Late += c.Late
	s.Untimed += c.Untimed
	s.Conflicts += c.Conflicts
	s.Ungrouped += c.Ungrouped
	s.Commits++
	s.Watermark = stage.Watermark()
	s.Windows = stage.Windows()
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
