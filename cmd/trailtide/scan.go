package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/pipeline/files"
)

// A scan commits after so many batches (of about 256 KiB), or after Options.CommitEvents
// matched events; the time only bounds what nobody waits for.
const (
	scanCommitBatches = 400
	scanCommitEvery   = time.Hour
)

// isStream says whether a path is read as it is written: standard input or a pipe.
func isStream(path string) bool {
	if path == files.Stdin {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) != 0
}

// scanFlags are the flags of scan.
type scanFlags struct {
	rules      ruleChoice
	out        outputFlags
	state      string
	deadLetter string
	failOn     string
	validate   string
	allFiles   bool
	lanes      int
	lateness   time.Duration
	limits     cloudtrail.Limits
	quiet      bool
	noProgress bool
}

// scanInflated bounds what a scan holds of one document: a Records file is read
// event by event, so that only what is no such file comes near it.
const scanInflated = 64 << 20

func newScan() *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan PATH...",
		Short: "Look for alerts in CloudTrail files",
		Long: `Scan reads CloudTrail files and prints the alerts that the rules find: a backtest.

PATH is a file, a directory (read recursively), a glob, or - for standard input.
Files may be NDJSON, {"Records":[...]} as S3 holds them, CloudWatch Logs or EventBridge
envelopes, each plain, gzip or zstd; they are told apart by what is in them. Files are
merged by event time, so that thresholds count right whatever their order.

Nothing is kept unless --state names a file: then a scan that was stopped or killed
goes on where it stood, and "trailtide alerts" reads the alerts afterwards.`,
		Example: `  trailtide scan logs/
  trailtide scan --output ndjson --rules rules/ events.jsonl.gz
  zcat events.gz | trailtide scan -
  trailtide scan --state scan.db --fail-on high s3-download/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return scan(cmd, args, &f) },
	}
	f.rules.flags(cmd)
	f.out.flags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.state, "state", "", "keep positions, windows and alerts in this file, and go on from it")
	fl.StringVar(&f.deadLetter, "dead-letter", "", "write events that could not be read to this file, as NDJSON")
	fl.StringVar(&f.failOn, "fail-on", "", "exit with 1 when an alert of this severity or above was found")
	fl.StringVar(&f.validate, "validate", "lazy", "lazy: parse events that a rule could match; full: parse every event")
	fl.BoolVar(&f.allFiles, "all-files", false, "read every file of a directory, whatever its name")
	fl.IntVar(&f.lanes, "jobs", 0, "goroutines that match (default: one a core)")
	fl.DurationVar(&f.lateness, "lateness", 15*time.Minute, "how far behind its file's newest event an event may be and still count")
	fl.IntVar(&f.limits.MaxInflated, "max-inflated", scanInflated, "bytes that a compressed payload, or a document that is read whole, may inflate to")
	fl.IntVar(&f.limits.MaxEvent, "max-event", 0, "bytes of one event (default 1 MiB)")
	fl.IntVar(&f.limits.MaxDepth, "max-depth", 0, "nesting of one event (default 64)")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no summary on standard error")
	fl.BoolVar(&f.noProgress, "no-progress", false, "no progress bar")
	return cmd
}

func (f *scanFlags) check(args []string) error {
	var errs []error
	if f.failOn != "" && alertstore.Rank(f.failOn) < 0 {
		errs = append(errs, fmt.Errorf("--fail-on: unknown severity %q", f.failOn))
	}
	if f.validate != "lazy" && f.validate != "full" {
		errs = append(errs, fmt.Errorf("--validate: %q is not lazy or full", f.validate))
	}
	if f.lateness <= 0 {
		errs = append(errs, errors.New("--lateness: must be positive"))
	}
	if f.lanes < 0 || f.limits.MaxInflated < 0 || f.limits.MaxEvent < 0 || f.limits.MaxDepth < 0 {
		errs = append(errs, errors.New("--jobs and the limits must not be negative"))
	}
	if f.state != "" && slices.Contains(args, files.Stdin) {
		errs = append(errs, errors.New("--state: standard input cannot be read again after a stop; scan a file instead"))
	}
	if f.deadLetter != "" {
		errs = append(errs, apart(f.deadLetter, args))
	}
	return errors.Join(errs...)
}

// apart refuses a dead letter that is an input or lies among them: it would be
// emptied before it is read, or be read as events by the next scan.
func apart(path string, inputs []string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, statErr := os.Stat(path)
	for _, input := range inputs {
		names, err := filepath.Glob(input)
		if err != nil || len(names) == 0 {
			names = []string{input}
		}
		for _, name := range names {
			in, err := os.Stat(name)
			if err != nil {
				continue // the source says so
			}
			root, err := filepath.Abs(name)
			if err != nil {
				return err
			}
			inside := in.IsDir() && strings.HasPrefix(abs, strings.TrimSuffix(root, string(filepath.Separator))+string(filepath.Separator))
			if inside || statErr == nil && os.SameFile(info, in) {
				return fmt.Errorf("--dead-letter: %s is among the input (%s)", path, name)
			}
		}
	}
	return nil
}

func scan(cmd *cobra.Command, args []string, f *scanFlags) error {
	if err := f.check(args); err != nil {
		return usageError(err)
	}
	loaded, err := loadRules(f.rules)
	if err != nil {
		return usageError(err)
	}
	out, err := f.out.renderer(cmd.OutOrStdout(), nil)
	if err != nil {
		return usageError(err)
	}
	report := newReport(out, loaded.set, f.failOn, f.out.minSeverity)
	dead, err := openDeadLetters(f.deadLetter, cmd.ErrOrStderr(), f.quiet)
	if err != nil {
		return runtimeError(err)
	}
	src, err := files.New(files.Options{Paths: args, AllFiles: f.allFiles, MaxInflated: f.limits.MaxInflated, Stdin: cmd.InOrStdin()})
	if err != nil {
		return usageError(err)
	}
	ctx := cmd.Context()
	var eng engine.Engine
	var kept *sqlite.Engine
	if f.state == "" {
		eng = memory.New(memory.Options{OnAlert: report.alert, OnDeadLetter: dead.add})
	} else {
		if kept, err = sqlite.Open(ctx, f.state, sqlite.Options{NoOutbox: true, DeadLettersMaxRows: -1}); err != nil {
			return runtimeError(err)
		}
		eng = kept
	}
	// Commits at the same places in every run make the same output. A stream may
	// stand still between its records, and its alerts are told all the same.
	every := scanCommitEvery
	if slices.ContainsFunc(args, isStream) {
		every = time.Second
	}
	start := time.Now()
	w, err := pipeline.New(pipeline.Options{
		Source: src, Engine: eng, Rules: loaded.set, Lanes: f.lanes, Limits: f.limits,
		ValidateFull: f.validate == "full", CommitEvery: every, CommitBatches: scanCommitBatches,
		// A scan tells of its alerts out of the state file, and so keeps them all.
		Alerting: alerting.Options{Lateness: f.lateness, SaveAll: f.state != ""},
	})
	if err != nil {
		return errors.Join(runtimeError(err), eng.Close())
	}
	err = runScan(ctx, cmd.ErrOrStderr(), f, w, src)
	err = errors.Join(err, src.Close(context.WithoutCancel(ctx)))
	if kept != nil && err == nil {
		err = errors.Join(report.stored(context.WithoutCancel(ctx), kept), dead.stored(context.WithoutCancel(ctx), kept))
	}
	err = errors.Join(err, report.close(), dead.close(), eng.Close())
	if !f.quiet {
		printSummary(cmd.ErrOrStderr(), w.Summary(), src, time.Since(start))
	}
	switch {
	case err != nil:
		return runtimeError(err)
	case ctx.Err() != nil:
		return runtimeError(errors.New("stopped before the end of the input"))
	case report.found:
		return errFound
	}
	return nil
}

// runScan runs the worker, with a progress line where stderr is a terminal.
func runScan(ctx context.Context, stderr io.Writer, f *scanFlags, w *pipeline.Worker, src *files.Source) error {
	width, terminal := isTerminal(stderr)
	if !terminal || f.quiet || f.noProgress {
		return w.Run(ctx)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	p := &progress{w: stderr, width: width, start: time.Now()}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			p.clear()
			return err
		case now := <-tick.C:
			at, sum := src.Progress(), w.Summary()
			p.draw(p.line(now, at.Bytes, at.TotalBytes, sum.Read, alertsOf(&sum)))
		}
	}
}

func alertsOf(s *pipeline.Summary) int64 {
	var n int64
	for status, k := range s.Alerts {
		if status == "firing" {
			n += k
		}
	}
	return n
}

func printSummary(w io.Writer, s pipeline.Summary, src *files.Source, took time.Duration) {
	at := src.Progress()
	fmt.Fprintf(w, "events_read=%d events_invalid=%d events_matched=%d events_duplicate=%d events_unmatched=%d\n",
		s.Read, s.Invalid, s.Matched, s.Duplicate, s.Unmatched)
	fmt.Fprintf(w, "records_skipped=%d events_late=%d events_untimed=%d event_id_conflicts=%d matches_suppressed=%d window_keys_evicted=%d\n",
		s.Skipped, s.Late, s.Untimed, s.Conflicts, s.Suppressed, s.Windows.Evictions)
	fmt.Fprintf(w, "files=%d files_left_out=%d bytes=%d seconds=%.2f events_per_second=%.0f\n",
		at.Files, at.Skipped, s.Bytes, took.Seconds(), float64(s.Read)/max(took.Seconds(), 0.001))
}
