//go:build unix

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/trailtide/trailtide/test/harness"
)

const (
	killTopic      = "trail"
	killPartitions = 4
)

// killBroker is a broker that outlives the workers, with the traffic in it.
func killBroker(t *testing.T) *kfake.Cluster {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(killPartitions, killTopic), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker
}

// workerConf is a worker's configuration with its state and archive in dir.
func workerConf(t *testing.T, dir string, broker *kfake.Cluster, group string) string {
	t.Helper()
	harness.Write(t, dir, "busy.yaml", harness.BusyRules)
	return harness.Write(t, dir, "trailtide.yaml", fmt.Sprintf(`
rules: {paths: [busy.yaml], builtin: false, watch: false}
source:
  kafka: {brokers: [%q], topics: [%s], group: %s, instance_id: one, session_timeout: 3s, metadata_min_age: 50ms, lag_interval: 100ms, idle_after: 1h, max_poll_records: 200}
commit_interval: 20ms
stop_within: 10s
sinks: [{name: archive, min_severity: info, from: oldest, file: {path: %q}}]
admin: {listen: "off"}
`, broker.ListenAddrs()[0], killTopic, group, filepath.Join(dir, "alerts.ndjson")))
}

// However often a worker is killed while it reads from Kafka, in the end its
// alerts are those of one that nobody disturbed, and each has reached the sink.
func TestKilledWorkersLoseAndInventNothing(t *testing.T) {
	kills := harness.SizeFrom(t, "TRAILTIDE_E2E_KILLS", 12)
	events := harness.Busy(t, harness.SizeFrom(t, "TRAILTIDE_E2E_KILL_EVENTS", 30_000))
	broker := killBroker(t)

	// The kills come first, while the topic fills.
	const pause = 700 * time.Millisecond // between kills, at most; a start takes a part of it
	dir := t.TempDir()
	conf := workerConf(t, dir, broker, "killed")
	filling := make(chan error, 1)
	go func() {
		filling <- harness.FillSlowly(t.Context(), broker.ListenAddrs(), killTopic, killPartitions, events, time.Duration(kills)*pause/2)
	}()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range kills {
		w := harness.StartWorker(t, "run", "-c", conf)
		w.RunFor(t, pause/5+time.Duration(r.Int64N(int64(pause*4/5))))
		w.Kill(t)
	}
	if err := <-filling; err != nil {
		t.Fatal(err)
	}
	last := harness.StartWorker(t, "run", "-c", conf)
	last.Drained(t, broker.ListenAddrs(), "killed", killTopic, killPartitions)
	last.Stop(t)

	calmDir := t.TempDir()
	calm := harness.StartWorker(t, "run", "-c", workerConf(t, calmDir, broker, "calm"))
	calm.Drained(t, broker.ListenAddrs(), "calm", killTopic, killPartitions)
	calm.Stop(t)

	want := harness.OutcomeOf(t, filepath.Join(calmDir, "trailtide.db"))
	want.Telling(t)
	want.Same(t, harness.OutcomeOf(t, filepath.Join(dir, "trailtide.db")))

	archive, err := os.ReadFile(filepath.Join(dir, "alerts.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	harness.Delivered(t, harness.Output(t, "alerts", "export", "--merged", "--state", filepath.Join(dir, "trailtide.db")), string(archive))
	if strings.Contains(last.Stderr(), `"level":"error"`) {
		t.Errorf("the last worker complains:\n%s", last.Stderr())
	}
}
