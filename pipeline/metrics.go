package pipeline

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailtide/trailtide/pipeline/alerting"
)

// metrics are a worker's. Every name is here.
type metrics struct {
	read, invalid, matched, duplicate, unmatched  prometheus.Counter
	skipped, bytes, late, untimed, conflicts      prometheus.Counter
	ungrouped                                     prometheus.Counter
	commits, aborts, storeFailures                prometheus.Counter
	ruleMatches, ruleSuppressed                   *prometheus.CounterVec
	ruleEvaluations, ruleSeconds                  *prometheus.CounterVec
	alerts                                        *prometheus.CounterVec
	evicted, refused                              prometheus.Counter
	rules, keys, members, windowBytes, remembered prometheus.Gauge
	watermark                                     prometheus.Gauge
	commitSeconds, latencySeconds                 prometheus.Histogram

	lastEvicted, lastRefused int64
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "trailtide", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "trailtide", Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "trailtide", Name: name, Help: help})
		r.MustRegister(g)
		return g
	}
	seconds := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "trailtide", Name: name, Help: help, Buckets: buckets})
		r.MustRegister(h)
		return h
	}
	return &metrics{
		read:      counter("events_read_total", "Events read: invalid + matched + duplicate + unmatched."),
		invalid:   counter("events_invalid_total", "Events that could not be read; each is in the dead letter."),
		matched:   counter("events_matched_total", "Events that matched a rule and were not seen before."),
		duplicate: counter("events_duplicate_total", "Events whose every match was seen before."),
		unmatched: counter("events_unmatched_total", "Events that no rule matched."),
		skipped:   counter("records_skipped_total", "Control messages and digest files: not events."),
		bytes:     counter("payload_bytes_total", "Payload bytes as the source delivered them."),
		late:      counter("events_late_total", "Matched events that a threshold left out because they are older than the watermark."),
		untimed:   counter("events_untimed_total", "Matched events that a threshold left out for lack of a usable event time."),
		ungrouped: counter("events_ungrouped_total", "Matched events that a correlation left out for lack of a group-by field."),
		conflicts: counter("event_id_conflicts_total", "Duplicates by identity whose bytes differ."),

		commits:        counter("commits_total", "Commits that became durable."),
		aborts:         counter("commits_aborted_total", "Commits that were aborted, undone and applied again."),
		storeFailures:  counter("store_failures_total", "Attempts that found the store unavailable."),
		commitSeconds:  seconds("commit_duration_seconds", "Time a commit took.", prometheus.ExponentialBuckets(0.001, 2, 14)),
		latencySeconds: seconds("event_to_alert_seconds", "From a record's arrival on its bus to the durable alert or count.", prometheus.ExponentialBuckets(0.01, 2, 18)),

		ruleMatches:     vec("rule_matches_total", "Matches by rule, duplicates too.", "rule"),
		ruleSuppressed:  vec("rule_suppressed_total", "Matches that a suppression covered, by rule.", "rule"),
		ruleEvaluations: vec("rule_evaluations_total", "Events that the index left to a rule's condition, by rule.", "rule"),
		ruleSeconds:     vec("rule_evaluation_seconds_total", "Estimated time spent in a rule's condition, by rule; from samples.", "rule"),
		alerts:          vec("alerts_total", "Alerts by rule and status.", "rule", "status"),

		rules:       gauge("rules", "Rules in force."),
		keys:        gauge("window_keys", "Keys in the window store."),
		members:     gauge("window_members", "Matches remembered in windows."),
		windowBytes: gauge("window_bytes", "Approximate memory of the window store."),
		remembered:  gauge("remembered_identities", "Identities of plain alerts that are remembered."),
		watermark:   gauge("watermark_timestamp_seconds", "Event time that is known to be complete."),
		evicted:     counter("window_keys_evicted_total", "Keys pushed out by the memory bound."),
		refused:     counter("window_keys_refused_total", "Absence keys refused at the memory bound."),
	}
}

// tally records what matching made of an interval.
func (m *metrics) tally(t *Tally) {
	m.read.Add(float64(t.Read))
	m.invalid.Add(float64(t.Invalid))
	m.unmatched.Add(float64(t.Unmatched))
	m.skipped.Add(float64(t.Skipped))
	m.bytes.Add(float64(t.Bytes))
}

// committed records a commit.
func (m *metrics) committed(took time.Duration) {
	m.commits.Inc()
	m.commitSeconds.Observe(took.Seconds())
}

// counts records what an alert stage made of an interval.
func (m *metrics) counts(c *alerting.Counts, now time.Time) {
	m.matched.Add(float64(c.Matched))
	m.duplicate.Add(float64(c.Duplicate))
	m.late.Add(float64(c.Late))
	m.untimed.Add(float64(c.Untimed))
	m.ungrouped.Add(float64(c.Ungrouped))
	m.conflicts.Add(float64(c.Conflicts))
	for id, r := range c.Rules {
		m.ruleMatches.WithLabelValues(id).Add(float64(r.Matches))
		if r.Suppressed > 0 {
			m.ruleSuppressed.WithLabelValues(id).Add(float64(r.Suppressed))
		}
		for status, n := range r.Alerts {
			m.alerts.WithLabelValues(id, string(status)).Add(float64(n))
		}
	}
	for _, arrived := range c.Arrivals {
		m.latencySeconds.Observe(time.Duration(now.UnixNano() - arrived).Seconds())
	}
}

// state shows what the windows hold.
func (m *metrics) state(state State) {
	s := state.Windows()
	m.keys.Set(float64(s.Keys))
	m.members.Set(float64(s.Members))
	m.windowBytes.Set(float64(s.Bytes))
	m.evicted.Add(float64(s.Evictions - m.lastEvicted))
	m.refused.Add(float64(s.Refused - m.lastRefused))
	m.lastEvicted, m.lastRefused = s.Evictions, s.Refused
	m.remembered.Set(float64(state.Remembered()))
	if w := state.Watermark(); w != math.MinInt64 {
		m.watermark.Set(float64(w) / 1e9)
	}
}

// costs records what rules took in one batch.
func (m *metrics) costs(costs []ruleCost) {
	for _, c := range costs {
		m.ruleEvaluations.WithLabelValues(c.id).Add(float64(c.evaluations))
		m.ruleSeconds.WithLabelValues(c.id).Add(c.seconds)
	}
}
