package kafka

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	assigned                     prometheus.Gauge
	lag                          *prometheus.GaugeVec
	failures, truncated, skipped prometheus.Counter

	starts map[topicPartition]int64 // guarded by the source's mu
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		assigned: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "trailtide", Subsystem: "kafka", Name: "partitions_assigned", Help: "Source partitions that this worker reads.",
		}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "trailtide", Subsystem: "kafka", Name: "lag_records", Help: "Records between the reader and the partition's end.",
		}, []string{"topic", "partition"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "trailtide", Subsystem: "kafka", Name: "read_failures_total", Help: "Failures to read or to ask for offsets; each is tried again.",
		}),
		truncated: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "trailtide", Subsystem: "kafka", Name: "records_truncated_total", Help: "Records read that the log has lost since.",
		}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "trailtide", Subsystem: "kafka", Name: "records_lost_total", Help: "Offsets that retention removed before they were read.",
		}),
		starts: make(map[topicPartition]int64),
	}
	r.MustRegister(m.assigned, m.lag, m.failures, m.truncated, m.skipped)
	return m
}

func (m *metrics) setLag(tp topicPartition, lag int64) {
	m.lag.WithLabelValues(tp.topic, strconv.FormatInt(int64(tp.partition), 10)).Set(float64(lag))
}

func (m *metrics) setStart(tp topicPartition, start int64) { m.starts[tp] = start }

// start is where the partition's log begins, as far as is known.
func (m *metrics) start(tp topicPartition) int64 { return m.starts[tp] }
