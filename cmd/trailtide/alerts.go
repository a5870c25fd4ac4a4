package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/render"
)

// stateFlag names the state file that a command reads: beside a running
// worker, without touching it.
type stateFlag struct{ state, config string }

func (s *stateFlag) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&s.state, "state", "", "state file of a scan or a worker")
	f.StringVarP(&s.config, "config", "c", "", "take the state file, or the fleet, from this configuration")
	cmd.MarkFlagsMutuallyExclusive("state", "config")
}

func (s *stateFlag) open(ctx context.Context) (*sqlite.Reader, error) {
	path := s.state
	if s.config != "" {
		c, err := LoadConfig(s.config)
		if err != nil {
			return nil, usageError(err)
		}
		if path = c.alertsPath(); path == "" {
			return nil, usageError(fmt.Errorf("%s: no store is configured: this worker keeps no alerts; name the configuration of the one that does", s.config))
		}
	}
	if path == "" {
		return nil, usageError(errors.New("name the state file: --state FILE or --config FILE"))
	}
	r, err := sqlite.OpenReader(ctx, path)
	if err != nil {
		return nil, runtimeError(err)
	}
	return r, nil
}

func newAlerts() *cobra.Command {
	var state stateFlag
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "List, show and export the alerts that were saved; ack, close and ignore them",
	}
	state.flags(cmd)
	cmd.AddCommand(newAlertsList(&state), newAlertsShow(&state), newAlertsExport(&state))
	cmd.AddCommand(newAlertsControls(&state)...)
	return cmd
}

// filterFlags choose alerts.
type filterFlags struct {
	f            alertstore.Filter
	since, until string
	sort         string
	merged       bool
}

func (x *filterFlags) flags(cmd *cobra.Command, limit int) {
	f := cmd.Flags()
	f.StringSliceVar(&x.f.Rules, "rule", nil, "rule IDs; * stands for any text")
	f.StringSliceVar(&x.f.Severities, "severity", nil, "severities")
	f.StringSliceVar(&x.f.Statuses, "status", nil, "firing, resolved, suppressed, or open")
	f.StringSliceVar(&x.f.Accounts, "account", nil, "accounts")
	f.StringSliceVar(&x.f.Regions, "region", nil, "regions")
	f.StringSliceVar(&x.f.Users, "user", nil, "users; * stands for any text")
	f.StringSliceVar(&x.f.Names, "event", nil, "event names")
	f.StringSliceVar(&x.f.Sources, "service", nil, "event sources, such as iam.amazonaws.com")
	f.StringVar(&x.since, "since", "", "at or after this time: RFC 3339, a date, or an age such as 24h or 7d")
	f.StringVar(&x.until, "until", "", "before this time")
	f.StringVar(&x.f.Text, "search", "", "text in any field or in the raw events")
	f.IntVar(&x.f.Limit, "limit", limit, "at most so many; 0: all")
	f.StringVar(&x.sort, "sort", "newest", "newest or oldest first")
	f.BoolVar(&x.merged, "merged", false, "show episodes that were folded into another one, too")
}

func (x *filterFlags) filter(now time.Time) (alertstore.Filter, error) {
	f := x.f
	var errs []error
	var err error
	if f.Since, err = parseTime(x.since, now); err != nil {
		errs = append(errs, fmt.Errorf("--since: %w", err))
	}
	if f.Until, err = parseTime(x.until, now); err != nil {
		errs = append(errs, fmt.Errorf("--until: %w", err))
	}
	switch x.sort {
	case "newest":
	case "oldest":
		f.OldestFirst = true
	default:
		errs = append(errs, fmt.Errorf("--sort: %q is not newest or oldest", x.sort))
	}
	f.HideMerged = !x.merged
	return f, errors.Join(append(errs, f.Validate())...)
}

// parseTime reads a time, a date (UTC), or an age before now.
func parseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	age := s
	var days time.Duration
	if head, ok := strings.CutSuffix(s, "d"); ok {
		age, days = head+"h", 24
	} else {
		days = 1
	}
	d, err := time.ParseDuration(age)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("%q is not a time (2026-01-02T15:04:05Z), a date (2026-01-02) or an age (24h, 7d)", s)
	}
	return now.Add(-d * days), nil
}

func newAlertsList(state *stateFlag) *cobra.Command {
	var filter filterFlags
	var out outputFlags
	var by string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List alerts, the newest first",
		Example: `  trailtide alerts list --state state.db --severity critical,high --since 24h
  trailtide alerts list --state state.db --count-by rule_id`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if by != "" {
				return countAlerts(cmd, state, &filter, by)
			}
			return listAlerts(cmd, state, &filter, &out)
		},
	}
	filter.flags(cmd, 100)
	out.flags(cmd)
	cmd.Flags().StringVar(&by, "count-by", "", "count alerts by a field instead: rule_id, severity, status, account, region, user, event_name, event_source")
	return cmd
}

func newAlertsExport(state *stateFlag) *cobra.Command {
	var filter filterFlags
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all alerts, the oldest first, as NDJSON unless --output says otherwise",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("output") {
				out.format = string(render.NDJSON)
			}
			if !cmd.Flags().Changed("sort") {
				filter.sort = "oldest"
			}
			return listAlerts(cmd, state, &filter, &out)
		},
	}
	filter.flags(cmd, 0)
	out.flags(cmd)
	return cmd
}

func listAlerts(cmd *cobra.Command, state *stateFlag, filter *filterFlags, out *outputFlags) error {
	f, err := filter.filter(time.Now())
	if err != nil {
		return usageError(err)
	}
	f.MinSeverity = out.minSeverity
	book := new(control.Book)
	w, err := out.renderer(cmd.OutOrStdout(), func(a *sinks.Alert, object []byte) []byte {
		m := alertstore.MarksOf(book, a)
		return m.Extend(object)
	})
	if err != nil {
		return usageError(err)
	}
	store, err := state.open(cmd.Context())
	if err != nil {
		return err
	}
	defer store.Close()
	if book, err = bookOf(cmd.Context(), store); err != nil {
		return runtimeError(err)
	}
	table := out.format == string(render.Table)
	for a, err := range store.List(cmd.Context(), f) {
		if err == nil {
			if table {
				a = marked(book, a)
			}
			err = w.Write(a)
		}
		if err != nil {
			return runtimeError(err)
		}
	}
	return runtimeError(w.Close())
}

func countAlerts(cmd *cobra.Command, state *stateFlag, filter *filterFlags, by string) error {
	f, err := filter.filter(time.Now())
	if err == nil {
		err = alertstore.Field(by).Validate()
	}
	if err != nil {
		return usageError(err)
	}
	store, err := state.open(cmd.Context())
	if err != nil {
		return err
	}
	defer store.Close()
	groups, err := store.Count(cmd.Context(), f, alertstore.Field(by))
	if err != nil {
		return runtimeError(err)
	}
	for _, g := range groups {
		fmt.Fprintf(cmd.OutOrStdout(), "%8d  %s\n", g.Count, render.Visible(g.Value))
	}
	return nil
}

func newAlertsShow(state *stateFlag) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one alert with its events; the beginning of an ID is enough",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := state.open(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			a, err := store.Get(cmd.Context(), args[0])
			var ambiguous *alertstore.AmbiguousError
			if errors.Is(err, alertstore.ErrNotFound) || errors.As(err, &ambiguous) {
				return usageError(fmt.Errorf("alert %s: %w", args[0], err))
			}
			if err != nil {
				return runtimeError(err)
			}
			book, err := bookOf(cmd.Context(), store)
			if err != nil {
				return runtimeError(err)
			}
			switch output {
			case "text":
				if _, err := io.WriteString(cmd.OutOrStdout(), tale(book, a)); err != nil {
					return err
				}
				_, terminal := isTerminal(cmd.OutOrStdout())
				return render.Detail(cmd.OutOrStdout(), a, terminal)
			case "json":
				m := alertstore.MarksOf(book, a)
				_, err := cmd.OutOrStdout().Write(append(m.Extend(a.AppendJSON(nil)), '\n'))
				return err
			}
			return usageError(fmt.Errorf("--output: %q is not text or json", output))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}
