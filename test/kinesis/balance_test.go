//go:build unix

package kinesis

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis"
	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
	"github.com/trailtide/trailtide/test/harness"
)

const (
	manyShards = 500
	renewEvery = 3300 * time.Millisecond
)

// member is one of the workers that share many shards, with the product's own timing.
type member struct {
	reg    *prometheus.Registry
	cut    atomic.Bool // nothing that it asks of the table arrives
	cancel context.CancelFunc
}

func newMember(t *testing.T, srv *kinesistest.Server, db *leasetest.DB) *member {
	t.Helper()
	m := &member{reg: prometheus.NewRegistry()}
	table := httptest.NewServer(db.Handler(func(leasetest.Call) leasetest.Fault {
		if m.cut.Load() {
			return leasetest.Fault{Err: errCut}
		}
		return leasetest.Fault{}
	}))
	t.Cleanup(table.Close)
	conf := srv.PlainConfig()
	src, err := kinesis.New(kinesis.Options{
		Streams: []string{streamName}, Config: &conf, PollInterval: 5 * time.Second, Registerer: m.reg,
		Leases: &kinesis.Leases{Table: leaseTable, Endpoint: table.URL, RenewEvery: renewEvery},
	})
	if err != nil {
		t.Fatal(err)
	}
	src.UseLedger(nowhere{})
	if err := src.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	m.cancel = cancel
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			b, err := src.Read(ctx)
			if err != nil {
				return
			}
			if b.Release != nil {
				b.Release()
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := src.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return m
}

// nowhere is a ledger that knows nothing.
type nowhere struct{}

func (nowhere) Take(context.Context, string) ([]byte, int64, error) { return nil, 0, nil }
func (nowhere) Drop(string)                                         {}

var _ pipeline.Ledger = nowhere{}

// reading is how many shards the member reads, as its metric tells.
func (m *member) reading(t *testing.T) int {
	t.Helper()
	families, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "trailtide_kinesis_shards_reading" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatal("no such metric")
	return 0
}

// balanced waits until the members read all shards, none more than one more than
// another.
func balanced(t *testing.T, what string, members ...*member) {
	t.Helper()
	var have []int
	begin := time.Now()
	ok := harness.Until(t, time.Minute, func() bool {
		have = have[:0]
		least, most, sum := manyShards, 0, 0
		for _, m := range members {
			n := m.reading(t)
			have = append(have, n)
			least, most, sum = min(least, n), max(most, n), sum+n
		}
		return sum == manyShards && most-least <= 1
	})
	if !ok {
		t.Fatalf("%s: after a minute the workers read %v", what, have)
	}
	t.Logf("%s: %v after %v", what, have, time.Since(begin).Round(100*time.Millisecond))
}

// Five workers read 500 shards, each a fair share within a minute of the start,
// and of the death of one; the table is written once a lease and renewal interval.
func TestFiveHundredShards(t *testing.T) {
	need(t)
	credentials(t)
	srv := kinesistest.New(kinesistest.Options{})
	t.Cleanup(srv.Close)
	srv.CreateStream(streamName, manyShards)
	db := leasetest.New()
	var members []*member
	for range 5 {
		members = append(members, newMember(t, srv, db))
	}
	balanced(t, "start", members...)

	db.Writes()
	begin := time.Now()
	harness.Until(t, 3*renewEvery, func() bool { return false })
	intervals := float64(time.Since(begin)) / float64(renewEvery)
	asked, refused := db.Writes()
	t.Logf("%d writes in %.1f renewal intervals, %d of them refused", asked, intervals, refused)
	if most := int(manyShards*(intervals+1)) + 1; asked > most || asked < manyShards || refused > 0 {
		t.Errorf("%d writes, %d of them refused; want %d at most", asked, refused, most)
	}

	members[2].cut.Store(true)
	left := append(members[:2:2], members[3:]...)
	balanced(t, "death", left...)
	balanced(t, "a new one", append(left, newMember(t, srv, db))...)
	for id, item := range db.Items(leaseTable) {
		if item["leaseOwner"] == nil {
			t.Errorf("nobody has the lease %s", id)
		}
	}
	if len(db.Items(leaseTable)) != manyShards {
		t.Error(fmt.Sprint(len(db.Items(leaseTable)), " leases"))
	}
}
