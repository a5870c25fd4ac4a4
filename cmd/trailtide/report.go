package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/render"
)

// report prints each alert once, in its final state: plain ones as they come,
// those of a threshold when their episode ends or the input does. An episode
// that was folded into another is part of that one, and not printed.
type report struct {
	out    render.Renderer
	rules  *matcher.Ruleset
	failOn int // rank; -1: nothing fails
	least  int // rank of the least severity to print

	open  map[string]*sinks.Alert
	order []string // of open, as they fired
	found bool
	err   error
}

func newReport(out render.Renderer, rules *matcher.Ruleset, failOn, least string) *report {
	return &report{
		out: out, rules: rules, failOn: alertstore.Rank(failOn), least: alertstore.Rank(least),
		open: make(map[string]*sinks.Alert),
	}
}

// alert takes a committed alert state.
func (r *report) alert(a *sinks.Alert) {
	if rule := r.rules.Rule(a.RuleID); rule != nil && rule.Threshold == nil {
		r.print(a)
		return
	}
	if _, known := r.open[a.AlertID]; !known {
		r.order = append(r.order, a.AlertID)
	}
	if a.Status != sinks.Resolved {
		r.open[a.AlertID] = a
		return
	}
	r.print(a)
	r.open[a.AlertID] = nil
}

func (r *report) print(a *sinks.Alert) {
	rank := alertstore.Rank(a.Severity)
	if a.MergedInto != "" || rank < r.least || r.err != nil {
		return
	}
	if r.failOn >= 0 && rank >= r.failOn && a.Status != sinks.Suppressed {
		r.found = true
	}
	r.err = r.out.Write(a)
}

// stored prints what a state file holds, the oldest first.
func (r *report) stored(ctx context.Context, store alertstore.Store) error {
	for a, err := range store.List(ctx, alertstore.Filter{OldestFirst: true}) {
		if err != nil {
			return err
		}
		r.print(a)
	}
	return nil
}

// close prints the episodes that are still open, and the end of the document.
func (r *report) close() error {
	for _, id := range r.order {
		if a := r.open[id]; a != nil {
			r.print(a)
		}
	}
	if r.err != nil {
		return fmt.Errorf("print alerts: %w", r.err)
	}
	return r.out.Close()
}

// deadLetters writes invalid events to a file, or shows the first few.
type deadLetters struct {
	file  *os.File
	buf   *bufio.Writer
	show  io.Writer // nil: nothing is shown
	shown int
	err   error
}

// maxShown is how many invalid events are shown when no file takes them.
const maxShown = 10

func openDeadLetters(path string, stderr io.Writer, quiet bool) (*deadLetters, error) {
	d := &deadLetters{}
	if path == "" {
		if !quiet {
			d.show = stderr
		}
		return d, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the dead letter: %w", err)
	}
	d.file, d.buf = f, bufio.NewWriter(f)
	return d, nil
}

// deadLine is one line of a dead-letter file. raw is what there is of the
// event, with invalid UTF-8 replaced.
type deadLine struct {
	Position string    `json:"position"`
	Reason   string    `json:"reason"`
	Time     time.Time `json:"time"`
	Raw      string    `json:"raw"`
}

func (d *deadLetters) add(e engine.InvalidEvent) {
	if d.buf == nil {
		d.shown++
		switch {
		case d.show == nil:
		case d.shown <= maxShown:
			fmt.Fprintf(d.show, "invalid: %s: %s\n", render.Visible(e.Position), render.Visible(e.Reason))
		case d.shown == maxShown+1:
			fmt.Fprintln(d.show, "invalid: more follow; --dead-letter FILE keeps them all")
		}
		return
	}
	line, err := json.Marshal(deadLine{e.Position, e.Reason, e.Time, string(e.Raw)})
	if err == nil {
		_, err = d.buf.Write(append(line, '\n'))
	}
	if d.err == nil {
		d.err = err
	}
}

func (d *deadLetters) stored(ctx context.Context, store *sqlite.Engine) error {
	for e, err := range store.InvalidEvents(ctx) {
		if err != nil {
			return err
		}
		d.add(e)
	}
	return nil
}

func (d *deadLetters) close() error {
	if d.buf == nil {
		return d.err
	}
	return errors.Join(d.err, d.buf.Flush(), d.file.Close())
}
