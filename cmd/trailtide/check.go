package main

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/matcher/ruletest"
)

func newCheck() *cobra.Command {
	var path string
	var tests bool
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a configuration and its rules, without connecting anywhere",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, configErr := LoadConfig(path)
			if configErr != nil {
				return usageError(configErr)
			}
			loaded, err := loadRules(c.choice())
			for _, w := range loaded.remarks() {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
			}
			if err != nil {
				return usageError(err)
			}
			errs := checkSinkNames(c, loaded.set)
			if _, err := buildSource(c, zap.NewNop(), prometheus.NewRegistry()); err != nil {
				errs = append(errs, err)
			}
			if c.Admin.Listen != "off" && c.Admin.CertFile != "" {
				if _, err := adminTLS(c.Admin); err != nil {
					errs = append(errs, err)
				}
			}
			if tests {
				for _, res := range ruletest.Run(loaded.set.Rules(), loaded.suppress) {
					if !res.OK {
						errs = append(errs, fmt.Errorf("%s: rule %s: test %q failed:\n%s", res.Test.Pos, res.Rule.ID, res.Test.Name, indent(res.Message)))
					}
				}
			}
			if len(errs) > 0 {
				return usageError(errors.Join(errs...))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is fine: %d rules, %d sinks\n", path, len(loaded.set.Rules()), len(c.Sinks))
			return err
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "trailtide.yaml", "configuration file")
	cmd.Flags().BoolVar(&tests, "tests", true, "run the rules' own tests, too")
	return cmd
}
