package sqlite

import (
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// BenchmarkCommit is a commit interval of a busy worker: 1,000 changed windows
// among 100,000.
func BenchmarkCommit(b *testing.B) {
	e := startAt(b, filepath.Join(b.TempDir(), "state.db"), Options{})
	n := uint64(0)
	fill := func(txn engine.Txn) {
		for range 1000 {
			n++
			key := binary.BigEndian.AppendUint64(make([]byte, 0, 40), n*0x9E3779B97F4A7C15%100_000*0x9E3779B97F4A7C15)
			txn.Put(engine.Windows, key[:40], make([]byte, 200))
		}
		txn.Position("trail/0", binary.BigEndian.AppendUint64(nil, n))
	}
	for range 100 {
		commit(b, e, fill)
	}
	b.ReportAllocs()
	for b.Loop() {
		commit(b, e, fill)
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

// BenchmarkCommitAlerts is a burst of 100 alerts in one commit.
func BenchmarkCommitAlerts(b *testing.B) {
	e := startAt(b, filepath.Join(b.TempDir(), "state.db"), Options{})
	n := uint64(0)
	raw := make([]byte, 1500)
	for i := range raw {
		raw[i] = 'x'
	}
	for b.Loop() {
		commit(b, e, func(txn engine.Txn) {
			for range 100 {
				n++
				id := string(binary.BigEndian.AppendUint64(nil, n*0x9E3779B97F4A7C15))
				txn.Alert(&sinks.Alert{AlertID: id, RuleID: "r", User: id[:2], Time: time.Unix(int64(n), 0), Event: raw}, true, true)
			}
		})
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
}
