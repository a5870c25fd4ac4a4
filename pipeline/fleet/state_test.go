package fleet

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gathered are the values of a metric, by partition or "" where it has none.
func gathered(t *testing.T, r *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			partition := ""
			for _, l := range m.GetLabel() {
				partition = l.GetValue()
			}
			out[partition] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

// The worker's own metrics are of all partitions that it has: what is in them,
// what their bounds have cost, and where the slowest stands.
func TestMetricsOfAllPartitions(t *testing.T) {
	t.Parallel()
	rs := compile(t, busyRules)
	events := testEvents(t, 31, 2_000)
	c := testBroker(t)
	registry := prometheus.NewRegistry()
	w := start(t, c, "w", rs, quiet, func(o *Options) {
		o.Registerer = registry
		o.Alerting.Windows.MaxKeys = 2 * testPartitions
	})
	produce(t, testClient(t, c), events)
	settled(t, len(events), w)
	value := func(name string) float64 { return gathered(t, registry, name)[""] }
	eventually(t, "no partition lags", func() bool {
		lags := gathered(t, registry, "trailtide_fleet_repartition_lag_records")
		for _, n := range lags {
			if n != 0 {
				return false
			}
		}
		return len(lags) == testPartitions
	})
	eventually(t, "evictions are counted, and the watermark is the least", func() bool {
		sum, least := 0.0, float64(time.Now().Unix())
		for _, n := range gathered(t, registry, "trailtide_fleet_window_keys") {
			sum += n
		}
		for _, at := range gathered(t, registry, "trailtide_fleet_watermark_timestamp_seconds") {
			least = min(least, at)
		}
		return sum > 0 && value("trailtide_window_keys") == sum && value("trailtide_window_keys_evicted_total") > 0 &&
			value("trailtide_watermark_timestamp_seconds") == least
	})
}
