package kinesis

import (
	"slices"
	"testing"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

func TestReadsAllShards(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{})
		srv.CreateStream("trail", 4)
		fill(srv, "trail", 0, 999)
		r := open(t, options(srv, mode, "trail"), nil)
		r.untilCount(1000)
		fill(srv, "trail", 1000, 1499)
		r.untilCount(1500)
		r.untilLive()
		if len(r.got) != 1500 {
			t.Errorf("%d records, want 1500", len(r.got))
		}
		checkOrder(t, r.payloads(), 0, 1499)
		if err := r.s.Health(); err != nil {
			t.Errorf("health: %v", err)
		}
		r.until("being idle", func() bool { return len(r.idle) == 4 })
		o := options(srv, mode, "trail")
		r = r.restart(o)
		fill(srv, "trail", 1500, 1599)
		r.untilCount(100)
		r.untilLive()
		checkOrder(t, r.payloads(), 1500, 1599)
		if len(r.got) != 100 {
			t.Errorf("%d records after the restart, want 100", len(r.got))
		}
	})
}

// A merge's child begins when both parents are read, names them, and holds the
// watermark before they let it go: the harness looks at the order.
func TestChildrenGoOnFromParents(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{})
		srv.CreateStream("trail", 2)
		fill(srv, "trail", 0, 99)
		r := open(t, options(srv, mode, "trail"), nil)
		r.untilLive()
		srv.Merge("trail", "shardId-000000000000", "shardId-000000000001")
		fill(srv, "trail", 100, 199)
		r.untilCount(200)
		r.until("the parents to be closed", func() bool { return len(r.open) == 1 })
		want := []string{"trail/shardId-000000000000", "trail/shardId-000000000001"}
		if got := slices.Sorted(slices.Values(r.from["trail/shardId-000000000002"])); !slices.Equal(got, want) {
			t.Errorf("the child goes on from %v, want %v", got, want)
		}
		checkOrder(t, r.payloads(), 0, 199)
	})
}
