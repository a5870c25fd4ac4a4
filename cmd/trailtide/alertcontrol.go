package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/outbox"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/render"
)

// sayTimeout bounds what a command waits for the brokers.
const sayTimeout = 30 * time.Second

// desk is where people say something about alerts, and where it is read: the
// state file, or a fleet's topics and the file of its alert store, if there is
// one here.
type desk struct {
	file  string  // "": none
	fleet *Config // nil: the state file alone
}

func (s *stateFlag) desk() (*desk, error) {
	if s.config == "" {
		if s.state == "" {
			return nil, usageError(errors.New("name the state file or the configuration: --state FILE or --config FILE"))
		}
		return &desk{file: s.state}, nil
	}
	c, err := LoadConfig(s.config)
	if err != nil {
		return nil, usageError(err)
	}
	d := &desk{file: c.alertsPath()}
	if c.Engine == engineKafka {
		d.fleet = c
		if _, err := os.Stat(d.file); errors.Is(err, fs.ErrNotExist) {
			d.file = "" // another worker keeps it
		}
	}
	return d, nil
}

func (d *desk) topic() control.Options {
	k := &d.fleet.Kafka
	return control.Options{Client: k.Client, Topic: d.fleet.topics().Control(), MetadataMinAge: k.MetadataMinAge}
}

// say makes what was said durable.
func (d *desk) say(ctx context.Context, r *control.Record) error {
	if d.fleet != nil {
		return control.Send(ctx, d.topic(), r)
	}
	return sqlite.Say(ctx, d.file, r)
}

// find returns the alert whose ID is or begins with id.
func (d *desk) find(ctx context.Context, id string) (*sinks.Alert, error) {
	a, err := d.lookUp(ctx, id)
	var ambiguous *alertstore.AmbiguousError
	if errors.Is(err, alertstore.ErrNotFound) || errors.As(err, &ambiguous) {
		return nil, usageError(fmt.Errorf("alert %s: %w", id, err))
	}
	return a, runtimeError(err)
}

func (d *desk) lookUp(ctx context.Context, id string) (*sinks.Alert, error) {
	if d.file == "" {
		k := &d.fleet.Kafka
		return outbox.Find(ctx, outbox.Options{Client: k.Client, Names: d.fleet.topics().Names, MetadataMinAge: k.MetadataMinAge}, id)
	}
	r, err := sqlite.OpenReader(ctx, d.file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Get(ctx, id)
}

// book is all that was said: in a fleet as its topic has it, which is ahead of
// the store.
func (d *desk) book(ctx context.Context) (*control.Book, error) {
	if d.fleet == nil {
		r, err := sqlite.OpenReader(ctx, d.file)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return bookOf(ctx, r)
	}
	f, err := control.Follow(d.topic())
	if err != nil {
		return nil, err
	}
	following, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- f.Run(following) }()
	defer func() {
		stop()
		<-ended //nolint:errcheck // it was stopped
	}()
	select {
	case <-f.Loaded():
		return &f.Book, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("read %s: %w", d.topic().Topic, ctx.Err())
	}
}

// bookOf reads what was said from a state file.
func bookOf(ctx context.Context, r *sqlite.Reader) (*control.Book, error) {
	records, _, err := r.Controls(ctx, 0)
	if err != nil {
		return nil, err
	}
	b := new(control.Book)
	for _, c := range records {
		b.Put(c)
	}
	return b, nil
}

func newAlertsControls(state *stateFlag) []*cobra.Command {
	said := func(use, short string, action control.Action, more func(*cobra.Command, *control.Record) func() error) *cobra.Command {
		var r control.Record
		cmd := &cobra.Command{Use: use + " ALERT-ID", Short: short, Args: cobra.ExactArgs(1)}
		cmd.Flags().StringVar(&r.By, "by", os.Getenv("USER"), "who says it")
		cmd.Flags().StringVar(&r.Reason, "reason", "", "why")
		check := func() error { return nil }
		if more != nil {
			check = more(cmd, &r)
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			r.Action, r.At = action, time.Now().UTC()
			if err := check(); err != nil {
				return usageError(err)
			}
			return sayOf(cmd, state, &r, args[0])
		}
		return cmd
	}
	return []*cobra.Command{
		said("ack", "Say that somebody works on an alert: its updates are not told any more, its end is", control.Ack, nil),
		said("close", "End an alert by hand: nothing of it is told any more", control.Close, nil),
		said("ignore", "Keep alerts of the same rule and group without telling them, for a while", control.Ignore, untilFlag),
		said("unignore", "Tell ignored alerts again; ALERT-ID is one of them, or the ID that `alerts ignored` shows", control.Unignore, nil),
		newAlertsIgnored(state),
	}
}

func untilFlag(cmd *cobra.Command, r *control.Record) func() error {
	var until string
	cmd.Flags().StringVar(&until, "until", "30d", "a time (RFC 3339), a date, or how long: 12h, 7d")
	return func() (err error) {
		if r.Until, err = parseUntil(until, r.At); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
		return nil
	}
}

// parseUntil reads a time, a date (UTC), or a duration from now.
func parseUntil(s string, now time.Time) (time.Time, error) {
	t, err := parseTime(s, now)
	if err != nil || s == "" {
		return t, fmt.Errorf("%q is not a time (2026-01-02T15:04:05Z), a date (2026-01-02) or a duration (12h, 7d)", s)
	}
	if span := regexp.MustCompile(`^[0-9.]+[a-z]`); span.MatchString(s) {
		t = now.Add(now.Sub(t)) // an age, the other way round
	}
	if !t.After(now) {
		return t, fmt.Errorf("%s is over", s)
	}
	return t.UTC(), nil
}

func sayOf(cmd *cobra.Command, state *stateFlag, r *control.Record, id string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), sayTimeout)
	defer cancel()
	d, err := state.desk()
	if err != nil {
		return err
	}
	var what string
	if r.Action == control.Unignore {
		r.Scope, err = d.ignoredScope(ctx, id)
		what = r.Scope.String()
	} else {
		var a *sinks.Alert
		if a, err = d.find(ctx, id); err == nil {
			r.AlertID, what = a.AlertID, a.AlertID
		}
		if err == nil && r.Action == control.Ignore {
			r.Scope = control.ScopeOf(a)
			what = fmt.Sprintf("%s until %s", r.Scope, r.Until.Format(time.RFC3339))
		}
	}
	if err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return usageError(err)
	}
	if err := d.say(ctx, r); err != nil {
		return runtimeError(err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", past(r.Action), render.Visible(what))
	return err
}

func past(a control.Action) string {
	switch a {
	case control.Ack:
		return "acked"
	case control.Close:
		return "closed"
	case control.Ignore:
		return "ignored:"
	default:
		return "told again:"
	}
}

// ignoredScope is the scope that an ID means: of an Ignore in force, or of an alert.
func (d *desk) ignoredScope(ctx context.Context, id string) (control.Scope, error) {
	book, err := d.book(ctx)
	if err != nil {
		return control.Scope{}, runtimeError(err)
	}
	ignores := book.Ignores(time.Now())
	for _, r := range ignores {
		if r.AlertID == id || strings.HasPrefix(r.Scope.ID(), id) {
			return r.Scope, nil
		}
	}
	a, err := d.find(ctx, id)
	if err != nil {
		return control.Scope{}, err
	}
	scope := control.ScopeOf(a)
	for _, r := range ignores {
		if r.Scope.ID() == scope.ID() {
			return scope, nil
		}
	}
	return control.Scope{}, usageError(fmt.Errorf("alert %s: alerts like it are not ignored", id))
}

func newAlertsIgnored(state *stateFlag) *cobra.Command {
	return &cobra.Command{
		Use:   "ignored",
		Short: "List which alerts are ignored, until when, by whom and why",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), sayTimeout)
			defer cancel()
			d, err := state.desk()
			if err != nil {
				return err
			}
			book, err := d.book(ctx)
			if err != nil {
				return runtimeError(err)
			}
			for _, r := range book.Ignores(time.Now()) {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  until %s  %s%s\n", r.Scope.ID()[:12], r.Until.Format(time.RFC3339),
					render.Visible(r.Scope.String()), saidBy(r.By, r.Reason))
			}
			return nil
		},
	}
}

func saidBy(by, reason string) string {
	text := ""
	if by != "" {
		text += "  by " + render.Visible(by)
	}
	if reason != "" {
		text += ": " + render.Visible(reason)
	}
	return text
}

// marked shows an alert's marks beside its status, for people.
func marked(book *control.Book, a *sinks.Alert) *sinks.Alert {
	m := alertstore.MarksOf(book, a)
	words := m.Words()
	if len(words) == 0 {
		return a
	}
	own := *a
	own.Status += sinks.Status(" " + strings.Join(words, " "))
	return &own
}

// tale says in lines what people said about an alert.
func tale(book *control.Book, a *sinks.Alert) string {
	var b strings.Builder
	for _, r := range book.Of(a) {
		fmt.Fprintf(&b, "%s %s", strings.TrimSuffix(past(r.Action), ":"), r.At.Format(time.RFC3339))
		if r.Action == control.Ignore {
			fmt.Fprintf(&b, " until %s", r.Until.Format(time.RFC3339))
		}
		b.WriteString(saidBy(r.By, r.Reason) + "\n")
	}
	return b.String()
}
