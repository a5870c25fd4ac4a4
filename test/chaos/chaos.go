//go:build unix

// Package chaos is the fleet's trial: workers as real processes, traffic with
// incidents planted in it, and for its whole length workers that are killed,
// halted, stopped, added and removed, and brokers that restart. At the end the
// alerts that a read_committed reader sees have to be those of one worker that
// nobody disturbs: none missing, none twice, and each counted from the raw events
// once more.
package chaos

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trailtide/trailtide/test/harness"
)

// Options of Run. All sizes are required unless a default is named.
type Options struct {
	Seed    uint64   // of traffic and schedule
	Brokers []string // to connect to
	Nodes   []Node   // brokers to restart; none: they are left alone

	Workers     int           // that run in quiet moments
	Input       Input         // what the workers read; default: a topic on the brokers
	Sources     int           // partitions of the source, or of others the keys of records
	Repartition int           // partitions of the repartition topic
	Replication int           // of all topics
	Events      int           // of the everyday traffic
	Kills       int           // with SIGKILL, of workers; the schedule ends with the last one
	Pace        time.Duration // from one step of the schedule to the next, on average
	Halt        time.Duration // the longest that a worker is halted
	Small       bool          // too few kills to be sure to meet an open transaction
	Patience    time.Duration // for the rest to come after the last step; default 3 m
}

// Node is a broker.
type Node interface {
	ID() int
	Kill() error
	Stop() error
	Start(ctx context.Context) error
	Pause() error
	Resume() error
}

// Seed is a new one, or TRAILTIDE_CHAOS_SEED.
func Seed(t testing.TB) uint64 {
	t.Helper()
	v := os.Getenv("TRAILTIDE_CHAOS_SEED")
	if v == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("TRAILTIDE_CHAOS_SEED: %v", err)
	}
	return n
}

// The names that a run has to itself: a cluster serves one run.
const (
	prefix = "chaos"
	trail  = "trail"
	group  = "readers"
	sink   = "hook"
)

// trial is one run.
type trial struct {
	Options
	t     testing.TB
	dir   string
	c     *cluster
	input Input
	hook  *hook
	crew  *crew
	dead  []string // dead letters to find
}

// Run is the trial on an empty cluster. It builds nothing: see harness.Main.
func Run(t testing.TB, o Options) {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = 3 * time.Minute
	}
	r := &trial{Options: o, t: t, dir: workplace(t)}
	t.Logf("TRAILTIDE_CHAOS_SEED=%d repeats traffic and schedule; the workers' logs are in %s while it runs", o.Seed, r.dir)
	var err error
	if r.c, err = connect(o.Brokers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.c.close)
	if r.input = o.Input; r.input == nil {
		if err := r.c.create(t.Context(), trail, o.Sources, o.Replication); err != nil {
			t.Fatal(err)
		}
		r.input = &topic{r.c}
	}
	r.hook = newHook(o.Seed)
	server := httptest.NewServer(r.hook)
	t.Cleanup(server.Close)
	conf := r.configure(server.URL)
	harness.Output(t, "topics", "create", "-c", conf(0))

	tr, err := newTraffic(o.Seed, o.Events, o.Sources)
	if err != nil {
		t.Fatal(err)
	}
	want := r.expected(tr)
	r.crew = newCrew(r.dir, conf, o.Nodes, o.Workers)
	t.Cleanup(r.crew.end)
	plan := newPlan(&o)
	t.Logf("%d steps in %v, %d of them with SIGKILL; %d records", len(plan.steps), plan.length.Round(time.Second), o.Kills, len(tr.records))
	follow := r.c.follow(t.Context(), r.names().Alerts())
	t.Cleanup(follow.stop)

	filled := make(chan error, 1)
	go func() { filled <- r.input.Fill(t.Context(), tr.list(), plan.length*85/100) }()
	problems := r.crew.perform(t.Context(), plan)
	if err := <-filled; err != nil {
		r.fail("fill the source: %v", err)
	}
	problems = append(problems, r.crew.calm(t.Context())...)
	for _, p := range problems {
		t.Error(p)
	}
	r.settle(follow, want)
	r.judge(follow, tr, want)
	if problems := r.crew.dismiss(); len(problems) > 0 {
		t.Error(strings.Join(problems, "\n"))
	}
	if t.Failed() {
		r.fail("the trial failed")
	}
}

// workplace is where configurations and logs lie; they stay when the run failed
// and TRAILTIDE_CHAOS_DIR is set.
func workplace(t testing.TB) string {
	t.Helper()
	parent := os.Getenv("TRAILTIDE_CHAOS_DIR")
	if parent == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "chaos-") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// configure writes the rules, and answers the configuration of a worker's place:
// every other one is a static member.
func (r *trial) configure(url string) func(place int) string {
	harness.Write(r.t, r.dir, "rules.yaml", nativeRules)
	harness.Write(r.t, r.dir, "sigma.yml", sigmaRules)
	level := os.Getenv("TRAILTIDE_CHAOS_LOG")
	if level == "" {
		level = "info"
	}
	return func(place int) string {
		engine := ""
		if static(place) {
			engine = fmt.Sprintf(", instance_id: worker-%d", place)
		}
		path := filepath.Join(r.dir, fmt.Sprintf("place-%d.yaml", place))
		content := fmt.Sprintf(`
engine: kafka
rules: {paths: [rules.yaml, sigma.yml], builtin: false, watch: false}
source:
  %s
kafka: {brokers: [%s], prefix: %s, partitions: %d, replication: %d, session_timeout: 3s, transaction_timeout: 5s, metadata_min_age: 100ms%s}
commit_interval: 100ms
stop_within: 10s
sinks: [{name: %s, min_severity: info, from: oldest, retry: {initial: 50ms, max: 500ms}, webhook: {url: %q, allow_http: true}}]
admin: {listen: "off"}
log: {level: %s}
`, r.input.Section(place), strings.Join(r.Brokers, ", "), prefix, r.Repartition, r.Replication, engine, sink, url, level)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			panic(err) // the rules could be written
		}
		return path
	}
}

// static says whether the workers of a place are static members of their groups.
func static(place int) bool { return place%2 == 1 }

// settle waits until everything has been read, counted and delivered.
func (r *trial) settle(f *follower, want *outcome) {
	start := time.Now()
	var last string
	done := harness.Until(r.t, r.Patience, func() bool {
		if p := r.crew.fallen(); len(p) > 0 {
			last = strings.Join(p, "\n")
			return true
		}
		if last = r.input.Behind(r.t.Context()); last != "" {
			return false
		}
		got := judged(f.alerts())
		if diff := want.differs(got); diff != "" {
			last = diff
			return false
		}
		if missing := r.hook.missing(f.alerts()); len(missing) > 0 {
			last = fmt.Sprintf("%d alerts have not reached the sink, such as %s", len(missing), missing[0])
			return false
		}
		last = ""
		return true
	})
	if !done || last != "" {
		r.t.Errorf("%v after the last step: %s\nEvent time is held by%s\nLate are%s", time.Since(start).Round(time.Second), last, r.holders(r.t.Context()), r.lates(r.t.Context()))
		return
	}
	r.t.Logf("all is there %v after the last step", time.Since(start).Round(100*time.Millisecond))
	// Quiet means that nothing more comes, be it of timers alone.
	timer := time.NewTimer(3 * time.Second)
	defer timer.Stop()
	<-timer.C
}

// fail ends the test with all that is known of the run.
func (r *trial) fail(format string, args ...any) {
	var b strings.Builder
	fmt.Fprintf(&b, format, args...)
	fmt.Fprintf(&b, "\nTRAILTIDE_CHAOS_SEED=%d\n%s", r.Seed, r.crew.history())
	logs := r.crew.logs()
	for _, name := range slices.Sorted(maps.Keys(logs)) {
		fmt.Fprintf(&b, "\n--- the end of %s\n%s", name, logs[name])
	}
	r.t.Fatal(b.String())
}
