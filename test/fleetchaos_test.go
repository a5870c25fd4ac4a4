//go:build unix

package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/trailtide/trailtide/test/chaos"
	"github.com/trailtide/trailtide/test/harness"
)

// The fleet's trial in small, on a broker in this process: workers are killed,
// halted, added and removed. On real brokers it is in test/kafka: this one forgets
// the waiting joins of members that die together, and then no group goes on.
func TestFleetInChaos(t *testing.T) {
	if os.Getenv("TRAILTIDE_CHAOS_KILLS") == "" {
		t.Skip("set TRAILTIDE_CHAOS_KILLS to run it; make test-kafka runs it on a real broker")
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	chaos.Run(t, chaos.Options{
		Seed: chaos.Seed(t), Brokers: broker.ListenAddrs(), Replication: 1, Workers: 3, Sources: 12, Repartition: 6,
		Kills:  harness.SizeFrom(t, "TRAILTIDE_CHAOS_KILLS", 6),
		Events: harness.SizeFrom(t, "TRAILTIDE_CHAOS_EVENTS", 15_000),
		Pace:   1500 * time.Millisecond, Halt: 6 * time.Second, Small: true, Patience: 90 * time.Second,
	})
}
