package kinesis

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// faults are what goes wrong now and then.
func faults(srv *kinesistest.Server) {
	for _, f := range []kinesistest.Fault{
		{Op: "GetRecords", Every: 7, Code: kinesistest.ErrThroughput},
		{Op: "GetRecords", Every: 11, Code: kinesistest.ErrExpiredIterator},
		{Op: "GetRecords", Every: 13, DropAfter: true},
		{Op: "GetRecords", Every: 17, Empty: true},
		{Op: "GetRecords", Every: 19, Code: kinesistest.ErrInternalFailure},
		{Op: "GetShardIterator", Every: 5, Code: kinesistest.ErrThroughput},
		{Op: "SubscribeToShard", Every: 3, Events: 1, Cut: true},
		{Op: "SubscribeToShard", Every: 4, Events: 2, End: true},
		{Op: "SubscribeToShard", Every: 5, Events: 1, StreamCode: kinesistest.ErrInternalFailure},
		{Op: "SubscribeToShard", Every: 6, Code: kinesistest.ErrResourceInUse},
		{Op: "ListShards", Every: 2, Duplicate: true, Shuffle: true},
		{Op: "ListShards", Every: 3, Count: 60, HideChildren: true},
		{Op: "ListShards", Every: 5, Count: 60, HideParents: true},
		{Op: "ListShards", Every: 7, Code: kinesistest.ErrLimitExceeded},
		{Op: "DescribeStreamSummary", Every: 5, Code: kinesistest.ErrLimitExceeded},
	} {
		srv.Inject(f)
	}
}

// reshape splits or merges at random.
func reshape(srv *kinesistest.Server, rnd *rand.Rand, stream string) {
	shards := srv.Open(stream)
	if i := rnd.IntN(len(shards)); len(shards) < 6 && (rnd.IntN(2) == 0 || len(shards) < 2) {
		srv.Split(stream, shards[i])
	} else {
		i = rnd.IntN(len(shards) - 1)
		srv.Merge(stream, shards[i], shards[i+1])
	}
}

// A stream is written to and resharded while everything goes wrong and the
// reader is restarted: nothing is lost, what was committed never comes again,
// and each key's records stay in order.
func TestChaos(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 1))
		srv := server(t, kinesistest.Options{ListPage: 3, IteratorTTL: time.Second})
		srv.CreateStream("trail", 2)
		faults(srv)
		o := options(srv, mode, "trail")
		r := open(t, o, nil)
		var all []string
		committed := make(map[string]bool) // label of what was committed
		n, restarts := 0, 0
		for range 25 {
			for range 3 {
				fill(srv, "trail", n, n+39)
				n += 40
				reshape(srv, rnd, "trail")
			}
			target := len(r.got) + rnd.IntN(100)
			r.hold = rnd.IntN(3) == 0
			r.until("some records", func() bool { return len(r.got) >= target || len(all)+len(r.got) >= n })
			if rnd.IntN(3) != 0 {
				continue
			}
			restarts++
			all = append(all, r.collect(committed)...)
			r = r.restart(o)
		}
		r.hold = false
		// A shard's end is told after its records, when all of them were seen.
		want := len(srv.Open("trail"))
		r.until("everything", func() bool { return r.live && len(r.open) == want && r.seen(all, n) })
		all = append(all, r.collect(committed)...)
		checkOrder(t, all, 0, n-1)
		t.Logf("%d records, %d reads, %d restarts, %d shards", n, len(all), restarts, len(srv.Shards("trail")))
	})
}

// collect returns the payloads that were read, and checks that nothing of it
// had been committed before.
func (r *reader) collect(committed map[string]bool) (payloads []string) {
	for _, g := range r.got {
		if committed[g.label] {
			r.t.Errorf("%s was committed, and came again", g.label)
		}
		payloads = append(payloads, g.payload)
	}
	for _, g := range r.got {
		pos, err := decodePosition(r.positions[g.partition])
		if err != nil {
			continue // nothing of it was committed
		}
		var sequence string
		if _, err := fmt.Sscanf(g.label[len(g.partition)+1:], "%s", &sequence); err != nil {
			r.t.Fatal(err)
		}
		if pos.kind == finished || pos.covers(sequence, 0) {
			committed[g.label] = true
		}
	}
	return payloads
}

// seen says whether n different payloads were read, now or before.
func (r *reader) seen(before []string, n int) bool {
	have := make(map[string]bool, n)
	for _, p := range before {
		have[p] = true
	}
	for _, g := range r.got {
		have[g.payload] = true
	}
	return len(have) == n
}
