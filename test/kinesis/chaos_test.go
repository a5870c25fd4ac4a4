//go:build unix

package kinesis

import (
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/trailtide/trailtide/test/chaos"
	"github.com/trailtide/trailtide/test/harness"
)

// Whatever happens to the workers, the leases and the shards, in the end a
// read_committed reader sees each alert that there should be, once. The servers
// are in this process, the workers are processes. make chaos-kinesis has the
// long form.
func TestFleetOnKinesisInChaos(t *testing.T) {
	if os.Getenv("TRAILTIDE_CHAOS_KILLS") == "" {
		t.Skip("set TRAILTIDE_CHAOS_KILLS to run it, or make chaos-kinesis")
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	seed := chaos.Seed(t)
	chaos.Run(t, chaos.Options{
		Seed: seed, Brokers: broker.ListenAddrs(), Replication: 1, Workers: 3, Sources: 24, Repartition: 6,
		Input:  newStream(t, seed, harness.SizeFrom(t, "TRAILTIDE_CHAOS_RESHARDS", 7)),
		Kills:  harness.SizeFrom(t, "TRAILTIDE_CHAOS_KILLS", 5),
		Events: harness.SizeFrom(t, "TRAILTIDE_CHAOS_EVENTS", 12_000),
		Pace:   2 * time.Second, Halt: 6 * time.Second, Small: true,
	})
}
