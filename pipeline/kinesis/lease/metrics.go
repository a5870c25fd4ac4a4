package lease

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	taken, stolen, lost, finished, renewalsFailed, throttles, roundsFailed prometheus.Counter
}

// newMetrics registers the counters, and gauges that ask held and age (seconds).
func newMetrics(r prometheus.Registerer, held, age func() float64) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "trailtide", Subsystem: "lease", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "trailtide", Subsystem: "lease", Name: name, Help: help}, f))
	}
	gauge("held", "Leases that this worker holds.", held)
	gauge("checkpoint_age_seconds", "Of the leases held, the longest time since a checkpoint was recorded.", age)
	return &metrics{
		taken:          counter("taken_total", "Leases taken, stolen ones included."),
		stolen:         counter("stolen_total", "Leases handed over by another worker because this one had asked for them."),
		lost:           counter("lost_total", "Leases that ended without being given up: another took them, or they could not be renewed in time."),
		finished:       counter("finished_total", "Shards read to their ends."),
		renewalsFailed: counter("renewals_failed_total", "Attempts to renew a lease that failed; each is tried again in time."),
		throttles:      counter("throttles_total", "Calls that DynamoDB refused above its capacity."),
		roundsFailed:   counter("rounds_failed_total", "Rounds in which the lease table could not be read."),
	}
}
