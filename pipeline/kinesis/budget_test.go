package kinesis

import (
	"bytes"
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// used is what is set aside in the source's budget, once n readers wait for more.
func (r *reader) used(n int) (used int) {
	r.t.Helper()
	b := &r.s.budget
	eventually(r.t, "the readers to wait", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		used = b.used
		return len(b.waiting) == n
	})
	return used
}

// However much waits in the shards, at the start and after a stall, what is
// read stays within the limit.
func TestBudgetHoldsWhateverComes(t *testing.T) {
	const shards, size = 5, 9 << 20
	srv := server(t, kinesistest.Options{MaxRecord: 10 << 20})
	srv.CreateStream("trail", shards)
	big := bytes.Repeat([]byte("x"), size)
	put := func() {
		for _, sh := range srv.Open("trail") {
			srv.PutTo("trail", sh, "k", big)
		}
	}
	put()
	o := options(srv, modePolling, "trail")
	o.BufferBytes = 12 << 20
	r := open(t, o, nil)
	check := func(when string) {
		t.Helper()
		if used := r.used(shards); used > o.BufferBytes {
			t.Errorf("%s %d bytes are held, the limit is %d", when, used, o.BufferBytes)
		}
	}
	check("at the start")
	r.untilCount(shards)
	reads := srv.Calls()["GetRecords"]
	r.until("the readers to expect little", func() bool { return srv.Calls()["GetRecords"] > reads+shards*40 })

	b := &r.s.budget
	if err := b.acquire(t.Context(), o.BufferBytes); err != nil {
		t.Fatal(err)
	}
	r.used(shards)
	put()
	stall := time.NewTimer(20 * r.s.o.PollInterval)
	defer stall.Stop()
	<-stall.C
	b.change(-o.BufferBytes)
	check("after the stall")
	r.untilCount(2 * shards)
	for _, p := range r.payloads() {
		if len(p) != size {
			t.Errorf("a record has %d bytes, want %d", len(p), size)
		}
	}
}
