package lease

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestFiveHundredLeasesAreBalancedWithinAMinuteAndAfterADeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(t, Listing{Shards: open(500)})
		defer cl.stop()
		var workers []*worker
		for range 5 {
			workers = append(workers, cl.start())
		}
		t.Log("balanced after", cl.until(time.Minute, "balance at the start", func() bool { return balanced(500, workers...) }))
		asked, refused := cl.db.Writes()
		t.Logf("to get there: %d writes, %d of them refused", asked, refused)

		// Nobody moves anything now, and renewals are all that is written.
		interval := workers[0].o.RenewEvery
		cl.pass(10 * interval)
		asked, refused = cl.db.Writes()
		t.Logf("in ten intervals: %d writes, %d of them refused", asked, refused)
		if asked > 10*500 || asked < 8*500 || refused != 0 {
			t.Errorf("%d writes, %d refused in ten renewal intervals of 500 leases; want at most one a lease and interval", asked, refused)
		}
		if !balanced(500, workers...) {
			t.Error("leases moved without need")
		}

		workers[2].cut()
		left := []*worker{workers[0], workers[1], workers[3], workers[4]}
		t.Log("balanced after", cl.until(time.Minute, "balance after a death", func() bool { return balanced(500, left...) }))
		_, _ = cl.db.Writes()

		reg := prometheus.NewRegistry()
		left = append(left, cl.start(func(o *Options) { o.Registerer = reg }))
		t.Log("balanced after", cl.until(time.Minute, "balance with a new worker", func() bool { return balanced(500, left...) }))
		asked, refused = cl.db.Writes()
		t.Logf("to get there: %d writes, %d of them refused", asked, refused)
		if held, stolen := counted(t, reg, "held"), counted(t, reg, "stolen_total"); held < 100 || stolen < 100 {
			t.Errorf("the new worker counts %v leases held, %v stolen; want 100", held, stolen)
		}
	})
}
