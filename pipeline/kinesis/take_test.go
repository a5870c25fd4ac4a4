package kinesis

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// troubled says whether the source tells that it cannot read a partition.
func (r *reader) troubled(name string) bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, st := range r.s.streams {
		if st.failing[name] != nil {
			return true
		}
	}
	return false
}

// A worker whose lease ends while the ledger is away has no trouble with the
// shard any more: another reads it.
func TestTroubleWithALedgerEndsWithTheLease(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	const name = "trail/shardId-000000000000"
	o := leased(srv, modePolling, leasetest.New(), "trail")
	l := newLedger()
	l.away = errors.New("no broker answers")
	m := join(t, o, l)
	eventually(t, "the trouble to be told", func() bool {
		err := m.s.Health()
		return err != nil && strings.Contains(err.Error(), "no broker answers")
	})
	m.cut.Store(true)
	eventually(t, "the shard to be given up", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.dropped[name] > 0
	})
	eventually(t, "the trouble to be over", func() bool { return !m.troubled(name) })
}

// A worker that cannot read a position, as in a rolling upgrade, keeps the lease
// for a while, rather than take it again and again, and then leaves it to others.
func TestUnreadablePositionIsNotTakenAllTheTime(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	fill(srv, "trail", 0, 9)
	const name = "trail/shardId-000000000000"
	o := leased(srv, modePolling, leasetest.New(), "trail")
	l := newLedger()
	l.positions[name] = []byte{positionVersion + 1}
	began := time.Now()
	m := join(t, o, l)
	takes := func() int64 {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.stays
	}
	eventually(t, "the trouble to be told", func() bool { return m.s.Health() != nil && m.troubled(name) })
	eventually(t, "three takes", func() bool { return takes() == 3 })
	if took := time.Since(began); took < 2*m.s.t.keep {
		t.Errorf("the shard was taken three times within %v", took)
	}
	l.mu.Lock()
	delete(l.positions, name)
	l.mu.Unlock()
	eventually(t, "the records", func() bool { return l.count() == 10 })
	if err := m.s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
}

// The leases of a stream that does not exist are left alone until it does.
func TestLeasesOfAMissingStream(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("here", 1)
	srv.CreateStream("trail", 3)
	o := leased(srv, modePolling, leasetest.New(), "here", "trail")
	m := join(t, o, newLedger())
	eventually(t, "the leases", func() bool { return m.metric("shards_reading") == 4 })
	srv.DeleteStream("trail")
	eventually(t, "the shards to be given up", func() bool {
		if m.metric("shards_reading") != 1 {
			return false
		}
		for key, row := range o.db.Items("trailtide") {
			if strings.Contains(key, ":trail:") && row["leaseOwner"] != nil {
				return false
			}
		}
		return true
	})
	o.db.Writes()
	const rounds = 20
	some := time.NewTimer(rounds * o.Leases.TakeEvery)
	defer some.Stop()
	<-some.C
	// The other stream's lease is renewed meanwhile.
	if n, _ := o.db.Writes(); n > rounds/2 {
		t.Errorf("%d writes in %d rounds", n, rounds)
	}
}
