package kinesis

import (
	"errors"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
)

// troubles is how many cannot be read of the source's streams.
func (r *reader) troubles() (n int) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, st := range r.s.streams {
		n += len(st.failing)
	}
	return n
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
	eventually(t, "the trouble to be over", func() bool { return m.troubles() == 0 })
}
