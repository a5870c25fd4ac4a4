package topics_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func connect(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) (*kgo.Client, *kadm.Client) {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl, kadm.NewClient(cl)
}

func fleet() topics.Options {
	return topics.Options{Names: topics.Names{Prefix: "p"}, Sinks: []string{"soc"}, Positions: true, Store: true}
}

// states maps topics to what became of them.
func states(outcomes []topics.Outcome) map[string]topics.State {
	m := make(map[string]topics.State)
	for _, o := range outcomes {
		m[o.Topic] = o.State
	}
	return m
}

func mustCreate(t *testing.T, adm *kadm.Client, o topics.Options) {
	t.Helper()
	outcomes, _, err := topics.Create(t.Context(), adm, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range outcomes {
		if out.State != topics.Made && out.State != topics.There {
			t.Fatalf("%+v", out)
		}
	}
}

func mustCheck(t *testing.T, adm *kadm.Client, o topics.Options) ([]topics.Problem, topics.Layout) {
	t.Helper()
	problems, layout, err := topics.Check(t.Context(), adm, o)
	if err != nil {
		t.Fatal(err)
	}
	return problems, layout
}

func TestCreate(t *testing.T) {
	_, adm := connect(t, cluster(t))
	o := fleet()
	names := []string{"p-repartition", "p-changelog", "p-positions", "p-alerts", "p-notify", "p-control", "p-invalid", "p-dead-soc"}
	if d := cmp.Diff(names, o.Topics()); d != "" {
		t.Errorf("topics (-want +got):\n%s", d)
	}

	planned, _, err := topics.Plan(t.Context(), adm, o)
	if err != nil {
		t.Fatal(err)
	}
	problems, layout := mustCheck(t, adm, o)
	if len(problems) != len(names) || layout.Partitions != 0 {
		t.Errorf("after a plan there is something: %v", problems)
	}
	made, general, err := topics.Create(t.Context(), adm, o)
	if err != nil || len(general) > 0 {
		t.Fatal(general, err)
	}
	again, _, err := topics.Create(t.Context(), adm, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []topics.State{topics.ToMake, topics.Made, topics.There} {
		got := states([][]topics.Outcome{planned, made, again}[i])
		for _, name := range names {
			if got[name] != want {
				t.Errorf("%s: %q, want %q", name, got[name], want)
			}
		}
	}
	problems, layout = mustCheck(t, adm, o)
	if len(problems) > 0 || topics.Errors(problems) != nil {
		t.Errorf("what was made is not right: %v", problems)
	}
	if layout.Partitions != 12 || layout.AlertPartitions != 1 || layout.Brokers != 3 || len(layout.Topics) != len(names) {
		t.Errorf("layout %+v", layout)
	}
	if c, ok := layout.Topic("p-changelog"); !ok || c.Partitions != 12 || c.Replication != 3 {
		t.Errorf("changelog %+v", c)
	}

	configs, err := adm.DescribeTopicConfigs(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]map[string]string)
	for _, r := range configs {
		got[r.Name] = make(map[string]string)
		for _, c := range r.Configs {
			if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
				got[r.Name][c.Key] = c.MaybeValue()
			}
		}
	}
	common := map[string]string{"max.message.bytes": "4194304", "min.insync.replicas": "2", "unclean.leader.election.enable": "false"}
	with := func(extra ...string) map[string]string {
		m := make(map[string]string)
		for k, v := range common {
			m[k] = v
		}
		for _, kv := range extra {
			k, v, _ := strings.Cut(kv, "=")
			m[k] = v
		}
		return m
	}
	kept := func(retention string) map[string]string {
		return with("cleanup.policy=delete", "retention.ms="+retention, "retention.bytes=-1", "segment.ms=86400000")
	}
	state := func(tombstones string) map[string]string {
		return with("cleanup.policy=compact", "segment.bytes=16777216", "segment.ms=600000", "min.cleanable.dirty.ratio=0.1",
			"delete.retention.ms="+tombstones, "min.compaction.lag.ms=0")
	}
	want := map[string]map[string]string{
		"p-repartition": kept("604800000"), "p-alerts": kept("604800000"), "p-invalid": kept("2592000000"), "p-dead-soc": kept("2592000000"),
		"p-changelog": state("600000"), "p-positions": state("3600000"), "p-notify": state("3600000"), "p-control": state("2592000000"),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
}

func TestCreateByTwo(t *testing.T) {
	c := cluster(t)
	var wg sync.WaitGroup
	for range 4 {
		_, adm := connect(t, c)
		wg.Go(func() {
			outcomes, _, err := topics.Create(t.Context(), adm, fleet())
			if err != nil {
				t.Errorf("create: %v", err)
			}
			for _, out := range outcomes {
				if out.State != topics.Made && out.State != topics.There {
					t.Errorf("%+v", out)
				}
			}
		})
	}
	wg.Wait()
}

func TestReplication(t *testing.T) {
	_, adm := connect(t, cluster(t, kfake.NumBrokers(1)))
	outcomes, general, err := topics.Create(t.Context(), adm, fleet())
	if err != nil || outcomes[0].State != topics.Made {
		t.Fatal(outcomes, err)
	}
	if len(general) == 0 || !strings.Contains(general[0].What, "1 brokers") {
		t.Errorf("nothing is said of the missing brokers: %v", general)
	}
	problems, layout := mustCheck(t, adm, fleet())
	if c, _ := layout.Topic("p-alerts"); c.Replication != 1 {
		t.Errorf("layout %+v", layout)
	}
	if len(problems) != 1 || problems[0].Severity != topics.Warning || !strings.Contains(problems[0].What, "one broker") {
		t.Errorf("problems %v", problems)
	}

	// A number that was asked for is not lowered in silence.
	o := fleet()
	o.Prefix, o.Replication = "q", 3
	outcomes, _, err = topics.Create(t.Context(), adm, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range outcomes {
		if out.State != topics.Refused || len(out.Problems) != 1 || !strings.Contains(out.Problems[0].Fix, "kafka.replication") {
			t.Errorf("%+v", out)
		}
	}
}

// alter sets a topic's configuration.
func alter(t *testing.T, adm *kadm.Client, topic, key, value string) {
	t.Helper()
	answers, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := answers.On(topic, func(r *kadm.AlterConfigsResponse) error { return r.Err }); err != nil {
		t.Fatal(err)
	}
}

var addConfig = regexp.MustCompile(`--entity-name (\S+) --add-config (\S+)=(\S+)$`)

// TestWrongSettings sets one thing wrong at a time, and mends it as the check says.
func TestWrongSettings(t *testing.T) {
	_, adm := connect(t, cluster(t))
	mustCreate(t, adm, fleet())
	for _, tt := range []struct {
		topic, key, value string
		severity          topics.Severity
		says              string
	}{
		{"p-alerts", "cleanup.policy", "compact", topics.Error, "cleanup.policy is compact: compaction"},
		{"p-alerts", "cleanup.policy", "compact,delete", topics.Error, "compaction"},
		{"p-repartition", "cleanup.policy", "compact", topics.Error, "compaction"},
		{"p-dead-soc", "cleanup.policy", "compact", topics.Error, "compaction"},
		{"p-changelog", "cleanup.policy", "delete", topics.Error, "would be deleted"},
		{"p-changelog", "cleanup.policy", "delete,compact", topics.Error, "would be deleted"},
		{"p-control", "cleanup.policy", "delete", topics.Error, "would be deleted"},
		{"p-notify", "cleanup.policy", "delete", topics.Error, "would be deleted"},
		{"p-positions", "cleanup.policy", "delete", topics.Error, "would be deleted"},
		{"p-alerts", "retention.ms", "604799999", topics.Error, "7d is the least"},
		{"p-repartition", "retention.ms", "86400000", topics.Warning, "retention.ms is 1d, and the configuration says 7d"},
		{"p-invalid", "retention.ms", "604800000", topics.Warning, "retention.ms is 7d"},
		{"p-alerts", "retention.bytes", "1000000", topics.Warning, "before their time"},
		{"p-alerts", "max.message.bytes", "1048588", topics.Error, "a record may need 4194304"},
		{"p-repartition", "max.message.bytes", "1048588", topics.Error, "a record may need 4194304"},
		{"p-changelog", "min.insync.replicas", "4", topics.Error, "nothing can be written"},
		{"p-changelog", "min.insync.replicas", "3", topics.Warning, "stops when one broker does"},
		{"p-changelog", "min.insync.replicas", "1", topics.Warning, "lost with one broker"},
		{"p-alerts", "unclean.leader.election.enable", "true", topics.Warning, "commits may be lost"},
		{"p-changelog", "min.cleanable.dirty.ratio", "0.5", topics.Warning, "min.cleanable.dirty.ratio is 0.5, so that a restore"},
		{"p-changelog", "segment.bytes", "1073741824", topics.Warning, "segment.bytes"},
		{"p-changelog", "segment.ms", "604800000", topics.Warning, "segment.ms is 7d"},
		{"p-changelog", "min.compaction.lag.ms", "604800000", topics.Warning, "min.compaction.lag.ms is 7d"},
		{"p-changelog", "delete.retention.ms", "0", topics.Warning, "bring back"},
	} {
		t.Run(tt.topic+" "+tt.key+"="+tt.value, func(t *testing.T) {
			alter(t, adm, tt.topic, tt.key, tt.value)
			problems, _ := mustCheck(t, adm, fleet())
			if len(problems) != 1 || problems[0].Topic != tt.topic || problems[0].Severity != tt.severity || !strings.Contains(problems[0].What, tt.says) {
				t.Fatalf("problems %v, want one %s of %s that says %q", problems, tt.severity, tt.topic, tt.says)
			}
			if err := topics.Errors(problems); (err != nil) != (tt.severity == topics.Error) || err != nil && !errors.Is(err, topics.ErrWrong) {
				t.Errorf("Errors: %v", err)
			}
			// Create leaves it, and says what is wrong with it.
			outcomes, _, err := topics.Create(t.Context(), adm, fleet())
			if err != nil {
				t.Fatal(err)
			}
			want := topics.There
			if tt.severity == topics.Error {
				want = topics.Wrong
			}
			i := slices.IndexFunc(outcomes, func(o topics.Outcome) bool { return o.Topic == tt.topic })
			if outcomes[i].State != want || len(outcomes[i].Problems) != 1 {
				t.Errorf("create: %+v", outcomes[i])
			}
			fix := addConfig.FindStringSubmatch(problems[0].Fix)
			if fix == nil {
				t.Fatalf("no command in %q", problems[0].Fix)
			}
			alter(t, adm, fix[1], fix[2], fix[3])
			if problems, _ := mustCheck(t, adm, fleet()); len(problems) > 0 {
				t.Errorf("mended as told: %v", problems)
			}
		})
	}
}

// TestProblemsComeAtOnce, and infinite retention is none.
func TestProblemsComeAtOnce(t *testing.T) {
	_, adm := connect(t, cluster(t))
	mustCreate(t, adm, fleet())
	alter(t, adm, "p-alerts", "cleanup.policy", "compact")
	alter(t, adm, "p-alerts", "retention.ms", "1000")
	alter(t, adm, "p-changelog", "cleanup.policy", "delete")
	alter(t, adm, "p-repartition", "retention.ms", "-1")
	if _, err := adm.DeleteTopics(t.Context(), "p-control"); err != nil {
		t.Fatal(err)
	}
	problems, _ := mustCheck(t, adm, fleet())
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%s %s %.14s", p.Severity, p.Topic, p.What))
	}
	want := []string{
		"error p-changelog cleanup.policy", "error p-alerts cleanup.policy", "error p-alerts retention.ms i", "error p-control it is missing",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	err := topics.Errors(problems)
	for _, says := range []string{"p-changelog: cleanup.policy", "p-control: it is missing\n  trailtide topics create"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not say %q: %v", says, err)
		}
	}
}

// TestPartitionCounts: each way in which repartition, changelog and
// configuration can disagree.
func TestPartitionCounts(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		repartition, changelog int32 // 0: missing
		topic, says, fix       string
		created                topics.State // of the one that is missing
		alerts, control        int32
	}{
		{name: "the configuration was changed", repartition: 24, changelog: 24, topic: "p-repartition", says: "24 partitions, and kafka.partitions is 12", fix: "set kafka.partitions: 24"},
		{name: "partitions were added", repartition: 24, changelog: 12, topic: "p-repartition", says: "p-changelog has 12", fix: "another kafka.prefix"},
		{name: "the changelog was grown", repartition: 12, changelog: 24, topic: "p-repartition", says: "p-changelog has 24", fix: "another kafka.prefix"},
		{name: "only one is there", repartition: 24, topic: "p-repartition", says: "24 partitions", fix: "set kafka.partitions: 24", created: topics.Refused},
		{name: "only the other is there", changelog: 24, topic: "p-changelog", says: "24 partitions", fix: "set kafka.partitions: 24", created: topics.Refused},
		{name: "alerts", alerts: 3, topic: "p-alerts", says: "kafka.alert_partitions is 1", fix: "set kafka.alert_partitions: 3"},
		{name: "control", control: 3, topic: "p-control", says: "order of one", fix: "delete it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, adm := connect(t, cluster(t))
			mustCreate(t, adm, fleet())
			remake := func(topic string, have, want int32, policy string) {
				t.Helper()
				if have == want {
					return
				}
				if _, err := adm.DeleteTopics(t.Context(), topic); err != nil {
					t.Fatal(err)
				}
				if want == 0 {
					return
				}
				if _, err := adm.CreateTopic(t.Context(), want, 3, map[string]*string{"cleanup.policy": &policy}, topic); err != nil {
					t.Fatal(err)
				}
			}
			if tt.alerts == 0 && tt.control == 0 {
				remake("p-repartition", 12, tt.repartition, "delete")
				remake("p-changelog", 12, tt.changelog, "compact")
			}
			remake("p-alerts", 1, max(tt.alerts, 1), "delete")
			remake("p-control", 1, max(tt.control, 1), "compact")

			problems, _ := mustCheck(t, adm, fleet())
			i := slices.IndexFunc(problems, func(p topics.Problem) bool { return strings.Contains(p.What, tt.says) })
			if i < 0 || problems[i].Topic != tt.topic || problems[i].Severity != topics.Error || !strings.Contains(problems[i].Fix, tt.fix) {
				t.Fatalf("problems %v", problems)
			}
			missing := "p-changelog"
			if tt.repartition == 0 {
				missing = "p-repartition"
			}
			outcomes, _, err := topics.Create(t.Context(), adm, fleet())
			if err != nil {
				t.Fatal(err)
			}
			got := states(outcomes)
			if got[tt.topic] != topics.Wrong {
				t.Errorf("create says of %s: %s", tt.topic, got[tt.topic])
			}
			if tt.created != "" && got[missing] != tt.created {
				t.Errorf("create says of %s: %s", missing, got[missing])
			}
		})
	}
}

// TestPickyCluster: where a managed service does not let a setting be set, the
// topic is made without it, and that is told.
func TestPickyCluster(t *testing.T) {
	c := cluster(t)
	c.ControlKey(int16(kmsg.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req, resp := kreq.(*kmsg.CreateTopicsRequest), kreq.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, rt := range req.Topics {
			for _, conf := range rt.Configs {
				if conf.Name == "unclean.leader.election.enable" {
					st := kmsg.NewCreateTopicsResponseTopic()
					st.Topic, st.ErrorCode, st.ErrorMessage = rt.Topic, kerr.PolicyViolation.Code, kmsg.StringPtr("not yours to set")
					resp.Topics = append(resp.Topics, st)
					return resp, nil, true
				}
			}
		}
		return nil, nil, false
	})
	_, adm := connect(t, c)
	outcomes, _, err := topics.Create(t.Context(), adm, fleet())
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range outcomes {
		if out.State != topics.Made || len(out.Problems) == 0 || !strings.Contains(out.Problems[0].What, "not yours to set") ||
			!strings.Contains(out.Problems[0].What, "unclean.leader.election.enable=false") {
			t.Errorf("%+v", out)
		}
	}
	problems, _ := mustCheck(t, adm, fleet())
	if err := topics.Errors(problems); err != nil {
		t.Errorf("what a fleet is built on is missing: %v", err)
	}
}

func TestBrokerVersion(t *testing.T) {
	for _, tt := range []struct {
		max  *kversion.Versions
		says []string
	}{
		{kversion.V2_5_0(), nil},
		{nil, nil},
		{kversion.V2_4_0(), []string{"2.5", "version 2 of TxnOffsetCommit and not 3", "version 6 of OffsetFetch and not 7", "broker 0", "broker 2"}},
		{kversion.V0_10_2(), []string{"has no TxnOffsetCommit"}},
	} {
		var opts []kfake.Opt
		if tt.max != nil {
			opts = append(opts, kfake.MaxVersions(tt.max))
		}
		cl, _ := connect(t, cluster(t, opts...))
		err := topics.BrokerVersion(t.Context(), cl)
		if errors.Is(err, topics.ErrBroker) != (tt.says != nil) || err != nil && tt.says == nil {
			t.Errorf("error %v, want %q", err, tt.says)
		}
		for _, says := range tt.says {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("the error does not say %q: %v", says, err)
			}
		}
	}
}

func TestOneCluster(t *testing.T) {
	c := cluster(t, kfake.ClusterID("one"))
	_, a := connect(t, c)
	_, b := connect(t, c)
	_, other := connect(t, cluster(t, kfake.ClusterID("two")))
	if err := topics.OneCluster(t.Context(), a, b); err != nil {
		t.Error(err)
	}
	if err := topics.OneCluster(t.Context(), a, other); !errors.Is(err, topics.ErrTwoClusters) || !strings.Contains(err.Error(), "two") {
		t.Errorf("error %v", err)
	}
}

func TestValidate(t *testing.T) {
	if err := (topics.Options{}).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := topics.Options{
		Names: topics.Names{Prefix: "a b"}, Partitions: -1, AlertPartitions: 2000, Replication: -2, MaxMessageBytes: 5,
		Retention: topics.Retention{Alerts: time.Hour, Repartition: time.Second, Dead: -1},
		Sinks:     []string{"x/y", "a.b", "a_b", strings.Repeat("n", 250)},
	}.Validate()
	for _, says := range []string{
		"prefix:", "partitions:", "alert_partitions:", "replication:", "largest message", "retention.alerts: must be 7d", "retention.repartition",
		"retention.dead", `sink "x/y"`, "a b-dead-a.b and a b-dead-a_b", "249",
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not say %q: %v", says, err)
		}
	}
	_, adm := connect(t, cluster(t))
	if _, _, err := topics.Check(t.Context(), adm, topics.Options{Partitions: -1}); err == nil {
		t.Error("Check takes anything")
	}
	if _, _, err := topics.Create(t.Context(), adm, topics.Options{Partitions: -1}); err == nil {
		t.Error("Create takes anything")
	}
}
