package kinesis

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// Iterators that come back expired, again and again, are replaced within the
// shard's limit of reads.
func TestExpiredIteratorsKeepThePace(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	fault := srv.Inject(kinesistest.Fault{Op: "GetRecords", Code: kinesistest.ErrExpiredIterator, Count: 5})
	fill(srv, "trail", 0, 9)
	r := prepare(t, options(srv, modePolling, "trail"))
	const gap = 60 * time.Millisecond
	r.s.t.minGap, r.s.t.maxGap = gap, gap
	began := time.Now()
	if err := r.s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r.untilCount(10)
	if took := time.Since(began); took < 5*gap {
		t.Errorf("%d expired iterators were replaced within %v, the limit is one each %v", fault.Hits(), took, gap)
	}
	if n := r.metric("iterators_expired_total"); n != 5 {
		t.Errorf("%v expired iterators are counted, want 5", n)
	}
}

// The source keeps to what the service allows for a shard: it is hardly ever
// refused, though there is always more to read.
func TestShardsLimitsAreKept(t *testing.T) {
	srv := server(t, kinesistest.Options{Limits: kinesistest.AWSLimits()})
	srv.CreateStream("trail", 1)
	const n, size = 30, 200 << 10
	data := make([]byte, size)
	for range n {
		srv.PutTo("trail", "shardId-000000000000", "k", data)
	}
	o := options(srv, modePolling, "trail")
	o.MaxRecords = 3
	r := prepare(t, o)
	r.s.t = r.s.o.timing()
	r.s.t.tick, r.s.t.lookGap = 5*time.Millisecond, 5*time.Millisecond
	began := time.Now()
	if err := r.s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r.untilCount(n)
	took := time.Since(began)
	if least := time.Duration(float64(n-6) * size / (2 << 20) * float64(time.Second)); took < least {
		t.Errorf("%d bytes took %v, want %v at least", n*size, took, least)
	}
	if calls := srv.Calls()["GetRecords"]; float64(calls) > 2+5*took.Seconds() {
		t.Errorf("%d reads in %v, five a second are allowed", calls, took)
	}
	if refused := r.metric("throttles_total"); refused > 1 {
		t.Errorf("%v reads were refused", refused)
	}
}
