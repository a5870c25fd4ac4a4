package deliver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// item is an outbox entry between being read and being passed by the place.
type item struct {
	entry    engine.Entry
	done     bool               // delivered, filtered out or dead
	dead     *engine.DeadLetter // set when dead, until it is stored
	attempts int
	single   int       // attempts that failed while the sink took others
	seen     int       // the lane's deliveries when it was read or last tried
	first    time.Time // of the first attempt
	due      time.Time // not tried before
}

// lane is one sink at work. One goroutine owns it.
//
// It holds a window of the outbox: entries from the place on. Those that fail
// wait for their next attempt in it while later ones are delivered, up to the
// window's size; the place follows the first that is not done.
type lane struct {
	route   Route
	outbox  engine.Outbox
	resumer engine.Resumer // the outbox, if it keeps more than the place
	muted   func(*sinks.Alert) (string, bool)
	logger  *zap.Logger
	metrics routeMetrics

	window       []*item
	changed      bool  // a Resumer does not know the window's latest outcomes
	last         int64 // sequence of the newest entry in the window
	delivered    int   // alerts that the sink has taken
	failures     int   // writes in a row in which nothing was delivered
	blockedUntil time.Time
}

const (
	defaultBatch = 100
	// windowBatches bounds the window, in batches.
	windowBatches = 4
	// pollEvery is how often a lane with failed entries looks for new ones.
	pollEvery = time.Second
	// outboxPause is the pause after the outbox failed.
	outboxPause = time.Second
)

func newLane(route Route, o Options, m *metrics) *lane {
	if route.Batch == 0 {
		route.Batch = defaultBatch
	}
	route.Retry = route.Retry.WithDefaults()
	l := &lane{
		route: route, outbox: o.Outbox, muted: o.Muted, metrics: m.route(route.Name),
		logger: o.Logger.With(zap.String("sink", route.Name)),
	}
	l.resumer, _ = o.Outbox.(engine.Resumer)
	return l
}

// run works until ctx ends. What is under way then may go on until hard ends.
func (l *lane) run(ctx, hard context.Context) {
	for ctx.Err() == nil {
		if err := l.fill(ctx); err != nil {
			if ctx.Err() == nil {
				l.outboxFailed("read alerts from the outbox", err)
				wait(ctx, outboxPause)
			}
			continue
		}
		batch := l.ready(time.Now())
		if len(batch) > 0 {
			l.write(hard, batch)
		}
		l.advance(ctx, hard)
		if len(batch) == 0 && len(l.window) > 0 {
			wait(ctx, l.idle(time.Now()))
		}
	}
	l.advance(hard, hard)
	if err := l.route.Sink.Close(hard); err != nil {
		l.logger.Warn("sink did not close cleanly", zap.Error(err))
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// outboxFailed is told at each try: a second apart, and someone must act.
func (l *lane) outboxFailed(doing string, err error) {
	l.metrics.outboxErrors.Inc()
	l.logger.Error(doing, zap.Error(err))
}

// fill reads entries into the window. It blocks only while the window is empty:
// then for the first entry.
func (l *lane) fill(ctx context.Context) error {
	room := windowBatches*l.route.Batch - len(l.window)
	if room <= 0 && l.resumer == nil {
		return nil
	}
	entries, err := l.outbox.Read(ctx, l.route.Name, len(l.window)+min(max(room, 0), l.route.Batch))
	if err != nil {
		return err
	}
	if l.resumer != nil {
		l.keep(entries)
	}
	now := time.Now()
	for _, e := range entries {
		if len(l.window) > 0 && e.Seq <= l.last {
			continue // in the window already: the place has not moved over it
		}
		it := &item{entry: e, seen: l.delivered}
		if k := e.Known; k != nil {
			it.done, it.attempts, it.single, it.first = k.Done, k.Attempts, k.Single, k.First
		}
		if !it.done {
			l.judge(it, now)
		}
		l.window = append(l.window, it)
		l.last = e.Seq
	}
	l.observeLag(now)
	return nil
}

// judge sets aside what is not for this sink.
func (l *lane) judge(it *item, now time.Time) {
	a := it.entry.Alert
	switch l.route.Filter.judge(l.route.Name, a, now) {
	case send:
	case filtered:
		it.done = true
		l.metrics.filtered.Inc()
		return
	case stale:
		it.done = true
		l.metrics.stale.Inc()
		if l.route.Filter.StaleToDead {
			it.dead = l.deadLetter(it, fmt.Sprintf("older than max_age, %v, when it came to be told", l.route.Filter.MaxAge))
		}
		return
	}
	if l.muted == nil {
		return
	}
	if reason, muted := l.muted(a); muted {
		it.done = true
		l.metrics.muted.Inc()
		l.logger.Debug("alert is not told", zap.String("alert_id", a.AlertID), zap.String("reason", reason))
	}
}

// keep drops items from the window that a Resumer does not answer any more:
// they are somebody else's now.
func (l *lane) keep(entries []engine.Entry) {
	ours := map[int64]bool{}
	for _, e := range entries {
		ours[e.Seq] = true
	}
	l.window = slices.DeleteFunc(l.window, func(it *item) bool { return !ours[it.entry.Seq] })
}

func (l *lane) observeLag(now time.Time) {
	for _, it := range l.window {
		if !it.done {
			if at := it.entry.Alert.DetectedAt; !at.IsZero() {
				l.metrics.lag.Set(max(now.Sub(at), 0).Seconds())
			}
			return
		}
	}
	l.metrics.lag.Set(0)
}

// ready returns the next items to write, in order, at most one state of each
// alert: the next one waits until it is delivered or dead.
func (l *lane) ready(now time.Time) []*item {
	if now.Before(l.blockedUntil) {
		return nil
	}
	var batch []*item
	held := map[string]bool{}
	for _, it := range l.window {
		id := it.entry.Alert.AlertID
		switch {
		case it.done:
		case held[id] || now.Before(it.due):
			held[id] = true
		default:
			if batch = append(batch, it); len(batch) == l.route.Batch {
				return batch
			}
			held[id] = true // a sink may take the second of two and not the first
		}
	}
	return batch
}

// idle returns how long nothing can be done, unless new entries come.
func (l *lane) idle(now time.Time) time.Duration {
	pause := pollEvery
	for _, it := range l.window {
		if !it.done {
			next := it.due
			if next.Before(l.blockedUntil) {
				next = l.blockedUntil
			}
			pause = min(pause, next.Sub(now))
		}
	}
	return max(pause, time.Millisecond)
}

// advance moves the place over the finished entries at the window's start and
// stores their dead letters, in one step; a Resumer stores the outcomes behind
// them, too. A failing outbox is tried again until
// ctx ends: without it, nothing may be forgotten.
func (l *lane) advance(ctx, hard context.Context) {
	if len(l.window) == 0 {
		l.changed = false // what it was about is somebody else's now
		return
	}
	n := 0
	for n < len(l.window) && l.window[n].done {
		n++
	}
	if n == 0 && (l.resumer == nil || !l.changed) {
		return
	}
	for {
		err := l.settle(hard, n)
		if err == nil {
			l.window = append(l.window[:0:0], l.window[n:]...)
			l.changed = false
			l.observeLag(time.Now())
			return
		}
		l.outboxFailed("store how far the sink has come", err)
		if ctx.Err() != nil || hard.Err() != nil {
			return
		}
		wait(ctx, outboxPause)
	}
}

// settle stores that the first n items are done, and with a Resumer what is
// known of the others.
func (l *lane) settle(ctx context.Context, n int) error {
	reach := l.window[:n] // whose dead letters are stored now
	if l.resumer != nil {
		reach = l.window
	}
	var dead []engine.DeadLetter
	for _, it := range reach {
		if it.dead != nil {
			dead = append(dead, *it.dead)
		}
	}
	if l.resumer == nil {
		return l.outbox.Done(ctx, l.route.Name, l.window[n-1].entry.Seq, dead)
	}
	var known []engine.Known
	for _, it := range l.window[n:] {
		if it.done || it.attempts > 0 {
			known = append(known, engine.Known{
				Seq: it.entry.Seq, Done: it.done, Attempts: it.attempts, Single: it.single, First: it.first,
			})
		}
	}
	seq := l.window[0].entry.Seq - 1
	if n > 0 {
		seq = l.window[n-1].entry.Seq
	}
	if err := l.resumer.Settle(ctx, l.route.Name, seq, dead, known); err != nil {
		return err
	}
	for _, it := range l.window {
		it.dead = nil
	}
	return nil
}
