package kafka

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	restore     prometheus.Histogram
	restoreRate prometheus.Gauge
	restored    prometheus.Counter
	aborts      prometheus.Counter
	fenced      prometheus.Counter
	cacheHits   prometheus.Counter
	cacheMisses prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "trailtide_fleet_" + name, Help: help})
	}
	m := &metrics{
		restore: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trailtide_fleet_restore_seconds", Help: "How long a partition's state took to restore.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 60},
		}),
		restoreRate: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trailtide_fleet_restore_bytes_per_second", Help: "Keys and values read by the last restore, per second.",
		}),
		restored:    counter("restored_entries_total", "Entries that restores have brought."),
		aborts:      counter("transaction_aborts_total", "Transactions of the alert stage that were aborted."),
		fenced:      counter("transactions_fenced_total", "Transactional IDs of the alert stage that were found taken."),
		cacheHits:   counter("evidence_cache_hits_total", "Events of evidence found in the cache."),
		cacheMisses: counter("evidence_cache_misses_total", "Events of evidence read from the repartition topic."),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.restore, m.restoreRate, m.restored, m.aborts, m.fenced, m.cacheHits, m.cacheMisses} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
