package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/files"
	"github.com/trailtide/trailtide/sinks/render"
)

// queryFlags are the flags of query.
type queryFlags struct {
	language     string
	output       string
	count        bool
	allFiles     bool
	lanes        int
	quiet        bool
	placeholders []string
	limits       cloudtrail.Limits
}

func newQuery() *cobra.Command {
	var f queryFlags
	cmd := &cobra.Command{
		Use:   "query EXPRESSION PATH...",
		Short: "Print the events that a condition in any of the rule languages matches",
		Long: `Query is grep for CloudTrail: it prints the events in files that an expression matches.
EXPRESSION is a condition in the language that --language names, or @FILE for one in a file:

  native       a match map:       '{eventName: [StopLogging, DeleteTrail]}', or a rule file
  sigma        a Sigma rule:      @rule.yml
  cloudwatch   a filter pattern:  '{ $.eventName = StopLogging }'
  eventbridge  an event pattern:  '{"detail": {"eventName": ["StopLogging"]}}'
  lucene       a query string:    'eventName:StopLogging AND NOT errorCode:*'

PATH is what scan reads. Any JSON object counts as an event here, and duplicates are not
removed.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return query(cmd, &f, args[0], args[1:]) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.language, "language", "l", "native", "native, sigma, cloudwatch, eventbridge or lucene")
	fl.StringVarP(&f.output, "output", "o", "events", "events: the raw events, one a line; positions: FILE:LINE, one a line")
	fl.BoolVar(&f.count, "count", false, "print only how many events match")
	fl.BoolVar(&f.allFiles, "all-files", false, "read every file of a directory, whatever its name")
	fl.IntVar(&f.lanes, "jobs", 0, "goroutines that match (default: one a core)")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing of warnings and of what could not be read")
	fl.StringArrayVar(&f.placeholders, "placeholder", nil, "NAME=VALUE,VALUE of a %NAME% in a Sigma rule")
	fl.IntVar(&f.limits.MaxEvent, "max-event", 0, "bytes of one event (default 1 MiB)")
	fl.IntVar(&f.limits.MaxDepth, "max-depth", 0, "nesting of one event (default 64)")
	return cmd
}

func query(cmd *cobra.Command, f *queryFlags, expression string, paths []string) error {
	if f.output != "events" && f.output != "positions" {
		return usageError(fmt.Errorf("--output: %q is not events or positions", f.output))
	}
	placeholders, err := parsePlaceholders(f.placeholders)
	if err != nil {
		return usageError(err)
	}
	name := "expression"
	if file, ok := strings.CutPrefix(expression, "@"); ok {
		src, err := os.ReadFile(file)
		if err != nil {
			return usageError(err)
		}
		name, expression = file, string(src)
	}
	rules, warnings, err := queryRules(f.language, name, expression, placeholders)
	if !f.quiet {
		for _, w := range warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
		}
	}
	if err != nil {
		return usageError(err)
	}
	set, err := matcher.Compile(rules, matcher.Options{})
	if err != nil {
		return usageError(err)
	}
	var nameless *matcher.Ruleset
	if other, err := namelessRules(f.language, name, expression); err != nil {
		return usageError(err)
	} else if other != nil {
		if nameless, err = matcher.Compile(other, matcher.Options{}); err != nil {
			return usageError(err)
		}
	}
	src, err := files.New(files.Options{Paths: paths, AllFiles: f.allFiles, Stdin: cmd.InOrStdin()})
	if err != nil {
		return usageError(err)
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
	total, invalid := 0, 0
	err = pipeline.Search(cmd.Context(), pipeline.SearchOptions{
		Source: src, Rules: set, Nameless: nameless, Lanes: f.lanes, Limits: f.limits, AnyObject: true, KeepEventBridge: f.language == "eventbridge",
		Positions: !f.count && f.output == "positions", Events: !f.count && f.output == "events",
	}, func(found *pipeline.Found) error {
		total += found.Count
		for _, p := range found.Invalid {
			if invalid++; invalid <= maxShown && !f.quiet {
				fmt.Fprintf(cmd.ErrOrStderr(), "invalid: %s: %s\n", render.Visible(p.Position), render.Visible(p.Reason))
			}
		}
		for _, p := range found.Positions {
			fmt.Fprintln(out, p)
		}
		for _, ev := range found.Events {
			// One event a line: line ends between its tokens are white space.
			if bytes.ContainsAny(ev, "\r\n") {
				ev = bytes.Map(func(r rune) rune {
					if r == '\n' || r == '\r' {
						return ' '
					}
					return r
				}, ev)
			}
			if _, err := out.Write(append(ev, '\n')); err != nil {
				return err
			}
		}
		return nil
	})
	if f.count && err == nil {
		fmt.Fprintln(out, total)
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return runtimeError(err)
	}
	if invalid > maxShown && !f.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "invalid: %d in all\n", invalid)
	}
	return nil
}
