package kinesis

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// A parent's partition is closed in the commit of its end, for its children's
// hold the watermark from then on. So nothing is left open by a worker that dies
// after it, and who takes a lease whose shard was committed to its end closes it
// once more.
func TestChildrenInherit(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{})
		srv.CreateStream("trail", 1)
		srv.Put("trail", "k", []byte("k:0"))
		srv.Split("trail", "shardId-000000000000")
		const parent = "trail/shardId-000000000000"
		want := []string{"trail/shardId-000000000001", "trail/shardId-000000000002"}
		o := leased(srv, mode, leasetest.New(), "trail")
		l := newLedger()
		inherited := func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.finished[parent] && slices.Equal(slices.Sorted(slices.Values(l.heirs[parent])), want)
		}
		m := join(t, o, l)
		eventually(t, "the children to inherit", inherited)
		m.cut.Store(true)
		m.leave()

		l.mu.Lock()
		delete(l.finished, parent)
		l.mu.Unlock()
		o.db = leasetest.New() // as if the lease had never been told of the end
		m = join(t, o, l)
		eventually(t, "the children to inherit again", inherited)
		m.leave()
	})
}

// The lease of a shard that was committed to its end ends after its partition is
// closed, durably: who committed it may not have closed it, and nobody takes it
// any more once the lease is over.
func TestLeaseEndsAfterThePartition(t *testing.T) {
	for name, child := range map[string]bool{"with children": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			srv := server(t, kinesistest.Options{})
			srv.CreateStream("trail", 1)
			srv.Put("trail", "k", []byte("k:0"))
			srv.Split("trail", "shardId-000000000000")
			const parent = "trail/shardId-000000000000"
			if !child {
				srv.Inject(kinesistest.Fault{Op: "ListShards", HideChildren: true})
			}
			o := leased(srv, modePolling, leasetest.New(), "trail")
			l := newLedger()
			over := make(chan struct{})
			var once sync.Once
			o.db.OnChange(func(_ string, _, after leasetest.Item) {
				if attribute(after["leaseKey"]) == "shardId-000000000000" && attribute(after["checkpoint"]) == "SHARD_END" {
					once.Do(func() { close(over) })
				}
			})
			l.before = func(b *pipeline.Batch) {
				if !slices.ContainsFunc(b.Closed, func(e pipeline.PartitionEnd) bool { return e.Partition == parent }) {
					return
				}
				select {
				case <-over:
					t.Error("the lease is over before the partition is closed")
				case <-time.After(200 * time.Millisecond):
				}
			}
			// As the holder before left it: committed to the end.
			l.positions[parent] = position{kind: finished}.encode()
			m := join(t, o, l)
			eventually(t, "the end of the lease", func() bool {
				select {
				case <-over:
					return true
				default:
					return false
				}
			})
			m.leave()
			if !l.finished[parent] {
				t.Error("its partition is not closed")
			}
		})
	}
}
