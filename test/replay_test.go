//go:build unix

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

// A source that is read again changes no count, makes no second alert, and with
// --no-notify tells nobody.
func TestReplay(t *testing.T) {
	const n, topic, partitions = 12_000, "trail", 3
	events := harness.Busy(t, n)
	for _, engine := range []string{"sqlite", "kafka"} {
		t.Run(engine, func(t *testing.T) {
			broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic), kfake.GroupMinSessionTimeout(time.Second))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(broker.Close)
			ports, err := kafkabroker.FreePorts(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			state, archive := filepath.Join(dir, "state.db"), filepath.Join(dir, "alerts.ndjson")
			section := fmt.Sprintf("sqlite: {path: %q}", state)
			if engine == "kafka" {
				section = fmt.Sprintf("engine: kafka\nkafka: {partitions: 3, replication: 1, session_timeout: 3s, metadata_min_age: 50ms}\nstore: %q", state)
			}
			harness.Write(t, dir, "busy.yaml", harness.BusyRules)
			conf := harness.Write(t, dir, "trailtide.yaml", fmt.Sprintf(`
rules: {paths: [busy.yaml], builtin: false, watch: false}
source:
  kafka: {brokers: [%q], topics: [%s], group: g, session_timeout: 3s, metadata_min_age: 50ms, lag_interval: 100ms, idle_after: 1h}
commit_interval: 20ms
sinks: [{name: archive, min_severity: info, from: oldest, file: {path: %q}}]
admin: {listen: "127.0.0.1:%d"}
%s
`, broker.ListenAddrs()[0], topic, archive, ports[0], section))
			if engine == "kafka" {
				harness.Output(t, "topics", "create", "-c", conf)
			}
			if err := harness.FillSlowly(t.Context(), broker.ListenAddrs(), topic, partitions, events, 0); err != nil {
				t.Fatal(err)
			}
			counted := func(w *harness.Worker) {
				t.Helper()
				var got float64
				if !harness.Until(t, time.Minute, func() bool {
					w.Alive(t)
					got = counter(t, ports[0], "trailtide_events_matched_total") + counter(t, ports[0], "trailtide_events_duplicate_total") +
						counter(t, ports[0], "trailtide_events_unmatched_total") + counter(t, ports[0], "trailtide_events_invalid_total")
					return got == float64(len(events))
				}) {
					t.Fatalf("%v of %d events are accounted for\n%s", got, len(events), w.Stderr())
				}
			}
			first := harness.StartWorker(t, "run", "-c", conf)
			counted(first)
			if engine == "kafka" {
				settledStore(t, first, state)
			}
			first.Stop(t)
			want := harness.OutcomeOf(t, state)
			if len(want.Plain) < 300 || len(want.Counted) < 60 {
				t.Fatalf("%d plain alerts, %d episodes: that proves little", len(want.Plain), len(want.Counted))
			}
			told, err := os.ReadFile(archive)
			if err != nil {
				t.Fatal(err)
			}

			again := harness.StartWorker(t, "run", "-c", conf, "--replay", "1h", "--no-notify")
			counted(again)
			if engine == "kafka" {
				settledStore(t, again, state)
			}
			again.Stop(t)
			got := harness.OutcomeOf(t, state)
			got.Dead = want.Dead // what cannot be read is told again
			want.Same(t, got)
			if now, err := os.ReadFile(archive); err != nil || string(now) != string(told) {
				t.Errorf("the archive has %d bytes, and had %d (%v)", len(now), len(told), err)
			}
		})
	}
}

// settledStore waits until the store has nothing new for a while.
func settledStore(t *testing.T, w *harness.Worker, state string) {
	t.Helper()
	last, same := "", 0
	if !harness.Until(t, time.Minute, func() bool {
		w.Alive(t)
		now := harness.Output(t, "alerts", "export", "--merged", "--state", state)
		if now != last || now == "" {
			last, same = now, 0
			return false
		}
		same++
		return same > 10
	}) {
		t.Fatal("the store does not come to rest")
	}
}

// counter sums a metric over its labels; 0 when nobody answers.
func counter(t *testing.T, port int, name string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/metrics", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	sum := 0.0
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		line := sc.Text()
		var v float64
		if at := strings.LastIndexByte(line, ' '); at > 0 && (strings.HasPrefix(line, name+" ") || strings.HasPrefix(line, name+"{")) {
			if _, err := fmt.Sscan(line[at+1:], &v); err == nil {
				sum += v
			}
		}
	}
	return sum
}
