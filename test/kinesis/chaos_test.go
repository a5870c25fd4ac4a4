//go:build unix

package kinesis

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/test/chaos"
	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

// Whatever happens to the workers, the leases and the shards, in the end a
// read_committed reader sees each alert that there should be, once. The broker is
// a real one, Kinesis and DynamoDB are in this process, the workers are processes.
// make chaos-kinesis has the long form.
func TestFleetOnKinesisInChaos(t *testing.T) {
	kafkabroker.Need(t)
	c := kafkabroker.Start(t, kafkabroker.Options{})
	seed := chaos.Seed(t)
	chaos.Run(t, chaos.Options{
		Seed: seed, Brokers: c.Brokers(), Replication: 1, Workers: 3, Sources: 24, Repartition: 6,
		Input:  newStream(t, seed, harness.SizeFrom(t, "TRAILTIDE_CHAOS_RESHARDS", 20)),
		Kills:  harness.SizeFrom(t, "TRAILTIDE_CHAOS_KILLS", 10),
		Events: harness.SizeFrom(t, "TRAILTIDE_CHAOS_EVENTS", 24_000),
		Pace:   2 * time.Second, Halt: 6 * time.Second, Small: true,
	})
}
