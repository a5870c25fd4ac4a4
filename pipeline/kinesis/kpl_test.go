package kinesis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// Aggregates come apart in order; one that is broken is one problem with its
// place, and what follows is read.
func TestAggregates(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{})
		srv.CreateStream("trail", 1)
		srv.Put("trail", "k", []byte("plain"))
		_, packed := srv.Put("trail", "k", aggregate([]byte("a"), []byte("b"), []byte("c")))
		_, bad := srv.Put("trail", "k", append(slices.Clone(aggregateMagic), "no aggregate at all"...))
		srv.Put("trail", "k", []byte("last"))
		r := open(t, options(srv, mode, "trail"), nil)
		r.untilCount(6)
		if got := strings.Join(r.payloads(), " "); !strings.HasPrefix(got, "plain a b c ") || !strings.HasSuffix(got, " last") {
			t.Errorf("payloads %q", got)
		}
		for i, g := range r.got[1:4] {
			if want := fmt.Sprintf("trail/shardId-000000000000@%s:%d", packed, i); g.label != want || g.problem != "" {
				t.Errorf("%+v, want label %s", g, want)
			}
		}
		if g := r.got[4]; g.problem != errAggregateSum.Error() || g.label != "trail/shardId-000000000000@"+bad {
			t.Errorf("the broken one: %+v", g)
		}
		if n := r.metric("aggregates_broken_total"); n != 1 {
			t.Errorf("%v broken aggregates are counted", n)
		}
	})
}

// Wherever in an aggregate the commit lies, reading goes on right after it.
func TestRestartInsideAggregate(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{})
		srv.CreateStream("trail", 1)
		srv.Put("trail", "k", aggregate([]byte("a"), []byte("b"), []byte("c")))
		srv.Put("trail", "k", []byte("d"))
		o := options(srv, mode, "trail")
		r := open(t, o, nil)
		b, err := r.s.Read(t.Context())
		for err == nil && len(b.Records) == 0 {
			b, err = r.s.Read(t.Context())
		}
		if err != nil || len(b.Records) != 4 {
			t.Fatalf("%+v, %v", b, err)
		}
		for i, want := range []string{"b c d", "c d", "d", ""} {
			committed := map[string][]byte{b.Records[i].Partition: b.Places.Position(i)}
			again := open(t, o, committed)
			again.untilLive()
			if got := strings.Join(again.payloads(), " "); got != want {
				t.Errorf("after record %d: %q, want %q", i, got, want)
			}
			again.close()
		}
	})
}
