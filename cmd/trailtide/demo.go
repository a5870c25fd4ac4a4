package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka/client"
	"github.com/trailtide/trailtide/sinks/render"
)

// demoFlags are the flags of demo.
type demoFlags struct {
	duration    time.Duration
	rate        float64
	seed        uint64
	minSeverity string
}

const (
	demoTopic      = "cloudtrail"
	demoPartitions = 6
	demoSettle     = 3 * time.Second // between the last incident and the end
)

func newDemo() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch generated traffic with planted incidents: no accounts, no servers",
		Long: `Demo runs everything in one process: a Kafka broker in memory, a generator that makes the
CloudTrail traffic of an organisation and plants incidents in it, and the worker with the
built-in rules. Alerts appear as they are found. It ends by itself, or on Ctrl-C, with the
list of the planted incidents and which of them were found.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.duration < 5*time.Second || f.rate < 1 || f.rate > 200_000 {
				return usageError(errors.New("--duration must be at least 5s, --rate between 1 and 200,000"))
			}
			return demo(cmd, &f)
		},
	}
	fl := cmd.Flags()
	fl.DurationVar(&f.duration, "duration", time.Minute, "how long it runs")
	fl.Float64Var(&f.rate, "rate", 2000, "events a second")
	fl.Uint64Var(&f.seed, "seed", 1, "of the generator: the same seed makes the same events")
	fl.StringVar(&f.minSeverity, "min-severity", "low", "show alerts of this severity and above")
	return cmd
}

func demo(cmd *cobra.Command, f *demoFlags) (err error) {
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	loaded, err := loadRules(ruleChoice{})
	if err != nil {
		return runtimeError(err)
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(demoPartitions, demoTopic),
		kfake.BrokerConfigs(map[string]string{"group.consumer.heartbeat.interval.ms": "200"}))
	if err != nil {
		return runtimeError(fmt.Errorf("start the broker: %w", err))
	}
	defer broker.Close()
	gen, err := traffic.New(traffic.Config{
		Seed: f.seed, Start: time.Now().Truncate(time.Second), EventsPerSecond: f.rate, Lateness: 2 * time.Second, Duplicates: 0.02,
		Incidents:     len(traffic.Kinds()),
		IncidentEvery: max((f.duration-demoSettle)/time.Duration(len(traffic.Kinds())+2), 50*time.Millisecond),
	})
	if err != nil {
		return runtimeError(err)
	}
	show := newScreen(cmd.OutOrStdout(), f.minSeverity)
	src, err := kafka.New(kafka.Options{
		Client: client.Options{Brokers: broker.ListenAddrs()}, Topics: []string{demoTopic}, Group: "trailtide-demo",
		MetadataMinAge: 50 * time.Millisecond, LagInterval: 250 * time.Millisecond,
	})
	if err != nil {
		return runtimeError(err)
	}
	w, err := pipeline.New(pipeline.Options{
		Source: src, Engine: memory.New(memory.Options{OnAlert: show.alert}), Rules: loaded.set,
		CommitEvery: 100 * time.Millisecond, Alerting: alerting.Options{},
	})
	if err != nil {
		return runtimeError(err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "A Kafka broker in memory, %d events/s of an organisation's CloudTrail, %d rules, %d incidents to find in %s.\n\n",
		int(f.rate), len(loaded.set.Rules()), len(traffic.Kinds()), f.duration)

	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	sendErr := send(ctx, broker.ListenAddrs(), gen, f, func() { show.rate(w.Summary()) })
	if ctx.Err() == nil {
		waitRead(ctx, w, show, gen)
	}
	stop()
	err = errors.Join(sendErr, <-done, src.Close(context.WithoutCancel(ctx)))
	if err != nil {
		return runtimeError(err)
	}
	if missed := show.summary(gen.Incidents(), w.Summary()); missed > 0 {
		return runtimeError(fmt.Errorf("%d planted incidents were not found", missed))
	}
	return nil
}

// send produces events at the rate, until the time is over or ctx ends.
func send(ctx context.Context, brokers []string, gen *traffic.Generator, f *demoFlags, each func()) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(demoTopic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	var sent float64
	var failed error
	var once sync.Once
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			elapsed := now.Sub(start)
			if elapsed >= f.duration {
				return errors.Join(cl.Flush(ctx), failed)
			}
			for due := elapsed.Seconds() * f.rate; sent < due; sent++ {
				cl.Produce(ctx, &kgo.Record{Value: gen.AppendNext(nil)}, func(_ *kgo.Record, err error) {
					if err != nil && ctx.Err() == nil {
						once.Do(func() { failed = err })
					}
				})
			}
			each()
		}
	}
}

// waitRead waits until the worker has told of every incident, or nothing new
// comes any more.
func waitRead(ctx context.Context, w *pipeline.Worker, show *screen, gen *traffic.Generator) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for show.missing(gen.Incidents()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-deadline:
			return
		case <-tick.C:
			show.rate(w.Summary())
		}
	}
}

// screen shows alerts as they come, with a rate line below them on a terminal.
type screen struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	width    int
	least    int
	start    time.Time
	drawn    time.Time // when the rate was last written
	read     int64     // events by then
	shown    int
	told     map[string]bool // alert IDs
	found    map[string]bool // rule and event ID
}

func newScreen(w io.Writer, least string) *screen {
	width, terminal := isTerminal(w)
	now := time.Now()
	return &screen{w: w, terminal: terminal, width: width, least: rank(least), start: now, drawn: now, told: make(map[string]bool), found: make(map[string]bool)}
}

func (s *screen) alert(a *sinks.Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Status == sinks.Suppressed || a.Status == sinks.Resolved {
		return
	}
	for _, id := range a.EventIDs {
		s.found[a.RuleID+" "+id] = true
	}
	if s.told[a.AlertID] || rank(a.Severity) < s.least {
		return
	}
	s.told[a.AlertID] = true
	s.shown++
	if s.terminal {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
	fmt.Fprintf(s.w, "%s\n", render.AppendLine(nil, a, s.terminal))
}

// rate writes how it goes: over itself on a terminal, every ten seconds elsewhere.
func (s *screen) rate(sum pipeline.Summary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	every := 10 * time.Second
	if s.terminal {
		every = 200 * time.Millisecond
	}
	since := now.Sub(s.drawn)
	if since < every {
		return
	}
	line := fmt.Sprintf("-- %s: %s events read, %s/s, %d alerts shown",
		now.Sub(s.start).Round(time.Second), short(float64(sum.Read)), short(float64(sum.Read-s.read)/since.Seconds()), s.shown)
	s.drawn, s.read = now, sum.Read
	if s.terminal {
		fmt.Fprintf(s.w, "\r\x1b[K%s", line[:min(len(line), max(s.width-1, 1))])
		return
	}
	fmt.Fprintln(s.w, line)
}

// saw says whether an incident's rule told of one of its events.
func (s *screen) saw(i traffic.Incident) bool {
	return slices.ContainsFunc(i.EventIDs, func(id string) bool { return s.found[i.RuleID+" "+id] })
}

func (s *screen) missing(planted []traffic.Incident) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(planted), s.saw))
}

// summary lists the planted incidents and answers how many were missed.
func (s *screen) summary(planted []traffic.Incident, sum pipeline.Summary) (missed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terminal {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
	fmt.Fprintf(s.w, "\nPlanted incidents:\n")
	for i := range planted {
		in := &planted[i]
		verdict := "FOUND "
		if !s.saw(*in) {
			verdict = "MISSED"
			missed++
		}
		fmt.Fprintf(s.w, "  %s  %-34s %s\n", verdict, in.RuleID, in.Title)
	}
	fmt.Fprintf(s.w, "\n%d of %d planted incidents found, %d alerts shown.\n", len(planted)-missed, len(planted), s.shown)
	fmt.Fprintf(s.w, "events_read=%d events_invalid=%d events_matched=%d events_duplicate=%d events_unmatched=%d\n",
		sum.Read, sum.Invalid, sum.Matched, sum.Duplicate, sum.Unmatched)
	return missed
}
