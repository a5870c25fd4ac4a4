package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/render"
)

// outputFlags choose how alerts are printed.
type outputFlags struct {
	format      string
	columns     string
	noColor     bool
	minSeverity string
}

func (o *outputFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.format, "output", "o", string(render.Table), "form of the alerts: "+strings.Join(render.Formats(), ", "))
	f.StringVar(&o.columns, "columns", "", "columns of a table or CSV, separated by commas: "+strings.Join(render.ColumnNames(), ", "))
	f.BoolVar(&o.noColor, "no-color", false, "no colours on a terminal")
	f.StringVar(&o.minSeverity, "min-severity", "", "leave alerts below this severity out")
	//nolint:errcheck // the flag exists: it was added four lines above
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(render.Formats(), cobra.ShellCompDirectiveNoFileComp))
}

// renderer writes to w. Colours and the terminal's width only where w is one.
// extend, if set, adds to the JSON object of an alert.
func (o *outputFlags) renderer(w io.Writer, extend func(*sinks.Alert, []byte) []byte) (render.Renderer, error) {
	if o.minSeverity != "" && alertstore.Rank(o.minSeverity) < 0 {
		return nil, fmt.Errorf("--min-severity: unknown severity %q", o.minSeverity)
	}
	var columns []render.Column
	if o.columns != "" {
		var err error
		if columns, err = render.ParseColumns(o.columns); err != nil {
			return nil, fmt.Errorf("--columns: %w", err)
		}
	}
	width, terminal := isTerminal(w)
	color := terminal && !o.noColor && os.Getenv("NO_COLOR") == ""
	return render.New(w, render.Format(o.format), render.Options{Columns: columns, Color: color, Width: width, Extend: extend})
}

// rank orders severities; an unknown one is below all.
func rank(severity string) int { return alertstore.Rank(severity) }
