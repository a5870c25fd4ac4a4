//go:build unix

package kafka

import (
	"testing"
	"time"

	"github.com/trailtide/trailtide/test/chaos"
	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

// chaosOptions are of the short form; make chaos has the long one.
func chaosOptions(t *testing.T, c *kafkabroker.Cluster) chaos.Options {
	t.Helper()
	o := chaos.Options{
		Seed: chaos.Seed(t), Brokers: c.Brokers(), Replication: len(c.Nodes()),
		Workers:     harness.SizeFrom(t, "TRAILTIDE_CHAOS_WORKERS", 4),
		Sources:     12,
		Repartition: 8,
		Kills:       harness.SizeFrom(t, "TRAILTIDE_CHAOS_KILLS", 20),
		Events:      harness.SizeFrom(t, "TRAILTIDE_CHAOS_EVENTS", 40_000),
		Pace:        time.Duration(harness.SizeFrom(t, "TRAILTIDE_CHAOS_PACE_MS", 3000)) * time.Millisecond,
		Halt:        time.Duration(harness.SizeFrom(t, "TRAILTIDE_CHAOS_HALT_S", 15)) * time.Second,
	}
	for _, n := range c.Nodes() {
		o.Nodes = append(o.Nodes, n)
	}
	return o
}

// Whatever happens to the workers and to the broker, a read_committed reader
// sees each alert that there should be, once.
func TestFleetInChaos(t *testing.T) {
	kafkabroker.Need(t)
	c := kafkabroker.Start(t, kafkabroker.Options{})
	chaos.Run(t, chaosOptions(t, c))
}

// The same with three brokers, whose restarts are elections.
func TestFleetInChaosWithElections(t *testing.T) {
	kafkabroker.Need(t)
	if harness.SizeFrom(t, "TRAILTIDE_CHAOS_NODES", 1) != 3 {
		t.Skip("the long form has it: make chaos")
	}
	c := kafkabroker.Start(t, kafkabroker.Options{Nodes: 3})
	chaos.Run(t, chaosOptions(t, c))
}
