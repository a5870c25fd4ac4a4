package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

func brokers(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, string) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, strings.Join(c.ListenAddrs(), ",")
}

func admin(t *testing.T, c *kfake.Cluster) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

// fleetFile writes a configuration of a fleet on the brokers.
func fleetFile(t *testing.T, addrs, extra string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trailtide.yaml")
	src := fmt.Sprintf(`
engine: kafka
source: {kafka: {brokers: [%s], topics: [trail], group: trailtide}}
sinks: [{name: soc, stdout: {}}]
%s`, addrs, extra)
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs a command line and answers its exit code and what it wrote.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = run(t.Context(), args, stdio{nil, &out, &errs})
	return code, out.String(), errs.String()
}

func TestTopicsCommands(t *testing.T) {
	c, addrs := brokers(t)
	// The section kafka says nothing of the connection: the source's is used.
	file := fleetFile(t, addrs, "kafka: {partitions: 4, metadata_min_age: 50ms}")
	expect := func(code int, says string, args ...string) string {
		t.Helper()
		got, out, errs := command(t, append([]string{"topics"}, args...)...)
		if got != code || !strings.Contains(out+errs, says) {
			t.Fatalf("topics %v: exit code %d, want %d and %q:\n%s%s", args, got, code, says, out, errs)
		}
		return out
	}
	expect(exitUsage, "error: trailtide-alerts: it is missing\n  trailtide topics create -c FILE", "check", "-c", file)
	expect(exitOK, "trailtide-changelog    to make", "create", "-c", file, "--dry-run")
	expect(exitUsage, "7 errors, 0 warnings", "check", "-c", file)
	expect(exitOK, "trailtide-changelog    made", "create", "-c", file)
	expect(exitOK, "trailtide-changelog    there", "create", "-c", file)
	expect(exitOK, "trailtide-changelog    4           3         fine", "check", "-c", file)

	other := fleetFile(t, addrs, "kafka: {partitions: 8, metadata_min_age: 50ms}")
	expect(exitUsage, "set kafka.partitions: 4", "check", "-c", other)
	expect(exitUsage, "trailtide-repartition  wrong", "create", "-c", other)

	policy := "compact"
	if _, err := admin(t, c).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "cleanup.policy", Value: &policy}}, "trailtide-alerts"); err != nil {
		t.Fatal(err)
	}
	var report struct {
		OK       bool
		Problems []struct{ Topic, Severity, Problem, Fix string }
		Layout   struct {
			Brokers, Partitions int
			Topics              []struct {
				Topic                   string
				Exists                  bool
				Partitions, Replication int
			}
		}
	}
	if err := json.Unmarshal([]byte(expect(exitUsage, "cleanup.policy", "check", "-c", file, "-o", "json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.OK || len(report.Problems) != 1 || report.Problems[0].Severity != "error" || report.Problems[0].Topic != "trailtide-alerts" ||
		!strings.HasPrefix(report.Problems[0].Fix, "kafka-configs") || report.Layout.Partitions != 4 || len(report.Layout.Topics) != 7 {
		t.Errorf("report %+v", report)
	}
	var made struct {
		Topics []struct{ Topic, State string }
	}
	if err := json.Unmarshal([]byte(expect(exitUsage, "wrong", "create", "-c", file, "-o", "json")), &made); err != nil || len(made.Topics) != 7 {
		t.Errorf("%+v, %v", made, err)
	}
}

func TestTopicsRefusals(t *testing.T) {
	_, addrs := brokers(t)
	_, old := brokers(t, kfake.MaxVersions(kversion.V2_4_0()))
	_, another := brokers(t, kfake.ClusterID("another"))
	gone, nowhere := brokers(t)
	gone.Close()
	embedded := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(embedded, []byte("source: {files: {paths: [x]}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := fleetFile(t, addrs, "")
	for _, tt := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "only engine: kafka has topics", []string{"check", "-c", embedded}},
		{exitUsage, "kafka.session_timeout", []string{"check", "-c", fleetFile(t, addrs, "kafka: {session_timeout: 1ms}")}},
		{exitUsage, "no such file", []string{"check", "-c", "nowhere.yaml"}},
		{exitUsage, "--output", []string{"check", "-c", file, "-o", "xml"}},
		{exitUsage, "needs Kafka 2.5 or newer", []string{"check", "-c", fleetFile(t, old, "")}},
		{exitUsage, "needs Kafka 2.5 or newer", []string{"create", "-c", fleetFile(t, old, "")}},
		{exitUsage, "on two clusters", []string{"check", "-c", fleetFile(t, addrs, "kafka: {brokers: ["+another+"]}")}},
		{exitRuntime, "kafka " + nowhere, []string{"check", "--timeout", "300ms", "-c", fleetFile(t, nowhere, "")}},
		{exitUsage, "--role", []string{"acls", "-c", file, "--role", "king"}},
		{exitUsage, "--principal", []string{"acls", "-c", file, "--principal", "jane"}},
	} {
		code, out, errs := command(t, append([]string{"topics"}, tt.args...)...)
		if code != tt.code || !strings.Contains(errs, tt.says) {
			t.Errorf("topics %v: exit code %d, want %d and %q:\n%s%s", tt.args, code, tt.code, tt.says, out, errs)
		}
	}
	regex := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(regex, []byte("engine: kafka\nsource: {kafka: {brokers: [b], topic_regex: '(a|b)-trail'}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "topics", "acls", "-c", regex); code != exitOK || !strings.Contains(out, `# Besides: Read and Describe on every topic of the source, "(a|b)-trail".`) {
		t.Errorf("acls of a regular expression: %s%s", out, errs)
	}
}

// TestFleetPage runs what docs/fleet.md shows: the configuration, the commands,
// their output, and the table of the topics.
func TestFleetPage(t *testing.T) {
	src, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(src)
	blocks := func(language string) []string {
		var all []string
		for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page, -1) {
			all = append(all, m[1])
		}
		return all
	}
	c, addrs := brokers(t)
	conf := blocks("yaml")[0]
	shown := regexp.MustCompile(`brokers: \[(.*)\]`).FindStringSubmatch(conf)[1]
	t.Setenv("WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("trailtide.yaml", []byte(strings.Replace(conf, shown, addrs, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var outputs []string
	for _, block := range blocks("sh") {
		for line := range strings.Lines(block) {
			args := strings.Fields(line)
			if args[0] != "trailtide" {
				t.Fatalf("not a command of ours: %s", line)
			}
			code, out, errs := command(t, args[1:]...)
			if code != exitOK {
				t.Errorf("%sexit code %d: %s%s", line, code, out, errs)
			}
			outputs = append(outputs, strings.Replace(out, addrs, shown, 1))
		}
	}
	texts := blocks("text")
	if len(texts) != 2 || len(outputs) != 7 {
		t.Fatalf("%d outputs are shown, of %d commands", len(texts), len(outputs))
	}
	for _, text := range texts {
		if !slices.Contains(outputs, text) {
			t.Errorf("no command prints what is shown:\n%s\nbut\n%s", text, strings.Join(outputs, "\n"))
		}
	}

	// A fleet with every kind of topic, against the table.
	path := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(path, []byte(fmt.Sprintf(
		"engine: kafka\nkafka: {brokers: [%s], prefix: P, partitions: 5}\nsource: {files: {paths: [x]}}\nsinks: [{name: SINK, stdout: {}}]\n", addrs)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "topics", "create", "-c", path); code != exitOK {
		t.Fatalf("%s%s", out, errs)
	}
	adm := admin(t, c)
	details, err := adm.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ Topic, Partitions, Cleanup, Kept string }
	var want, got []row
	for _, d := range details.Sorted() {
		if !strings.HasPrefix(d.Topic, "P-") {
			continue
		}
		configs, err := adm.DescribeTopicConfigs(t.Context(), d.Topic)
		if err != nil {
			t.Fatal(err)
		}
		r := row{Topic: d.Topic, Partitions: strings.Replace(strconv.Itoa(len(d.Partitions)), "5", "N", 1)}
		for _, conf := range configs[0].Configs {
			switch conf.Key {
			case "cleanup.policy":
				r.Cleanup = conf.MaybeValue()
			case "retention.ms":
				ms, err := strconv.Atoi(conf.MaybeValue())
				if err != nil {
					t.Fatal(err)
				}
				r.Kept = fmt.Sprintf("%dd", ms/86400000)
			}
		}
		if r.Cleanup == "compact" {
			r.Kept = ""
		}
		want = append(want, r)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(P-\\S+)` \\| (\\S+) \\| (\\S+) \\| (\\S* ?)\\|").FindAllStringSubmatch(page, -1) {
		got = append(got, row{m[1], m[2], m[3], strings.TrimSpace(m[4])})
	}
	slices.SortFunc(got, func(a, b row) int { return strings.Compare(a.Topic, b.Topic) })
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the table of topics (-topics +page):\n%s", d)
	}
}
