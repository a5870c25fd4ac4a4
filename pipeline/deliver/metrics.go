package deliver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of all routes. The label sink is bounded by the configuration.
type metrics struct {
	alerts  *prometheus.CounterVec
	writes  *prometheus.HistogramVec
	latency *prometheus.HistogramVec
	lag     *prometheus.GaugeVec
	outbox  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trailtide_sink_alerts_total",
			Help: "Alerts by sink and outcome: delivered, retried (an attempt failed, another follows), dead (in the dead letter), filtered (not for this sink), stale (older than max_age), muted (acked, closed or ignored by a person).",
		}, []string{"sink", "outcome"}),
		writes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "trailtide_sink_write_seconds",
			Help:    "Duration of one write to a sink.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"sink"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "trailtide_sink_delivery_seconds",
			Help:    "Time from the commit of an alert to its delivery.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}, []string{"sink"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trailtide_sink_queue_lag_seconds",
			Help: "Age of the oldest alert that waits for delivery when the queue was last looked at; 0 when none waits.",
		}, []string{"sink"}),
		outbox: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trailtide_sink_outbox_errors_total",
			Help: "Failures to read the queue of alerts or to store how far a sink has come.",
		}, []string{"sink"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.alerts, m.writes, m.latency, m.lag, m.outbox} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// routeMetrics are the children of one sink, resolved once.
type routeMetrics struct {
	delivered, retried, dead, filtered, stale, muted, outboxErrors prometheus.Counter

	write, latency prometheus.Observer
	lag            prometheus.Gauge
}

func (m *metrics) route(sink string) routeMetrics {
	outcome := func(name string) prometheus.Counter { return m.alerts.WithLabelValues(sink, name) }
	return routeMetrics{
		delivered: outcome("delivered"), retried: outcome("retried"), dead: outcome("dead"),
		filtered: outcome("filtered"), stale: outcome("stale"),
		muted: outcome("muted"), outboxErrors: m.outbox.WithLabelValues(sink),
		write:   m.writes.WithLabelValues(sink),
		latency: m.latency.WithLabelValues(sink),
		lag:     m.lag.WithLabelValues(sink),
	}
}

func (m *routeMetrics) observeDelivered(detected, now time.Time) {
	m.delivered.Inc()
	if !detected.IsZero() {
		m.latency.Observe(max(now.Sub(detected), 0).Seconds())
	}
}
