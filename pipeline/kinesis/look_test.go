package kinesis

import (
	"testing"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// Children that were begun are known after a restart although the list leaves
// them out and nothing of them was read: until they are listed, nothing is live.
func TestChildrenLeftOutOfList(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{})
		srv.CreateStream("trail", 2)
		o := options(srv, mode, "trail")
		r := open(t, o, nil)
		r.untilLive()
		srv.Split("trail", "shardId-000000000000")
		r.until("the children to go on", func() bool {
			return !r.open["trail/shardId-000000000000"] && len(r.open) == 3
		})
		r.close()
		fill(srv, "trail", 0, 99)
		behind := srv.Inject(kinesistest.Fault{Op: "ListShards", HideChildren: true})
		r = r.restart(o)
		r.until("a few lists", func() bool {
			if r.live {
				t.Fatal("live without the children")
			}
			return behind.Hits() > 10
		})
		if len(r.open) != 3 {
			t.Errorf("%v are open: children that were begun hold the watermark, listed or not", r.open)
		}
		behind.Remove()
		r.untilCount(100)
		r.untilLive()
		checkOrder(t, r.payloads(), 0, 99)
	})
}
