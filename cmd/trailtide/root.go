package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newRoot(s stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "trailtide",
		Short: "Streaming detection for AWS CloudTrail",
		Long: `Trailtide reads an organisation's CloudTrail events from Kafka, Kinesis or files, matches
every event against thousands of rules, counts in exact sliding windows, and delivers
alerts without losing or inventing one.

  trailtide demo                       see it work: no accounts, no servers
  trailtide scan PATH...               look for alerts in CloudTrail files
  trailtide run -c trailtide.yaml      the worker

Exit codes: 0 fine, 1 alerts found (--fail-on) or a rule's test failed, 2 usage,
configuration, rules or topics, 3 runtime.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(newScan(), newQuery(), newRun(), newCheck(), newRules(), newAlerts(), newDeadLetters(), newTopics(), newDemo(), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "trailtide %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version is the module's version as the build recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
