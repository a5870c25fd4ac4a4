package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
)

func newTopics() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Make and check the Kafka topics of a fleet",
		Long: `A fleet (engine: kafka) keeps everything in topics of its own. "create" makes those that are
missing, "check" says what is wrong with those that are there, "acls" prints what a cluster
that allows nothing by itself must allow. A worker does not start on a wrong set.`,
	}
	cmd.AddCommand(newTopicsCreate(), newTopicsCheck(), newTopicsACLs())
	return cmd
}

// fleetFlags are common to the commands on topics.
type fleetFlags struct {
	config  string
	output  string
	timeout time.Duration
}

func (f *fleetFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "trailtide.yaml", "configuration file")
}

func (f *fleetFlags) onlineFlags(cmd *cobra.Command) {
	f.flags(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "table or json")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "how long the cluster may take")
}

func (f *fleetFlags) load() (*Config, error) {
	if f.output != "" && f.output != "table" && f.output != "json" {
		return nil, usageError(fmt.Errorf("--output: %q is not table or json", f.output))
	}
	c, err := LoadConfig(f.config)
	if err != nil {
		return nil, usageError(err)
	}
	if c.Engine != engineKafka {
		return nil, usageError(fmt.Errorf("%s: engine is %s: only engine: kafka has topics of its own", f.config, c.Engine))
	}
	return c, nil
}

// online runs ask with clients of the fleet's cluster, once that is known to be
// one that a fleet can run on.
func (f *fleetFlags) online(ctx context.Context, ask func(context.Context, *Config, *kadm.Client) error) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	cl, err := fleetClient(c)
	if err != nil {
		return usageError(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	err = topics.BrokerVersion(ctx, cl)
	if err == nil {
		err = checkOneCluster(ctx, c, cl)
	}
	switch {
	case errors.Is(err, topics.ErrBroker), errors.Is(err, topics.ErrTwoClusters):
		return usageError(err)
	case err != nil:
		return runtimeError(fmt.Errorf("kafka %s: %w", strings.Join(c.Kafka.Client.Brokers, ","), err))
	}
	return ask(ctx, c, kadm.NewClient(cl))
}

// fleetClient is a client of the fleet's cluster for questions and changes. It
// opens no connection by itself.
func fleetClient(c *Config) (*kgo.Client, error) {
	opts, err := c.Kafka.Client.KgoOpts()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return kgo.NewClient(append(opts, kgo.MetadataMinAge(c.Kafka.MetadataMinAge))...)
}

// checkOneCluster compares the fleet's cluster with the source's, where both
// are configured.
func checkOneCluster(ctx context.Context, c *Config, fleet *kgo.Client) error {
	if c.Source.Kafka == nil || c.Kafka.inherited {
		return nil
	}
	opts, err := c.Source.Kafka.Client.KgoOpts()
	if err != nil {
		return fmt.Errorf("source.kafka: %w", err)
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("source.kafka: %w", err)
	}
	defer cl.Close()
	return topics.OneCluster(ctx, kadm.NewClient(fleet), kadm.NewClient(cl))
}

// errTopics ends a command that has told what is wrong with the topics.
var errTopics = &codedError{code: exitUsage, quiet: true, err: topics.ErrWrong}

func newTopicsCreate() *cobra.Command {
	var f fleetFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "create -c FILE",
		Short: "Make the topics that are missing",
		Long: `Create makes the topics that are missing and leaves alone what is there; it is safe to run it
again. What is there and wrong is told, with what mends it: exit code 2.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.online(cmd.Context(), func(ctx context.Context, c *Config, adm *kadm.Client) error {
				act := topics.Create
				if dry {
					act = topics.Plan
				}
				outcomes, general, err := act(ctx, adm, c.topics())
				if err != nil {
					return runtimeError(err)
				}
				if err := writeOutcomes(cmd.OutOrStdout(), f.output, outcomes, general); err != nil {
					return runtimeError(err)
				}
				problems := slices.Clone(general)
				for _, o := range outcomes {
					problems = append(problems, o.Problems...)
				}
				if topics.Errors(problems) != nil {
					return errTopics
				}
				return nil
			})
		},
	}
	f.onlineFlags(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be made, and make nothing")
	return cmd
}

func newTopicsCheck() *cobra.Command {
	var f fleetFlags
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Say what is wrong with the topics",
		Long: `Check compares the topics with what the configuration asks for: all problems at once, each with
what mends it. An error keeps workers from starting (exit code 2), a warning does not. Broker
versions are checked, too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.online(cmd.Context(), func(ctx context.Context, c *Config, adm *kadm.Client) error {
				problems, layout, err := topics.Check(ctx, adm, c.topics())
				if err != nil {
					return runtimeError(err)
				}
				if err := writeCheck(cmd.OutOrStdout(), f.output, problems, layout); err != nil {
					return runtimeError(err)
				}
				if topics.Errors(problems) != nil {
					return errTopics
				}
				return nil
			})
		},
	}
	f.onlineFlags(cmd)
	return cmd
}

func newTopicsACLs() *cobra.Command {
	var f fleetFlags
	var principal, role string
	var words []string
	for _, r := range topics.Roles() {
		words = append(words, string(r))
	}
	cmd := &cobra.Command{
		Use:   "acls -c FILE --principal User:NAME",
		Short: "Print the rights that a fleet needs, as commands",
		Long: `Acls prints the least that a principal needs, as commands of Kafka's own tools, without
connecting anywhere. The roles: a worker (trailtide run); a store, which reads alerts and
what people say to them; an operator, who says something to alerts; create, for
"trailtide topics create".`,
		Example: "  trailtide topics acls -c trailtide.yaml --principal User:trailtide | sh",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.load()
			if err != nil {
				return err
			}
			if !slices.Contains(words, role) {
				return usageError(fmt.Errorf("--role: %q is not one of %s", role, strings.Join(words, ", ")))
			}
			if kind, name, ok := strings.Cut(principal, ":"); !ok || kind == "" || name == "" {
				return usageError(fmt.Errorf("--principal: %q is not like User:trailtide", principal))
			}
			return writeACLs(cmd.OutOrStdout(), c, topics.Role(role), principal)
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&principal, "principal", "User:trailtide", "who is allowed, as the cluster calls it")
	cmd.Flags().StringVar(&role, "role", string(topics.RoleWorker), "what for: "+strings.Join(words, ", "))
	return cmd
}

func writeACLs(w io.Writer, c *Config, role topics.Role, principal string) error {
	o := c.topics()
	var s strings.Builder
	fmt.Fprintf(&s, "# What %s needs as %s.\n", principal, role)
	fmt.Fprintf(&s, "KAFKA=%s\n", strings.Join(c.Kafka.Client.Brokers, ","))
	for _, a := range topics.ACLs(o, role, principal) {
		fmt.Fprintln(&s, a)
	}
	if src := c.Source.Kafka; role == topics.RoleWorker && src != nil && src.TopicRegex != "" && o.Source.Prefix == "" {
		fmt.Fprintf(&s, "# Besides: Read and Describe on every topic of the source, %q.\n", src.TopicRegex)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func writeOutcomes(w io.Writer, format string, outcomes []topics.Outcome, general []topics.Problem) error {
	if format == "json" {
		return writeJSON(w, struct {
			Topics   []topics.Outcome `json:"topics"`
			Problems []topics.Problem `json:"problems"`
		}{outcomes, append([]topics.Problem{}, general...)})
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "TOPIC\tSTATE")
	var problems []topics.Problem
	for _, o := range outcomes {
		fmt.Fprintf(tw, "%s\t%s\n", o.Topic, o.State)
		problems = append(problems, o.Problems...)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return writeProblems(w, append(problems, general...))
}

func writeCheck(w io.Writer, format string, problems []topics.Problem, layout topics.Layout) error {
	if format == "json" {
		return writeJSON(w, struct {
			OK       bool             `json:"ok"`
			Problems []topics.Problem `json:"problems"`
			Layout   topics.Layout    `json:"layout"`
		}{topics.Errors(problems) == nil, append([]topics.Problem{}, problems...), layout})
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "TOPIC\tPARTITIONS\tREPLICAS\tSTATE")
	for _, t := range layout.Topics {
		state := "fine"
		for _, p := range problems {
			if p.Topic == t.Topic && (p.Severity == topics.Error || state == "fine") {
				state = string(p.Severity)
			}
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\n", t.Topic, t.Partitions, t.Replication, state)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return writeProblems(w, problems)
}

func writeProblems(w io.Writer, problems []topics.Problem) error {
	var s strings.Builder
	count := make(map[topics.Severity]int)
	for _, p := range problems {
		count[p.Severity]++
		fmt.Fprintf(&s, "\n%s: %s\n", p.Severity, p)
	}
	if len(problems) > 0 {
		fmt.Fprintf(&s, "\n%d errors, %d warnings\n", count[topics.Error], count[topics.Warning])
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
