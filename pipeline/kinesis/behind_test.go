package kinesis

import (
	"strings"
	"testing"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// A parent that lists leave out although it can be asked for is waited for,
// which health tells, and not for ever.
func TestUnlistedParentIsWaitedForAWhile(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	srv.Split("trail", "shardId-000000000000")
	fill(srv, "trail", 0, 99)
	srv.Inject(kinesistest.Fault{Op: "ListShards", HideParents: true})
	l := newLedger()
	m := join(t, leased(srv, modePolling, leasetest.New(), "trail"), l)
	eventually(t, "health to tell", func() bool {
		err := m.s.Health()
		return err != nil && strings.Contains(err.Error(), "shardId-000000000000")
	})
	if n := l.count(); n != 0 {
		t.Errorf("%d records were read at once", n)
	}
	eventually(t, "the children to be read", func() bool { return l.count() == 100 })
	if err := m.s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	if n := srv.Calls()["ListShards"]; n < manyLooks {
		t.Errorf("%d looks were enough, want %d", n, manyLooks)
	}
}
