package kafka

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	assigned                           prometheus.Gauge
	lag                                *prometheus.GaugeVec
	failures, commitFailures           prometheus.Counter
	truncated, lost, rewound, rebegun  prometheus.Counter
	records, bytes, controlRecordsSeen prometheus.Counter
	undrained                          prometheus.Counter // of shared partitions
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "trailtide", Subsystem: "kafka", Name: name, Help: help})
	}
	m := &metrics{
		assigned: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "trailtide", Subsystem: "kafka", Name: "partitions_assigned", Help: "Source partitions that this worker reads.",
		}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "trailtide", Subsystem: "kafka", Name: "lag_records", Help: "Offsets between the reader and the partition's end.",
		}, []string{"topic", "partition"}),
		failures:           counter("read_failures_total", "Failures to read or to ask for offsets; each is tried again."),
		commitFailures:     counter("group_commit_failures_total", "Failures to write positions to the group; each is tried again."),
		truncated:          counter("records_truncated_total", "Records that were read and that the log may have lost since: its end, or the epoch they came in, is not known any more."),
		lost:               counter("records_lost_total", "Offsets that retention removed before they were read."),
		rewound:            counter("rewinds_total", "Times that a log went on before the offset that was read last."),
		rebegun:            counter("topics_remade_total", "Topics that were deleted and made again; each is read from its start."),
		records:            counter("records_total", "Records read."),
		bytes:              counter("bytes_total", "Bytes of the values of the records read."),
		undrained:          counter("partitions_lost_undrained_total", "Partitions that went to another worker before all that was read of them here was committed; it is read again there."),
		controlRecordsSeen: counter("control_records_total", "Transaction markers read; they hold no event."),
	}
	r.MustRegister(m.assigned, m.lag, m.failures, m.commitFailures, m.truncated, m.lost, m.rewound, m.rebegun,
		m.records, m.bytes, m.controlRecordsSeen, m.undrained)
	return m
}

func (m *metrics) setLag(tp topicPartition, lag int64) {
	m.lag.WithLabelValues(tp.topic, strconv.FormatInt(int64(tp.partition), 10)).Set(float64(lag))
}

func (m *metrics) dropLag(tp topicPartition) {
	m.lag.DeleteLabelValues(tp.topic, strconv.FormatInt(int64(tp.partition), 10))
}
