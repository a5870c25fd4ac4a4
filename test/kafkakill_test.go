//go:build unix

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
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

// produceSlowly fills the topic over the time that the kills take: each event
// goes to the partition of its place, so that every run has the same ones.
func produceSlowly(ctx context.Context, broker *kfake.Cluster, events [][]byte, over time.Duration) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	const steps = 200
	tick := time.NewTicker(over/steps + time.Microsecond)
	defer tick.Stop()
	for step := range steps {
		from, to := len(events)*step/steps, len(events)*(step+1)/steps
		var records []*kgo.Record
		for i := from; i < to; i++ {
			records = append(records, &kgo.Record{Topic: killTopic, Partition: int32(i % killPartitions), Value: events[i]})
		}
		if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return err
		}
		if over == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// workerConf is a worker's configuration with its state and archive in dir.
func workerConf(t *testing.T, dir string, broker *kfake.Cluster, group string) string {
	t.Helper()
	write(t, dir, "busy.yaml", busyRules)
	return write(t, dir, "trailtide.yaml", fmt.Sprintf(`
rules: {paths: [busy.yaml], builtin: false, watch: false}
source:
  kafka: {brokers: [%q], topics: [%s], group: %s, instance_id: one, session_timeout: 3s, metadata_min_age: 50ms, lag_interval: 100ms, idle_after: 1h, max_poll_records: 200}
commit_interval: 20ms
stop_within: 10s
sinks: [{name: archive, min_severity: info, from: oldest, file: {path: %q}}]
admin: {listen: "off"}
`, broker.ListenAddrs()[0], killTopic, group, filepath.Join(dir, "alerts.ndjson")))
}

// worker is a run of the worker that somebody else ends.
type worker struct {
	cmd    chan error
	stderr *lockedBuffer
	signal func(syscall.Signal)
}

func startWorker(t *testing.T, conf string) *worker {
	t.Helper()
	w := &worker{cmd: make(chan error, 1), stderr: &lockedBuffer{}}
	cmd := command{args: []string{"run", "-c", conf}}.prepare(context.WithoutCancel(t.Context()), os.Stdout, w.stderr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.signal = func(s syscall.Signal) {
		if err := cmd.Process.Signal(s); err != nil {
			t.Errorf("signal the worker: %v", err)
		}
	}
	go func() { w.cmd <- cmd.Wait() }()
	return w
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// drained waits until the worker runs and everything that is in the topic is committed.
func (w *worker) drained(t *testing.T, broker *kfake.Cluster, group string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for {
		lags, err := adm.Lag(t.Context(), group)
		if err == nil && len(lags[group].Lag[killTopic]) == killPartitions {
			left := int64(0)
			for _, p := range lags[group].Lag[killTopic] {
				left += max(p.Lag, 0)
				if p.Commit.At < 0 {
					left++
				}
			}
			if left == 0 && strings.Contains(w.stderr.String(), "trailtide starts") {
				return
			}
		}
		select {
		case err := <-w.cmd:
			t.Fatalf("the worker ended: %v\n%s", err, w.stderr)
		case <-deadline:
			t.Fatalf("the worker does not come to the end of the topic\n%s", w.stderr)
		case <-tick.C:
		}
	}
}

func (w *worker) stop(t *testing.T) {
	t.Helper()
	w.signal(syscall.SIGTERM)
	if err := <-w.cmd; err != nil {
		t.Fatalf("the worker's stop: %v\n%s", err, w.stderr)
	}
}

// However often a worker is killed while it reads from Kafka, in the end its
// alerts are those of one that nobody disturbed, and each has reached the sink.
func TestKilledWorkersLoseAndInventNothing(t *testing.T) {
	kills := sizeFrom(t, "TRAILTIDE_E2E_KILLS", 12)
	var events [][]byte
	planted(t, sizeFrom(t, "TRAILTIDE_E2E_KILL_EVENTS", 30_000), func(ev []byte) {
		events = append(events, bytes.Clone(ev))
		if len(events)%3000 == 0 {
			events = append(events, bytes.Clone(ev[:len(ev)/2]))
		}
	})
	broker := killBroker(t)

	// The kills come first, while the topic fills.
	const pause = 700 * time.Millisecond // between kills, at most; a start takes a part of it
	dir := t.TempDir()
	conf := workerConf(t, dir, broker, "killed")
	filling := make(chan error, 1)
	go func() { filling <- produceSlowly(t.Context(), broker, events, time.Duration(kills)*pause/2) }()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range kills {
		w := startWorker(t, conf)
		timer := time.NewTimer(pause/5 + time.Duration(r.Int64N(int64(pause*4/5))))
		select {
		case err := <-w.cmd:
			t.Fatalf("the worker ended by itself: %v\n%s", err, w.stderr)
		case <-timer.C:
		}
		w.signal(syscall.SIGKILL)
		if err := <-w.cmd; err == nil {
			t.Fatal("the worker survived SIGKILL")
		}
	}
	if err := <-filling; err != nil {
		t.Fatal(err)
	}
	last := startWorker(t, conf)
	last.drained(t, broker, "killed")
	last.stop(t)

	calmDir := t.TempDir()
	calm := startWorker(t, workerConf(t, calmDir, broker, "calm"))
	calm.drained(t, broker, "calm")
	calm.stop(t)

	want := outcomeOf(t, filepath.Join(calmDir, "trailtide.db"))
	if len(want.plain) < 500 || len(want.counted) < 20 || len(want.dead) < 5 {
		t.Fatalf("%d plain alerts, %d episodes, %d dead letters: that proves little", len(want.plain), len(want.counted), len(want.dead))
	}
	want.same(t, outcomeOf(t, filepath.Join(dir, "trailtide.db")))

	archive, err := os.ReadFile(filepath.Join(dir, "alerts.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	sent := make(map[string]bool)
	for _, a := range alertsOf(t, string(archive)) {
		sent[a.AlertID] = true
	}
	for _, a := range alertsOf(t, must(t, "alerts", "export", "--merged", "--state", filepath.Join(dir, "trailtide.db")).out) {
		if a.Status != "suppressed" && !sent[a.AlertID] {
			t.Errorf("alert %s of %s never reached the sink", a.AlertID, a.RuleID)
		}
	}
	if strings.Contains(last.stderr.String(), `"level":"error"`) {
		t.Errorf("the last worker complains:\n%s", last.stderr)
	}
}
