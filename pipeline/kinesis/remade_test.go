package kinesis

import (
	"fmt"
	"testing"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// A stream that was split, and is deleted and made again, is read from its start
// under leases, too: its first shards have the names of parents that were read
// to their ends.
func TestLeasesOfAStreamMadeAgain(t *testing.T) {
	for _, streams := range [][]string{{"trail"}, {"trail", "other"}} {
		for _, start := range []string{startHorizon, startLatest} {
			for _, how := range []string{"running", "stopped"} {
				t.Run(fmt.Sprintf("%d streams, from %s, %s", len(streams), start, how), func(t *testing.T) {
					srv := server(t, kinesistest.Options{})
					for _, name := range streams {
						srv.CreateStream(name, 2)
					}
					o := leased(srv, modePolling, leasetest.New(), streams...)
					o.Start = start
					l := newLedger()
					m := join(t, o, l)
					reading := func(n int) func() bool {
						return func() bool { return m.metric("shards_reading") == float64(n) }
					}
					eventually(t, "the shards", reading(2*len(streams)))
					srv.Split("trail", "shardId-000000000000")
					srv.Split("trail", "shardId-000000000001")
					eventually(t, "the children", reading(2+2*len(streams)))
					fill(srv, "trail", 0, 99)
					eventually(t, "the records", func() bool { return l.count() == 100 })
					if how == "stopped" {
						m.leave()
					}
					srv.DeleteStream("trail")
					if how == "running" {
						eventually(t, "the shards to be given up", reading(2*len(streams)-2))
					}
					srv.CreateStream("trail", 2)
					fill(srv, "trail", 100, 199)
					if how == "stopped" {
						m = join(t, o, l)
					}
					eventually(t, "the new records", func() bool { return l.count() == 200 })
					eventually(t, "the leases of before to be gone", func() bool { return len(o.db.Items("trailtide")) == 2*len(streams) })
					m.leave()
				})
			}
		}
	}
}
