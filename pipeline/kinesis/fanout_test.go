package kinesis

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// A subscription is not left for the next before it brought anything, however
// long that takes: else a slow worker would subscribe for ever and read nothing.
func TestSlowSubscription(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	fill(srv, "trail", 0, 99)
	r := prepare(t, options(srv, modeFanOut, "trail"))
	r.s.t.renew, r.s.t.subscribe = time.Nanosecond, time.Hour // there is no second one
	if err := r.s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r.untilCount(100)
}
