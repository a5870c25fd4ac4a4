package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/ruletest"
)

func newRules() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List, check, test, show, explain and convert rules",
	}
	cmd.AddCommand(newRulesList(), newRulesCheck(), newRulesTest(), newRulesShow(), newRulesExplain(), newRulesConvert())
	return cmd
}

func newRulesList() *cobra.Command {
	var choice ruleChoice
	var tags, severities []string
	var origin, output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := loadRules(choice)
			if err != nil {
				return usageError(err)
			}
			var rules []*matcher.Rule
			for _, r := range loaded.set.Rules() {
				if keepRule(r, tags, severities, origin) {
					rules = append(rules, r)
				}
			}
			switch output {
			case "table":
				return listRules(cmd.OutOrStdout(), rules)
			case "json":
				return listRulesJSON(cmd.OutOrStdout(), rules)
			}
			return usageError(fmt.Errorf("--output: %q is not table or json", output))
		},
	}
	choice.flags(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&tags, "tag", nil, "only rules with one of these tags")
	f.StringSliceVar(&severities, "severity", nil, "only rules of these severities")
	f.StringVar(&origin, "origin", "", "only builtin or custom rules")
	f.StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func keepRule(r *matcher.Rule, tags, severities []string, origin string) bool {
	if len(tags) > 0 && !slices.ContainsFunc(tags, func(t string) bool { return slices.Contains(r.Tags, t) }) {
		return false
	}
	if len(severities) > 0 && !slices.Contains(severities, r.Severity.String()) {
		return false
	}
	return origin == "" || (origin == "builtin") == r.Builtin
}

func originOf(r *matcher.Rule) string {
	if r.Builtin {
		return "builtin"
	}
	return "custom"
}

func listRules(w io.Writer, rules []*matcher.Rule) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tSEVERITY\tSTATE\tORIGIN\tTITLE")
	for _, r := range rules {
		state := "on"
		if !r.Enabled {
			state = "off"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Severity, state, originOf(r), r.Title)
	}
	return tw.Flush()
}

func listRulesJSON(w io.Writer, rules []*matcher.Rule) error {
	type row struct {
		ID       string   `json:"id"`
		Title    string   `json:"title"`
		Severity string   `json:"severity"`
		Enabled  bool     `json:"enabled"`
		Origin   string   `json:"origin"`
		Language string   `json:"language"`
		Tags     []string `json:"tags"`
		Tests    int      `json:"tests"`
		Position string   `json:"position"`
	}
	rows := make([]row, 0, len(rules))
	for _, r := range rules {
		rows = append(rows, row{r.ID, r.Title, r.Severity.String(), r.Enabled, originOf(r), r.Language, append([]string{}, r.Tags...), len(r.Tests), r.Pos.String()})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(rows)
}

func newRulesCheck() *cobra.Command {
	var choice ruleChoice
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [PATH...]",
		Short: "Check rule files, and say what the index makes of them",
		Long: `Check reads rules of every language and tells what is wrong with them: errors, and as warnings rules
that can never match a CloudTrail event, that every event is evaluated for, that repeat or shadow another, and
suppressions that swallow a whole rule. With --strict warnings are errors.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			choice.paths = append(choice.paths, args...)
			loaded, err := loadRules(choice)
			remarks := loaded.remarks()
			for _, w := range remarks {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
			}
			for _, n := range loaded.notes {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", n)
			}
			if err != nil {
				return usageError(err)
			}
			s := loaded.set.Stats()
			fmt.Fprintf(cmd.OutOrStdout(), "%d rules are fine: %d by event name (%d names), %d by a pattern of names, %d by another field, %d by none\n",
				s.Rules, s.ByName, s.Names, s.ByNamePattern, s.ByField, s.Unindexed)
			if n := len(remarks); strict && n > 0 {
				return usageError(fmt.Errorf("%d warnings, and --strict", n))
			}
			return nil
		},
	}
	choice.flags(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return cmd
}

func newRulesTest() *cobra.Command {
	var choice ruleChoice
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test [PATH...]",
		Short: "Run the tests that rules carry; exit with 1 when one fails",
		RunE: func(cmd *cobra.Command, args []string) error {
			choice.paths = append(choice.paths, args...)
			loaded, err := loadRules(choice)
			if err != nil {
				return usageError(err)
			}
			failed, without := 0, 0
			results := ruletest.Run(loaded.set.Rules(), loaded.suppress)
			for _, res := range results {
				switch {
				case !res.OK:
					failed++
					fmt.Fprintf(cmd.OutOrStdout(), "FAIL %s: rule %s: %s\n%s\n", res.Test.Pos, res.Rule.ID, res.Test.Name, indent(res.Message))
				case verbose:
					fmt.Fprintf(cmd.OutOrStdout(), "ok   rule %s: %s\n", res.Rule.ID, res.Test.Name)
				}
			}
			for _, r := range loaded.set.Rules() {
				if len(r.Tests) == 0 {
					without++
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d passed, %d failed; %d rules without a test\n", len(results)-failed, failed, without)
			if failed > 0 {
				return errFound
			}
			return nil
		},
	}
	choice.flags(cmd)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the tests that pass, too")
	return cmd
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}

func newRulesShow() *cobra.Command {
	var choice ruleChoice
	cmd := &cobra.Command{
		Use:   "show ID...",
		Short: "Show rules as they are written",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := loadRules(choice)
			if err != nil {
				return usageError(err)
			}
			for _, id := range args {
				r := loaded.set.Rule(id)
				if r == nil {
					return usageError(noSuchRule(id, loaded.set))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "# %s (%s)\n%s\n", r.Pos, originOf(r), strings.TrimRight(r.Source, "\n"))
			}
			return nil
		},
	}
	choice.flags(cmd)
	return cmd
}

func noSuchRule(id string, rs *matcher.Ruleset) error {
	var near []string
	for _, r := range rs.Rules() {
		if strings.Contains(r.ID, id) {
			near = append(near, r.ID)
		}
	}
	if len(near) > 0 {
		return fmt.Errorf("no rule has the ID %q; there are %s", id, strings.Join(near[:min(len(near), 5)], ", "))
	}
	return errors.New("no rule has the ID \"" + id + "\"; \"trailtide rules list\" shows them all")
}
