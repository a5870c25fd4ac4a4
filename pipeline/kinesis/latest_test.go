package kinesis

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// Under leases, too, "latest" is the moment of the first start, by the service's
// clock: for a shard that had to wait for a worker, and wherever the workers'
// clocks stand.
func TestLatestUnderLeases(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			srv, clock := clocked(t, time.Now().Add(off))
			srv.CreateStream("trail", 2)
			both := func(payload string) {
				for _, sh := range srv.Open("trail") {
					srv.PutTo("trail", sh, "k", []byte(payload+sh))
				}
			}
			both("old")
			clock.Add(time.Minute.Milliseconds())
			o := leased(srv, modePolling, leasetest.New(), "trail")
			o.Start, o.Leases.MaxLeases = startLatest, 1
			l := newLedger()
			one := join(t, o, l)
			eventually(t, "one of the shards", func() bool { return one.metric("shards_reading") == 1 })
			clock.Add(time.Minute.Milliseconds())
			both("new")
			clock.Add(time.Minute.Milliseconds())
			two := join(t, o, l)
			eventually(t, "the other shard", func() bool { return two.metric("shards_reading") == 1 })
			eventually(t, "both records", func() bool { return l.count() == 2 })
			one.leave()
			two.leave()
			for _, g := range l.got {
				if g.payload[:3] != "new" {
					t.Errorf("%s was read", g.payload)
				}
			}
		})
	}
}

// A worker that dies before its first commit leaves the moment to the next one.
func TestLatestIsRemembered(t *testing.T) {
	srv, clock := clocked(t, time.Now().Add(-time.Hour))
	srv.CreateStream("trail", 1)
	srv.Put("trail", "k", []byte("old"))
	clock.Add(time.Minute.Milliseconds())
	o := leased(srv, modePolling, leasetest.New(), "trail")
	o.Start = startLatest
	first := join(t, o, newLedger())
	eventually(t, "the shard", func() bool { return first.metric("shards_reading") == 1 })
	first.leave()
	clock.Add(time.Minute.Milliseconds())
	srv.Put("trail", "k", []byte("new"))
	clock.Add(time.Minute.Milliseconds())
	l := newLedger()
	second := join(t, o, l)
	eventually(t, "the record", func() bool { return l.count() == 1 })
	second.leave()
	if l.got[0].payload != "new" {
		t.Errorf("%q was read, want new", l.got[0].payload)
	}
}
