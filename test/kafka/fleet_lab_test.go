//go:build linux

package kafka

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

// lab is a source topic and workers that read it, a fleet or an embedded one:
// what a bar is measured on.
type lab struct {
	c          *kafkabroker.Cluster
	name       string // of everything that is the lab's own
	embedded   bool
	partitions int           // of the repartition topic
	session    time.Duration // how long a silent worker keeps its partitions
	static     bool          // workers are static members
	rules      string        // lines of the section rules
	extra      string        // more lines of the configuration
	dir        string
	topic      string
	workers    map[string]*labWorker
}

type labWorker struct {
	*harness.Worker
	name, admin, pprof string
}

const sourcePartitions = 4

// newLab makes the topics.
func newLab(t *testing.T, c *kafkabroker.Cluster, l lab) *lab {
	t.Helper()
	l.c, l.dir, l.workers = c, t.TempDir(), make(map[string]*labWorker)
	l.name = topicName(t, l.name)
	l.topic = l.name + "-trail"
	if l.partitions == 0 {
		l.partitions = 12
	}
	if l.session == 0 {
		l.session = 10 * time.Second
	}
	newTopics(t, c, sourcePartitions, l.topic)
	if !l.embedded {
		harness.Output(t, "topics", "create", "-c", l.configure(t, "topics", "off", ""))
	}
	return &l
}

func (l *lab) group() string { return l.name + "-source" }

func (l *lab) configure(t *testing.T, worker, admin, pprof string) string {
	t.Helper()
	var member, section string
	if l.static {
		member = ", instance_id: " + worker
	}
	brokers := "[" + strings.Join(l.c.Brokers(), ", ") + "]"
	if l.embedded {
		section = fmt.Sprintf("sqlite: {path: %s.db}", worker)
	} else {
		section = fmt.Sprintf("engine: kafka\nkafka: {brokers: %s, prefix: %s, partitions: %d, replication: 1, session_timeout: %v, transaction_timeout: %v%s}",
			brokers, l.name, l.partitions, l.session, l.session, member)
	}
	if pprof != "" {
		section += "\npprof: {listen: " + pprof + "}"
	}
	return harness.Write(t, l.dir, worker+".yaml", fmt.Sprintf(`
rules: {%s, watch: false}
source: {kafka: {brokers: %s, topics: [%s], group: %s, session_timeout: %v%s}}
admin: {listen: %q}
%s
%s
`, l.rules, brokers, l.topic, l.group(), l.session, member, admin, section, l.extra))
}

// start starts a worker, or starts it again.
func (l *lab) start(t *testing.T, name string) *labWorker {
	t.Helper()
	ports, err := kafkabroker.FreePorts(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	w := &labWorker{name: name, admin: fmt.Sprintf("127.0.0.1:%d", ports[0]), pprof: fmt.Sprintf("127.0.0.1:%d", ports[1])}
	w.Worker = harness.StartWorker(t, "run", "-c", l.configure(t, name, w.admin, w.pprof))
	l.workers[name] = w
	return w
}

func (l *lab) all() []*labWorker {
	var out []*labWorker
	for _, name := range slices.Sorted(maps.Keys(l.workers)) {
		out = append(out, l.workers[name])
	}
	return out
}

func (w *labWorker) get(ctx context.Context, path string) (body []byte, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.admin+path, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	return b.Bytes(), resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// profile writes CPU profiles of the workers into the directory that
// TRAILTIDE_BARS_PROFILES names, if it does; wait returns when they are there.
func (l *lab) profile(t *testing.T, d time.Duration) (wait func()) {
	t.Helper()
	dir := os.Getenv("TRAILTIDE_BARS_PROFILES")
	if dir == "" {
		return func() {}
	}
	var g sync.WaitGroup
	for _, w := range l.all() {
		g.Go(func() {
			url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", w.pprof, d.Seconds())
			if err := download(t.Context(), url, filepath.Join(dir, l.name+"-"+w.name+".pprof")); err != nil {
				t.Error(err)
			}
		})
	}
	return g.Wait
}

func download(ctx context.Context, url, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	return errors.Join(err, resp.Body.Close(), os.WriteFile(path, body, 0o600))
}

// metric sums a metric over its labels; 0 when the worker does not answer.
func (w *labWorker) metric(ctx context.Context, name string) float64 {
	body, _, err := w.get(ctx, "/metrics")
	if err != nil {
		return 0
	}
	sum := 0.0
	sc := bufio.NewScanner(bytes.NewReader(body))
	for sc.Scan() {
		rest, ok := strings.CutPrefix(sc.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err == nil {
			sum += v
		}
	}
	return sum
}

// settled waits until every worker is ready and has its share of both groups.
func (l *lab) settled(t *testing.T) {
	t.Helper()
	var why string
	if !harness.Until(t, 2*time.Minute, func() bool {
		for _, w := range l.all() {
			w.Alive(t)
			if body, status, err := w.get(t.Context(), "/readyz"); err != nil || status != http.StatusOK {
				why = fmt.Sprintf("%s: %v %s", w.name, err, body)
				return false
			}
		}
		if l.embedded {
			return true
		}
		for _, group := range []struct {
			name string
			n    int
		}{{l.group(), sourcePartitions}, {l.name + "-alert", l.partitions}} {
			if why = l.uneven(t, group.name, group.n); why != "" {
				return false
			}
		}
		return true
	}) {
		t.Fatalf("the fleet does not settle: %s", why)
	}
}

// uneven says why a group is not spread evenly over the workers yet.
func (l *lab) uneven(t *testing.T, group string, n int) string {
	t.Helper()
	d, err := admin(t, l.c).DescribeGroups(t.Context(), group)
	if err == nil {
		err = d.Error()
	}
	if err != nil {
		return err.Error()
	}
	g := d[group]
	if g.State != "Stable" || len(g.Members) != len(l.workers) {
		return fmt.Sprintf("group %s is %s with %d members", group, g.State, len(g.Members))
	}
	for _, m := range g.Members {
		assigned, _ := m.Assigned.AsConsumer()
		have := 0
		for _, topic := range assigned.Topics {
			have += len(topic.Partitions)
		}
		if have < n/len(l.workers) || have > (n+len(l.workers)-1)/len(l.workers) {
			return fmt.Sprintf("a member of group %s has %d of %d partitions", group, have, n)
		}
	}
	return ""
}

func (l *lab) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	for _, w := range l.workers {
		w.Signal(t, s)
	}
}

// drained waits until everything that is in the source topic is read, and
// everything that comes of it is committed. It asks the broker only: to gather
// metrics costs a worker more than many an event.
func (l *lab) drained(t *testing.T) {
	t.Helper()
	adm := admin(t, l.c)
	wait := func(group, topic string) {
		ends, err := adm.ListEndOffsets(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		deadline := time.Now().Add(2 * time.Minute)
		for l.behind(t, adm, group, ends) {
			<-tick.C
			for _, w := range l.workers {
				w.Alive(t)
			}
			if time.Now().After(deadline) {
				t.Fatalf("group %s does not come to the end of %s", group, topic)
			}
		}
	}
	wait(l.group(), l.topic)
	if !l.embedded {
		wait(l.name+"-alert", l.name+"-repartition")
	}
}

// behind says whether a group has not committed what there is.
func (l *lab) behind(t *testing.T, adm *kadm.Client, group string, ends kadm.ListedOffsets) bool {
	t.Helper()
	at, err := adm.FetchOffsets(t.Context(), group)
	if err != nil || at.Error() != nil {
		return true
	}
	behind := false
	ends.Each(func(o kadm.ListedOffset) {
		// Behind the last record there may be the end of its transaction.
		got, ok := at.Lookup(o.Topic, o.Partition)
		behind = behind || o.Offset > 0 && (!ok || got.At < o.Offset-1)
	})
	return behind
}

// cpu is the CPU time that the workers have used, user and system.
func (l *lab) cpu(t *testing.T) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, w := range l.workers {
		sum += processCPU(t, w.PID())
	}
	return sum
}

func processCPU(t testing.TB, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	ticks := 0
	for _, v := range f[11:13] { // utime, stime
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
}

// trail makes events without end, up to about now: incidents among everyday calls.
type trail struct{ g *traffic.Generator }

func newTrail(t *testing.T, start time.Time, perSecond float64) *trail {
	t.Helper()
	g, err := traffic.New(traffic.Config{Seed: 4, Start: start, EventsPerSecond: perSecond, Incidents: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &trail{g}
}

func (tr *trail) next(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = tr.g.AppendNext(nil)
	}
	return out
}

// producer writes events to source topics, as a forwarder of CloudTrail would.
func producer(t *testing.T, c *kafkabroker.Cluster) *kgo.Client {
	t.Helper()
	return client(t, c, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.MaxBufferedRecords(1<<20), kgo.ProducerLinger(5*time.Millisecond))
}

// burst writes events as fast as they go.
func (l *lab) burst(t *testing.T, cl *kgo.Client, events [][]byte) {
	t.Helper()
	for _, ev := range events {
		cl.Produce(t.Context(), &kgo.Record{Topic: l.topic, Value: ev}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// manyRules are n rules: ten watch calls that about one event in a hundred is,
// the others what does not occur.
func manyRules(t *testing.T, n int) string {
	t.Helper()
	seen := make(map[string]int)
	const sample = 20_000
	for _, ev := range newTrail(t, time.Now().Add(-time.Hour), 1000).next(sample) {
		name := ev[bytes.Index(ev, []byte(`"eventName":"`))+13:]
		seen[string(name[:bytes.IndexByte(name, '"')])]++
	}
	var watched []string
	left := sample / 100
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name] <= left {
			left -= seen[name]
			watched = append(watched, name)
		}
	}
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range n {
		names := fmt.Sprintf("AbsentThing%d, AbsentThing%d", i, 2*i+1)
		if i < 10 {
			var mine []string
			for k := i; k < len(watched); k += 10 {
				mine = append(mine, watched[k])
			}
			if len(mine) > 0 {
				names = strings.Join(mine, ", ")
			}
		}
		fmt.Fprintf(&b, "  - {id: made-%d, title: made, severity: low, match: {eventName: [%s]}", i, names)
		if i%2 == 1 {
			b.WriteString(", threshold: {count: 20, window: 10m, group_by: [recipientAccountId, userIdentity.arn]}")
		}
		b.WriteString("}\n")
	}
	return b.String()
}
