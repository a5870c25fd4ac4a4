package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/files"
	"github.com/trailtide/trailtide/sinks/render"
)

func newRulesExplain() *cobra.Command {
	var choice ruleChoice
	var all bool
	cmd := &cobra.Command{
		Use:   "explain RULE PATH",
		Short: "Show for events and one rule which predicate held, which failed, and on what value",
		Long: `Explain reads events from PATH (a file as scan reads it, or - for standard input) and shows
for each what the rule's condition made of it. Of several events those that match are shown,
or all with --all; a single event is always shown.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := loadRules(choice)
			if err != nil {
				return usageError(err)
			}
			rule := loaded.set.Rule(args[0])
			if rule == nil {
				return usageError(noSuchRule(args[0], loaded.set))
			}
			return explain(cmd, rule, loaded, args[1], all)
		},
	}
	choice.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "show events that do not match, too")
	return cmd
}

// explain reads every event of path, and shows what the rule made of it.
func explain(cmd *cobra.Command, rule *matcher.Rule, loaded *loadedRules, path string, all bool) error {
	// By itself, so that a rule that is off or silent is explained, too, and a
	// correlation as any of its rules.
	on := *rule
	on.Enabled, on.Silent, on.Threshold = true, false, nil
	rs, err := matcher.Compile([]*matcher.Rule{&on}, matcher.Options{Suppress: loaded.suppress, Enrich: loaded.enrich})
	if err != nil {
		return usageError(err)
	}
	m := rs.NewMatcher()
	src, err := files.New(files.Options{Paths: []string{path}, Stdin: cmd.InOrStdin()})
	if err != nil {
		return usageError(err)
	}
	out := cmd.OutOrStdout()
	var last string // of an event that is shown only if it is the only one
	n, shown := 0, 0
	err = pipeline.EachEvent(cmd.Context(), src, cloudtrail.Limits{}, func(ev *cloudtrail.Event, position, problem string) error {
		n++
		if problem != "" {
			_, err := fmt.Fprintf(out, "%s: invalid: %s\n", render.Visible(position), render.Visible(problem))
			return err
		}
		x, err := rs.Explain(&on, ev)
		if err != nil {
			_, err := fmt.Fprintf(out, "%s: invalid: %s\n", render.Visible(position), render.Visible(err.Error()))
			return err
		}
		text, err := explanation(rule, m, ev, position, &x)
		if err != nil {
			return err
		}
		if x.Held || all {
			shown++
			_, err := io.WriteString(out, text)
			return err
		}
		last = text
		return nil
	})
	if err != nil {
		return runtimeError(err)
	}
	switch {
	case n == 1 && shown == 0:
		_, err = io.WriteString(out, last)
	case shown == 0:
		_, err = fmt.Fprintf(out, "none of %d events matches %s; --all explains each\n", n, rule.ID)
	}
	return err
}

func explanation(rule *matcher.Rule, m *matcher.Matcher, ev *cloudtrail.Event, position string, x *matcher.Explanation) (string, error) {
	var b strings.Builder
	verdict := "does not match"
	if x.Held {
		verdict = "matches"
	}
	fmt.Fprintf(&b, "%s: %s %s\n", render.Visible(position), verdict, rule.ID)
	writeExplanation(&b, x, 1)
	if x.Held {
		hits, _, err := m.Match(nil, ev)
		if err != nil {
			return "", err
		}
		if len(hits) > 0 && hits[0].Suppressed != nil {
			fmt.Fprintf(&b, "  suppressed: %s (%s)\n", hits[0].Suppressed.Reason, hits[0].Suppressed.Pos)
		}
		if !rule.Enabled {
			b.WriteString("  the rule is switched off\n")
		}
	}
	return b.String(), nil
}

func writeExplanation(b *strings.Builder, x *matcher.Explanation, depth int) {
	mark := "no "
	if x.Held {
		mark = "yes"
	}
	fmt.Fprintf(b, "%s%s %s", strings.Repeat("  ", depth), mark, x.Text)
	if len(x.Parts) == 0 {
		if len(x.Seen) > 0 {
			fmt.Fprintf(b, "   saw %s", render.Visible(strings.Join(x.Seen, ", ")))
		} else {
			b.WriteString("   saw nothing")
		}
	}
	b.WriteByte('\n')
	for i := range x.Parts {
		writeExplanation(b, &x.Parts[i], depth+1)
	}
}
