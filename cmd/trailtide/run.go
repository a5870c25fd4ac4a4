package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

func newRun() *cobra.Command {
	var path, replay string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Run the worker",
		Long: `Run reads the source that the configuration names until it is stopped (SIGTERM, Ctrl-C),
and delivers alerts to the sinks. Positions, windows and alerts become durable together: a
worker that is killed goes on exactly where it stood.

Rules are reloaded when their files change, on SIGHUP, and on POST /-/reload; a set with
one bad rule is refused whole, and the old one stays in force.

--replay reads the source again from a time on, and goes on from there: events that were counted
are known by their identity, and plain alerts come under the same IDs. Of a fleet only one worker
is given it, while no other one runs; the others follow.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := LoadConfig(path)
			if err != nil {
				return usageError(err)
			}
			if quiet {
				*c.Notify = false
			}
			if replay != "" {
				if err := c.setReplay(replay, time.Now()); err != nil {
					return usageError(err)
				}
			}
			log, err := newLogger(c.Log, cmd.ErrOrStderr())
			if err != nil {
				return usageError(err)
			}
			return runWorker(cmd.Context(), c, log)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "trailtide.yaml", "configuration file")
	cmd.Flags().StringVar(&replay, "replay", "", "read the source again from a time (RFC 3339) or from so long ago (90m), whatever was committed")
	cmd.Flags().BoolVar(&quiet, "no-notify", false, "save alerts and tell nobody, as for a replay of old events")
	return cmd
}

// runWorker builds everything that the configuration names, runs it until ctx
// ends or the source does, and takes it down again.
func runWorker(ctx context.Context, c *Config, log *zap.Logger) error {
	choice := c.choice()
	loaded, err := loadRules(choice)
	warnRules(log, loaded)
	if err != nil {
		return usageError(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if errs := checkSinkNames(c, loaded.set); len(errs) > 0 {
		return usageError(errors.Join(errs...))
	}

	receivers, err := buildSinks(c, log)
	if err != nil {
		return usageError(err)
	}
	starting := context.WithoutCancel(ctx) // a stop is looked at once the worker runs
	e, err := openEngine(starting, c, loaded.set, receivers, log, registry)
	if err != nil {
		return err
	}
	w := e.worker
	adminLn, err := listenAdmin(starting, c.Admin)
	if err != nil {
		return errors.Join(runtimeError(fmt.Errorf("admin listener: %w", err)), e.close(starting))
	}
	var pprofLn net.Listener
	if c.Pprof.Listen != "" {
		if pprofLn, err = new(net.ListenConfig).Listen(starting, "tcp", c.Pprof.Listen); err != nil {
			return errors.Join(runtimeError(fmt.Errorf("pprof listener: %w", err)), e.close(starting))
		}
	}

	reloads := newReloadMetrics(registry)
	files := &watched{}
	files.set(loaded)
	rel := &reloader{log: log, count: reloads, hup: func() { reopen(receivers, log) }, load: func() error {
		l, err := loadRules(choice)
		if err != nil {
			files.add(l)
			return err
		}
		if errs := checkSinkNames(c, l.set); len(errs) > 0 {
			return errors.Join(errs...)
		}
		warnRules(log, l)
		files.set(l)
		w.SetRules(l.set)
		return nil
	}}
	reloads(true)

	log.Info("trailtide starts", zap.String("version", version()), zap.Int("rules", len(loaded.set.Rules())),
		zap.Int("sinks", len(receivers)), zap.String("admin", c.Admin.Listen))
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSide()
	var g errgroup.Group
	if adminLn != nil {
		g.Go(func() error {
			return serveHTTP(side, adminLn, adminHandler(c.Admin.Token.Reveal(), registry, w.Ready, func(ctx context.Context) error { return rel.reload(ctx, "POST /-/reload") }))
		})
	}
	if pprofLn != nil {
		g.Go(func() error { return serveHTTP(side, pprofLn, pprofHandler()) })
	}
	g.Go(func() error {
		return rel.run(side, *c.Rules.Watch, func() []string { return files.dirs(choice.paths) }, files.read)
	})
	var beside sync.WaitGroup
	var besideErr atomic.Pointer[error]
	for _, run := range e.beside {
		beside.Go(func() {
			if err := run(side); err != nil {
				log.Error("a part of the worker has ended; the rest goes on", zap.Error(err))
				besideErr.Store(&err)
			}
		})
	}

	err = w.Run(ctx)
	if err != nil {
		err = fmt.Errorf("worker: %w", err)
	}
	// The last commit is done: let delivery send what it made, then stop.
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.StopWithin)
	if e.drain != nil {
		e.drain(drained)
	}
	cancel()
	stopSide()
	beside.Wait()
	if p := besideErr.Load(); p != nil {
		err = errors.Join(err, *p)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.StopWithin)
	defer cancel()
	err = errors.Join(err, g.Wait(), e.close(closing))
	s := w.Summary()
	log.Info("trailtide stops", zap.Int64("events_read", s.Read), zap.Int64("events_invalid", s.Invalid),
		zap.Int64("events_matched", s.Matched), zap.Int64("events_duplicate", s.Duplicate), zap.Int64("events_unmatched", s.Unmatched),
		zap.Int64("records_skipped", s.Skipped), zap.Int64("events_late", s.Late), zap.Int64("events_untimed", s.Untimed), zap.Error(err))
	return runtimeError(err)
}

// watched is what the file watcher follows.
type watched struct {
	mu    sync.Mutex
	files []string
	extra []string
}

func (w *watched) set(l *loadedRules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files, w.extra = l.files, l.dirs
}

// add keeps following what was, and follows what a refused set added.
func (w *watched) add(l *loadedRules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = append(w.files, l.files...)
	w.extra = append(w.extra, l.dirs...)
}

// read are the files that were read.
func (w *watched) read() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.files)
}

func (w *watched) dirs(paths []string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return directoriesOf(paths, w.files, w.extra)
}

func (c *Config) choice() ruleChoice {
	r := &c.Rules
	return ruleChoice{
		paths: r.Paths, noBuiltin: !*r.Builtin, enable: r.Enable, disable: r.Disable, placeholders: r.Placeholders, enrich: c.Enrich,
	}
}

func warnRules(log *zap.Logger, l *loadedRules) {
	for _, w := range l.remarks() {
		log.Warn("rule", zap.String("warning", w))
	}
	for _, n := range l.notes {
		log.Info("rule", zap.String("note", n))
	}
}

// newReloadMetrics counts reloads and tells whether the last one was taken.
func newReloadMetrics(r prometheus.Registerer) func(ok bool) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "trailtide", Name: "rule_reloads_total", Help: "Reloads of the rules by outcome."}, []string{"outcome"})
	good := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "trailtide", Name: "rules_last_reload_successful", Help: "1 when the newest rule files are in force, 0 when they were refused."})
	at := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "trailtide", Name: "rules_last_reload_success_timestamp_seconds", Help: "When rules were last put in force."})
	r.MustRegister(total, good, at)
	return func(ok bool) {
		if !ok {
			total.WithLabelValues("refused").Inc()
			good.Set(0)
			return
		}
		total.WithLabelValues("taken").Inc()
		good.Set(1)
		at.SetToCurrentTime()
	}
}
