package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// write makes one attempt.
func (l *lane) write(ctx context.Context, batch []*item) {
	alerts := make([]*sinks.Alert, len(batch))
	start := time.Now()
	for i, it := range batch {
		alerts[i] = it.entry.Alert
		if it.first.IsZero() {
			it.first = start
		}
	}
	err := l.route.Sink.Write(ctx, alerts)
	now := time.Now()
	l.metrics.write.Observe(now.Sub(start).Seconds())

	failed := failures(err, len(batch))
	if ctx.Err() != nil && err != nil {
		// Stopping ended the write, not the sink: no attempt, no dead letter.
		failed = interrupted(failed, ctx.Err())
	}
	delivered := len(batch) - len(failed)
	for i, it := range batch {
		if _, bad := failed[i]; !bad {
			it.done = true
			l.changed = true
			l.delivered++
			l.metrics.observeDelivered(it.entry.Alert.DetectedAt, now)
		}
	}
	l.reckon(batch, failed, delivered > 0, now)
}

// failures maps the index of each alert that was not delivered to its error.
func failures(err error, n int) map[int]error {
	failed := map[int]error{}
	if err == nil {
		return failed
	}
	var partial *sinks.PartialError
	if errors.As(err, &partial) {
		for _, f := range partial.Failed {
			failed[f.Index] = f.Err
		}
		return failed
	}
	for i := range n {
		failed[i] = err
	}
	return failed
}

func interrupted(failed map[int]error, cause error) map[int]error {
	out := map[int]error{}
	for i := range failed {
		out[i] = fmt.Errorf("%w: %w", sinks.ErrNotTried, cause)
	}
	return out
}

// reckon decides what becomes of the alerts that failed.
//
// When some alerts of the write went through, the sink is well: each failed
// alert waits by itself. When none did, the sink is taken to be down and waits
// as a whole, unless it took others while these failed before: then the fault
// is with these, and they must not hold up the rest.
func (l *lane) reckon(batch []*item, failed map[int]error, someDelivered bool, now time.Time) {
	if len(failed) == 0 {
		l.failures = 0
		return
	}
	down := false
	var worst error // what to tell, and what asks for the longest pause
	for i, err := range failed {
		worst = worse(worst, err)
		if !someDelivered && batch[i].single == 0 && !sinks.IsPermanent(err) {
			down = true
		}
	}
	pause := time.Duration(0)
	if down {
		l.failures++
		pause = l.route.Retry.Pause(l.failures, worst, nil)
		l.blockedUntil = now.Add(pause)
		l.logger.Warn("sink takes no alerts, trying again",
			zap.Int("failures", l.failures), zap.Duration("pause", pause), zap.Error(worst))
	} else {
		l.failures = 0
		if wish(worst) > 0 {
			l.blockedUntil = now.Add(l.route.Retry.Pause(1, worst, nil))
		}
	}
	for i, it := range batch {
		err, bad := failed[i]
		if !bad {
			continue
		}
		if errors.Is(err, sinks.ErrNotTried) {
			if it.attempts == 0 {
				it.first = time.Time{}
			}
			it.due = l.blockedUntil
			continue
		}
		it.attempts++
		l.changed = true
		if l.delivered > it.seen && wish(err) == 0 {
			it.single++ // the sink has taken others since
		}
		it.seen = l.delivered
		own := pause
		if !down {
			own = l.route.Retry.Pause(it.attempts, err, nil)
		}
		it.due = now.Add(own)
		if reason, over := l.route.Retry.GiveUp(it.attempts, it.single, it.due.Sub(it.first), err); over {
			l.bury(it, reason, err)
		} else {
			l.metrics.retried.Inc()
		}
	}
}

// wish returns how long a receiver asked to be left alone.
func wish(err error) time.Duration {
	var w *sinks.RetryAfterError
	if errors.As(err, &w) {
		return w.After
	}
	return 0
}

func worse(a, b error) error {
	if a == nil || wish(b) > wish(a) {
		return b
	}
	return a
}

func (l *lane) bury(it *item, reason string, err error) {
	a := it.entry.Alert
	it.done = true
	it.dead = l.deadLetter(it, fmt.Sprintf("%s after %d attempts: %v", reason, it.attempts, err))
	l.metrics.dead.Inc()
	l.logger.Error("alert goes to the dead letter", zap.String("alert_id", a.AlertID), zap.String("rule_id", a.RuleID),
		zap.String("reason", it.dead.Reason))
}

func (l *lane) deadLetter(it *item, reason string) *engine.DeadLetter {
	a := it.entry.Alert
	return &engine.DeadLetter{Seq: it.entry.Seq, AlertID: a.AlertID, Sink: l.route.Name, Body: a.AppendJSON(nil), Reason: reason}
}
