//go:build unix

package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

const partitions = 4

// bench is a source topic, an alerts topic, and the embedded worker between them.
type bench struct {
	c             *kafkabroker.Cluster
	topic, alerts string
	dir           string
	admin         string // where the worker's admin listener is
	// connect is how the worker connects; default: by the Plaintext listener.
	connect string
}

// newBench makes the topics and a directory with rules.
func newBench(t *testing.T, c *kafkabroker.Cluster) *bench {
	t.Helper()
	b := &bench{c: c, topic: topicName(t, "trail"), alerts: topicName(t, "alerts")}
	newTopics(t, c, partitions, b.topic, b.alerts)
	b.fresh(t)
	return b
}

// fresh has the next worker begin with nothing but the topics.
func (b *bench) fresh(t *testing.T) {
	t.Helper()
	ports, err := kafkabroker.FreePorts(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	b.dir, b.admin = t.TempDir(), fmt.Sprintf("127.0.0.1:%d", ports[0])
	harness.Write(t, b.dir, "busy.yaml", harness.BusyRules)
}

func (b *bench) state() string { return filepath.Join(b.dir, "trailtide.db") }

// start runs a worker that reads the topic as that group.
func (b *bench) start(t *testing.T, group string) *harness.Worker {
	t.Helper()
	connect := b.connect
	if connect == "" {
		connect = fmt.Sprintf("brokers: [%s]", strings.Join(b.c.Brokers(), ", "))
	}
	conf := harness.Write(t, b.dir, "trailtide.yaml", fmt.Sprintf(`
rules: {paths: [busy.yaml], builtin: false, watch: false}
source:
  kafka: {%[1]s, topics: [%[2]s], group: %[3]s, instance_id: one, session_timeout: 3s, metadata_min_age: 50ms, lag_interval: 100ms, idle_after: 1h, max_poll_records: 200}
commit_interval: 20ms
stop_within: 10s
sinks: [{name: bus, min_severity: info, from: oldest, retry: {initial: 100ms, max: 1s}, kafka: {%[1]s, topic: %[4]s}}]
admin: {listen: %[5]q}
`, connect, b.topic, group, b.alerts, b.admin))
	return harness.StartWorker(t, "run", "-c", conf)
}

// drained waits until the worker has read and committed the whole topic.
func (b *bench) drained(t *testing.T, w *harness.Worker, group string) {
	t.Helper()
	w.Drained(t, b.c.Brokers(), group, b.topic, partitions)
}

// ready asks the worker whether it is ready; the error is what it complains about.
func (b *bench) ready(t *testing.T) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.admin+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	return err
}

// untilReady waits for readiness, or for a complaint that contains a text.
func (b *bench) untilReady(t *testing.T, w *harness.Worker, complaint string) {
	t.Helper()
	var last error
	if !harness.Until(t, time.Minute, func() bool {
		w.Alive(t)
		last = b.ready(t)
		if complaint == "" || last == nil {
			return complaint == "" && last == nil
		}
		return strings.Contains(last.Error(), complaint)
	}) {
		t.Fatalf("waited for %q, and /readyz says: %v\n%s", complaint, last, w.Stderr())
	}
}

// sent returns what stands in the alerts topic, as the sinks write NDJSON.
func (b *bench) sent(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	for _, r := range values(t, b.c, b.alerts) {
		out.Write(r.Value)
		out.WriteByte('\n')
		a := harness.Alerts(t, string(r.Value))[0]
		if string(r.Key) != a.AlertID {
			t.Errorf("the record of alert %s has the key %s", a.AlertID, r.Key)
		}
	}
	return out.String()
}

// proven compares what the worker's state and the alerts topic hold with what a
// worker says that nobody disturbs and that reads the same topic.
func (b *bench) proven(t *testing.T) {
	t.Helper()
	got := harness.OutcomeOf(t, b.state())
	harness.Delivered(t, harness.Output(t, "alerts", "export", "--merged", "--state", b.state()), b.sent(t))
	calm := *b
	calm.alerts = topicName(t, "calm-alerts")
	newTopics(t, b.c, 1, calm.alerts)
	calm.fresh(t)
	w := calm.start(t, topicName(t, "calm"))
	calm.drained(t, w, topicName(t, "calm"))
	w.Stop(t)
	want := harness.OutcomeOf(t, calm.state())
	want.Telling(t)
	want.Same(t, got)
}

// fill writes traffic to the topic over that time, beside the test.
func (b *bench) fill(t *testing.T, events [][]byte, over time.Duration) (finished func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- harness.FillSlowly(t.Context(), b.c.Brokers(), b.topic, partitions, events, over) }()
	return func() {
		t.Helper()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// From a topic to a topic: each alert of a worker that nobody disturbs stands
// in the alerts topic, once in each of its states.
func TestFromTopicToTopic(t *testing.T) {
	b := newBench(t, shared(t))
	b.fill(t, harness.Busy(t, 20_000), 0)()
	w := b.start(t, topicName(t, "g"))
	b.drained(t, w, topicName(t, "g"))
	b.untilReady(t, w, "")
	w.Stop(t)
	got := harness.OutcomeOf(t, b.state())
	got.Telling(t)
	sent := b.sent(t)
	harness.Delivered(t, harness.Output(t, "alerts", "export", "--merged", "--state", b.state()), sent)
	seen := make(map[string]bool)
	for _, a := range harness.Alerts(t, sent) {
		if k := fmt.Sprint(a.AlertID, a.Status, a.Count, a.MergedInto); a.Count == 1 && seen[k] {
			t.Errorf("alert %s of %s was sent twice", a.AlertID, a.RuleID)
		} else {
			seen[k] = true
		}
	}
	if strings.Contains(w.Stderr(), `"level":"error"`) {
		t.Errorf("the worker complains:\n%s", w.Stderr())
	}
}

// However often a worker is killed, in the end its alerts are those of one that
// nobody disturbed, and each has reached the alerts topic.
func TestKilledWorkers(t *testing.T) {
	b := newBench(t, shared(t))
	kills := harness.SizeFrom(t, "TRAILTIDE_E2E_KILLS", 10)
	const pause = time.Second
	finished := b.fill(t, harness.Busy(t, harness.SizeFrom(t, "TRAILTIDE_E2E_KILL_EVENTS", 20_000)), time.Duration(kills)*pause*2/3)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	group := topicName(t, "g")
	for range kills {
		w := b.start(t, group)
		w.RunFor(t, pause/5+time.Duration(r.Int64N(int64(pause*4/5))))
		w.Kill(t)
	}
	finished()
	w := b.start(t, group)
	b.drained(t, w, group)
	w.Stop(t)
	b.proven(t)
}
