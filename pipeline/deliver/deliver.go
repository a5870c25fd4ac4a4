// Package deliver takes committed alerts from the outbox to the sinks. Each
// sink has a goroutine and a place in the outbox of its own, so that a slow or
// dead one holds up nobody else.
//
// The place of a sink only moves over alerts that are delivered, filtered out
// or in the dead letter. What was delivered but not yet passed by the place
// when the process dies is delivered again: at least once. An outbox that is an
// engine.Resumer keeps what was delivered behind the place, too.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// Route is one sink and what it gets.
type Route struct {
	// Name is the sink's name in the rules, in metrics, and of its place in the
	// outbox: a sink that is renamed starts anew.
	Name   string
	Sink   sinks.Sink
	Filter Filter
	Retry  sinks.RetryPolicy
	// Batch is how many alerts one write gets at most. Default 100.
	Batch int
	// From is where a sink begins that the outbox does not know yet. Default:
	// the oldest entry that is kept for another sink.
	From engine.Start
}

// Options of a Runner.
type Options struct {
	Outbox engine.Outbox
	Routes []Route
	// Muted says of an alert's state, just before it would be told, that it is
	// not to be told, and why. Nil: every state is told. Called by all routes at
	// once; see control.Book.
	Muted func(*sinks.Alert) (reason string, muted bool)
	// StopTimeout is how long a stopping Runner lets writes under way finish.
	// Default 10 s.
	StopTimeout time.Duration
	Logger      *zap.Logger           // nil: none
	Metrics     prometheus.Registerer // nil: none
}

// Runner runs the routes.
type Runner struct {
	o     Options
	lanes []*lane
}

// New validates the options, all problems at once.
func New(o Options) (*Runner, error) {
	var errs []error
	names := map[string]bool{}
	for i := range o.Routes {
		r := &o.Routes[i]
		if r.Name == "" || r.Sink == nil {
			errs = append(errs, fmt.Errorf("route %d: a name and a sink are needed", i))
			continue
		}
		if names[r.Name] {
			errs = append(errs, fmt.Errorf("sink %s: the name is used twice", r.Name))
		}
		names[r.Name] = true
		if r.Batch < 0 {
			errs = append(errs, fmt.Errorf("sink %s: batch must not be negative", r.Name))
		}
		for _, err := range []error{r.Filter.Validate(), r.Retry.Validate()} {
			if err != nil {
				errs = append(errs, fmt.Errorf("sink %s: %w", r.Name, err))
			}
		}
	}
	if o.Outbox == nil {
		errs = append(errs, errors.New("an outbox is needed"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register delivery metrics: %w", err)
	}
	r := &Runner{o: o}
	for _, route := range o.Routes {
		r.lanes = append(r.lanes, newLane(route, o, m))
	}
	return r, nil
}

// Register tells the outbox who reads it, where the outbox keeps a list: an
// entry is kept until every sink on it has passed it. Call it before the first
// alert is committed; Run does it again for a caller that has not.
func (r *Runner) Register(ctx context.Context) error {
	list, ok := r.o.Outbox.(engine.Consumers)
	if !ok {
		return nil
	}
	for _, l := range r.lanes {
		if err := list.Register(ctx, l.route.From, l.route.Name); err != nil {
			return fmt.Errorf("register sink %s with the outbox: %w", l.route.Name, err)
		}
	}
	return nil
}

// closeGrace is what a sink gets to close beyond StopTimeout, before Run
// returns without it.
const closeGrace = 2 * time.Second

// Run delivers until ctx ends. Then it lets writes under way finish for
// StopTimeout, closes the sinks, and returns nil, or an error that names the
// sinks that did not stop. Nothing else ends it: a sink that fails, fails
// alone, and an outbox that fails is tried again.
func (r *Runner) Run(ctx context.Context) error {
	for err := r.Register(ctx); err != nil; err = r.Register(ctx) {
		if ctx.Err() != nil {
			break // the lanes have nothing to do but to close their sinks
		}
		r.o.Logger.Error("start delivery", zap.Error(err))
		wait(ctx, outboxPause)
	}
	// hard ends StopTimeout after ctx.
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopTimer := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(r.o.StopTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-hard.Done():
		}
	})
	defer stopTimer()

	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		running = map[string]bool{}
		done    = make(chan struct{})
	)
	for _, l := range r.lanes {
		running[l.route.Name] = true
		wg.Go(func() {
			l.run(ctx, hard)
			mu.Lock()
			defer mu.Unlock()
			delete(running, l.route.Name)
		})
	}
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-hard.Done():
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-done:
		return nil
	case <-grace.C:
	}
	mu.Lock()
	defer mu.Unlock()
	var names []string
	for name := range running {
		names = append(names, name)
	}
	return fmt.Errorf("sinks that did not stop in time: %s", strings.Join(names, ", "))
}
