package fleet

import (
	"math"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are of a worker's part in the fleet. Those of the match stage are the
// worker's own.
type metrics struct {
	owned                                    prometheus.Gauge
	lags, keys, bytes, remembered, watermark *prometheus.GaugeVec
	aborts, fenced, commits, dropped, gone   prometheus.Counter
	restored                                 prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	const space, sub = "trailtide", "fleet"
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: space, Subsystem: sub, Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	vec := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: space, Subsystem: sub, Name: name, Help: help}, []string{"partition"})
		r.MustRegister(g)
		return g
	}
	m := &metrics{
		owned: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: space, Subsystem: sub, Name: "partitions_owned", Help: "Repartition partitions that this worker counts.",
		}),
		lags:       vec("repartition_lag_records", "Records of the repartition topic that are not applied yet, by partition."),
		keys:       vec("window_keys", "Keys in the windows, by repartition partition."),
		bytes:      vec("window_bytes", "Approximate memory of the windows, by repartition partition."),
		remembered: vec("identities_remembered", "Identities of plain alerts that are remembered, by repartition partition."),
		watermark:  vec("watermark_timestamp_seconds", "How far event time is known to be complete, by repartition partition."),
		aborts:     counter("match_transaction_aborts_total", "Transactions of the match stage that were aborted."),
		fenced:     counter("match_fenced_total", "Transactional IDs of the match stage that another worker had taken over."),
		commits:    counter("alert_commits_total", "Commits of the alert stage."),
		dropped:    counter("results_dropped_total", "Source partitions whose results of an interval were left to their new holder."),
		gone:       counter("repartition_records_lost_total", "Records of the repartition topic that retention removed before they were counted."),
		restored: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: space, Subsystem: sub, Name: "takeover_seconds", Help: "Time from an assignment of a partition until it counts.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		}),
	}
	r.MustRegister(m.owned, m.restored)
	return m
}

func label(p int) string { return strconv.Itoa(p) }

func (m *metrics) lag(p int, n int64) { m.lags.WithLabelValues(label(p)).Set(float64(max(n, 0))) }

// partition shows a partition's state.
func (m *metrics) partition(p int, s *snapshot) {
	m.keys.WithLabelValues(label(p)).Set(float64(s.windows.Keys))
	m.bytes.WithLabelValues(label(p)).Set(float64(s.windows.Bytes))
	m.remembered.WithLabelValues(label(p)).Set(float64(s.remembered))
	if s.watermark != math.MinInt64 {
		m.watermark.WithLabelValues(label(p)).Set(float64(s.watermark) / 1e9)
	}
}

// drop forgets a partition that has gone.
func (m *metrics) drop(p int) {
	for _, v := range []*prometheus.GaugeVec{m.lags, m.keys, m.bytes, m.remembered, m.watermark} {
		v.DeleteLabelValues(label(p))
	}
}
