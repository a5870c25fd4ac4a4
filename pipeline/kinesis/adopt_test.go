package kinesis

import (
	"testing"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// A stream that is added to the configuration changes the keys of the leases of
// the one that was there: it is read on from where it was, and so when it is
// taken away again.
func TestStreamsAreAddedAndTakenAway(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	srv.CreateStream("other", 1)
	db, l := leasetest.New(), newLedger()
	n := 0
	for _, streams := range [][]string{{"trail"}, {"trail", "other"}, {"trail"}} {
		o := leased(srv, modePolling, db, streams...)
		o.Start = startLatest
		m := join(t, o, l)
		if n == 0 {
			eventually(t, "the shard", func() bool { return m.metric("shards_reading") == 1 })
		}
		fill(srv, "trail", n, n+99)
		n += 100
		eventually(t, "the records", func() bool { return l.count() == n })
		m.leave()
		// While nobody reads, the shards are closed, and their children written to.
		fill(srv, "trail", n, n+49)
		for _, sh := range srv.Open("trail") {
			srv.Split("trail", sh)
		}
		fill(srv, "trail", n+50, n+99)
		n += 100
	}
	m := join(t, leased(srv, modePolling, db, "trail"), l)
	eventually(t, "the rest", func() bool { return l.count() == n })
	m.leave()
	var payloads []string
	for _, g := range l.got {
		payloads = append(payloads, g.payload)
	}
	checkOrder(t, payloads, 0, n-1)
}
