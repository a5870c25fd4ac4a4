package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/matcher/convert"
)

func newRulesConvert() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "convert PATH...",
		Short: "Write detections that you have elsewhere as rules",
		Long: `Convert reads what people have and prints a rule file: metric filters and alarms (as "aws logs
describe-metric-filters" and "aws cloudwatch describe-alarms" print them, in Terraform, in
CloudFormation), EventBridge rules, and tables of Lucene alerts (CSV, Markdown). Name all files
that belong together: filters and alarms meet wherever they stand.

What cannot be converted is told on standard error, with the reason. Sigma rules need no
conversion: name their directory with --rules.`,
		Example: "  trailtide rules convert filters.json alarms.json > rules/cloudwatch.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := convert.Files(args, convert.Options{Languages: nativeLoader(nil).Languages})
			if err != nil {
				return usageError(err)
			}
			stderr := cmd.ErrOrStderr()
			warned := 0
			for _, c := range res.Rules {
				for _, w := range c.Warnings {
					warned++
					fmt.Fprintf(stderr, "warning: %s: %s: %s\n", c.Source, c.ID, w)
				}
			}
			for _, n := range res.Notes {
				fmt.Fprintf(stderr, "note: %s\n", n)
			}
			for _, s := range res.Sigma {
				fmt.Fprintf(stderr, "note: %s: a Sigma rule is read as it is: --rules %s\n", s, s)
			}
			for _, r := range res.Refused {
				fmt.Fprintf(stderr, "refused: %s\n", r)
			}
			fmt.Fprint(cmd.OutOrStdout(), res.YAML())
			fmt.Fprintf(stderr, "%d rules, %d refused\n", len(res.Rules), len(res.Refused))
			if strict && warned+len(res.Refused) > 0 {
				return usageError(fmt.Errorf("%d warnings and %d refusals, and --strict", warned, len(res.Refused)))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings and refusals are errors")
	return cmd
}
