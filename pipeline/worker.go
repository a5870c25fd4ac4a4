package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/engine"
)

// Options of a Worker. Zero values are the defaults where one is named.
type Options struct {
	Source Source
	Engine engine.Engine
	Rules  *matcher.Ruleset
	// Describe makes what the alert stage knows of a rule set; nil: alerting.RulesOf.
	Describe func(rs *matcher.Ruleset) alerting.Rules
	// Open opens what matching hands its results to, in place of the alert stage
	// on partition 0 of Engine, and answers the committed positions of the source.
	Open func(ctx context.Context) (Stage, map[string][]byte, error)
	// Replay has the source start where its options say, whatever Engine has committed.
	Replay bool

	Lanes         int           // goroutines that match; default GOMAXPROCS
	CommitEvery   time.Duration // longest interval between commits; default 200 ms
	CommitEvents  int           // matched events after which a commit is due; default 5,000
	CommitBatches int           // batches after which a commit is due; default: no such bound
	StopWithin    time.Duration // deadline of the last commit at a graceful stop; default 10 s
	ValidateFull  bool          // parse events that no rule can match, too
	Limits        cloudtrail.Limits
	Alerting      alerting.Options

	Log        *zap.Logger           // nil: none
	Registerer prometheus.Registerer // nil: no metrics are exposed
	Now        func() time.Time      // nil: time.Now
}

func (o *Options) setDefaults() {
	if o.Lanes <= 0 {
		o.Lanes = runtime.GOMAXPROCS(0)
	}
	if o.CommitEvery <= 0 {
		o.CommitEvery = 200 * time.Millisecond
	}
	if o.CommitEvents <= 0 {
		o.CommitEvents = 5_000
	}
	if o.StopWithin <= 0 {
		o.StopWithin = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Describe == nil {
		o.Describe = alerting.RulesOf
	}
}

// Worker moves batches from a source through matching and counting to commits.
type Worker struct {
	o       Options
	rules   atomic.Pointer[ruleset]
	metrics *metrics

	mu      sync.Mutex
	summary Summary
	problem error // why it is not ready; nil: ready
}

// errStarting is what Ready answers until the state is restored.
var errStarting = errors.New("starting: window state is being restored")

// New returns a Worker. It starts nothing.
func New(o Options) (*Worker, error) {
	if o.Source == nil || o.Engine == nil && o.Open == nil || o.Rules == nil {
		return nil, errors.New("a worker needs a source, an engine and rules")
	}
	o.setDefaults()
	w := &Worker{o: o, problem: errStarting, metrics: newMetrics(o.Registerer)}
	w.rules.Store(&ruleset{o.Rules, o.Describe(o.Rules)})
	w.metrics.rules.Set(float64(len(o.Rules.Rules())))
	return w, nil
}

// SetRules makes rs the rules of every batch that is matched from now on.
// Windows of rules whose Hash is unchanged keep their state. Safe while running.
func (w *Worker) SetRules(rs *matcher.Ruleset) {
	w.rules.Store(&ruleset{rs, w.o.Describe(rs)})
	w.metrics.rules.Set(float64(len(rs.Rules())))
}

// Ready answers nil when the worker reads and commits, otherwise why not.
func (w *Worker) Ready() error {
	w.mu.Lock()
	problem := w.problem
	w.mu.Unlock()
	if h, ok := w.o.Source.(Health); ok && problem == nil {
		problem = h.Health()
	}
	return problem
}

func (w *Worker) setProblem(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem = err
}

// job is a batch on its way through a lane. done has room for one.
type job struct {
	batch *Batch
	rules *ruleset
	done  chan *result
}

// Run works until the source ends or ctx does: both answer nil, after a last
// commit. Any other end is an error, and what was not committed is read again
// at the next start. Run is called once.
func (w *Worker) Run(ctx context.Context) error {
	stage, err := w.start(ctx)
	if ctx.Err() != nil {
		return nil // asked to stop before it began: whatever failed, failed for that
	}
	if err != nil {
		return err
	}
	w.setProblem(nil)
	defer w.setProblem(errors.New("stopped"))

	g, gctx := errgroup.WithContext(ctx)
	jobs := make(chan *job)
	order := make(chan *job, 2*w.o.Lanes) // so that lanes need not wait for the slowest of them
	g.Go(func() error {
		defer close(jobs)
		defer close(order)
		return w.read(gctx, jobs, order)
	})
	for range w.o.Lanes {
		g.Go(func() error {
			l := newLane(w.o.Limits, w.o.ValidateFull)
			started := w.o.Now()
			l.clock = func() int64 { return int64(w.o.Now().Sub(started)) }
			for j := range jobs {
				j.done <- l.process(j.batch, j.rules, w.o.Now())
			}
			return nil
		})
	}
	g.Go(func() error {
		c := &committer{w: w, stage: stage, lineage: newLineage()}
		return c.run(gctx, ctx, order)
	})
	err = g.Wait()
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // asked to stop
	}
	return err
}

// start restores what is durable and lets the source begin after it.
func (w *Worker) start(ctx context.Context) (Stage, error) {
	open := w.o.Open
	if open == nil {
		open = w.openEmbedded
	}
	stage, positions, err := open(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.o.Source.Start(ctx, positions); err != nil {
		return nil, fmt.Errorf("start the source: %w", err)
	}
	return stage, nil
}

// openEmbedded opens the alert stage on the engine's one partition.
func (w *Worker) openEmbedded(ctx context.Context) (Stage, map[string][]byte, error) {
	positions, err := w.o.Engine.Positions(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the committed positions: %w", err)
	}
	if w.o.Replay {
		positions = nil
	}
	stage, err := alerting.Open(ctx, w.o.Engine, 0, w.o.Alerting)
	return stage, positions, err
}

// read hands batches to the lanes, and in the same order to the committer.
func (w *Worker) read(ctx context.Context, jobs, order chan<- *job) error {
	for {
		b, err := w.o.Source.Read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		j := &job{batch: b, rules: w.rules.Load(), done: make(chan *result, 1)}
		for _, ch := range []chan<- *job{order, jobs} {
			select {
			case ch <- j:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}
