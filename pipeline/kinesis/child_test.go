package kinesis

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// A child that its parent's end told of, and that the service does not know for
// a moment, is asked for again: no list has had it yet.
func TestFreshChildIsNotGone(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{})
		srv.CreateStream("trail", 1)
		r := prepare(t, options(srv, mode, "trail"))
		r.s.o.ListInterval = time.Hour
		if err := r.s.Start(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		r.untilLive()
		op := "GetShardIterator"
		if mode == modeFanOut {
			op = "SubscribeToShard"
		}
		fault := srv.Inject(kinesistest.Fault{Op: op, Shard: "shardId-000000000001", Code: kinesistest.ErrResourceNotFound, Count: 1})
		srv.Split("trail", "shardId-000000000000")
		fill(srv, "trail", 0, 99)
		r.untilCount(100)
		checkOrder(t, r.payloads(), 0, 99)
		if fault.Hits() != 1 {
			t.Error("the child was not asked for")
		}
		if n := r.metric("shards_trimmed_total"); n != 0 {
			t.Errorf("%v shards count as trimmed", n)
		}
	})
}
