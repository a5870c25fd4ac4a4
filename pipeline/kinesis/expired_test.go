package kinesis

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// What was read under a lease that is not valid any more is dropped, and all
// that comes after it.
func TestNothingIsHandedOutBehindWhatWasDropped(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	o := leased(srv, modePolling, leasetest.New(), "trail")
	m := join(t, o, newLedger())
	eventually(t, "the shard", func() bool { return m.metric("shards_reading") == 1 })
	m.stop() // reads nothing any more
	srv.Put("trail", "k", []byte("k:0"))
	s := m.s
	eventually(t, "the record", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.queue) == 1
	})
	s.mu.Lock()
	r := s.queue[0].r
	m.cut.Store(true)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 10_000 { // nobody else can look at the lease while this holds mu
		if !r.lease.Valid() {
			break
		}
		<-tick.C
	}
	b := &pipeline.Batch{}
	s.fill(b)
	over := r.over
	s.mu.Unlock()
	if len(b.Records) != 0 {
		t.Error("a record was handed out without a lease")
	}
	if !over {
		t.Error("the reading goes on behind a record that was dropped")
	}
	eventually(t, "the shard to be given up", func() bool { return m.metric("shards_reading") == 0 })
}
