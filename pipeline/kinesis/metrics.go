package kinesis

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	behind                                *prometheus.GaugeVec // stream, shard
	throttles                             *prometheus.CounterVec
	reading                               prometheus.Gauge
	records, userRecords, bytes           prometheus.Counter
	failures, iterators, resubscriptions  prometheus.Counter
	broken, trimmed, remade, restarted    prometheus.Counter
	shardsFinished, repeatsSkipped, taken prometheus.Counter
}

func newMetrics(r prometheus.Registerer, checkpointAge func() float64) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "trailtide", Subsystem: "kinesis", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	m := &metrics{
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("millis_behind_latest",
			"How far the last read was behind the shard's end, as the service says, in milliseconds.")), []string{"stream", "shard"}),
		throttles: prometheus.NewCounterVec(prometheus.CounterOpts(opts("throttles_total",
			"Requests that were refused because there were too many; each is tried again.")), []string{"operation"}),
		reading:         prometheus.NewGauge(prometheus.GaugeOpts(opts("shards_reading", "Shards that this worker reads."))),
		records:         counter("records_total", "Records read."),
		userRecords:     counter("user_records_total", "Records read, those inside of aggregates counted each."),
		bytes:           counter("bytes_total", "Bytes of the data of the records read."),
		failures:        counter("read_failures_total", "Failures to read or to look at a stream other than throttles; each is tried again."),
		iterators:       counter("iterators_expired_total", "Shard iterators that had to be replaced."),
		resubscriptions: counter("resubscriptions_total", "Fan-out subscriptions begun after a shard's first."),
		broken:          counter("aggregates_broken_total", "Aggregated records that cannot be taken apart; each is one invalid event."),
		trimmed:         counter("shards_trimmed_total", "Shards that retention removed before they were read to their ends."),
		remade:          counter("streams_remade_total", "Streams that were deleted and made again; each is read from its start."),
		restarted:       counter("positions_refused_total", "Positions that the service does not know; the shard is read from its start."),
		shardsFinished:  counter("shards_finished_total", "Shards that were read to their ends."),
		repeatsSkipped:  counter("records_repeated_total", "Records that the service sent again and that were left out."),
		taken:           counter("shards_taken_total", "Shards that this worker began to read."),
	}
	r.MustRegister(m.behind, m.throttles, m.reading, m.records, m.userRecords, m.bytes, m.failures, m.iterators, m.resubscriptions,
		m.broken, m.trimmed, m.remade, m.restarted, m.shardsFinished, m.repeatsSkipped, m.taken,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("checkpoint_age_seconds",
			"How long the longest-waiting record that was handed out has not been committed.")), checkpointAge))
	return m
}
