package topics_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	saslplain "github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
)

// locked is a cluster that allows nothing by itself, and its administrator.
func locked(t *testing.T) (*kfake.Cluster, *kadm.Client) {
	t.Helper()
	c := cluster(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "root", "x"), kfake.SeedTopics(1, "trail", "other"),
		kfake.User("PLAIN", "worker", "x"), kfake.User("PLAIN", "maker", "x"), kfake.User("PLAIN", "nobody", "x"), kfake.User("PLAIN", "store", "x"))
	_, root := connect(t, c, as("root"))
	return c, root
}

func as(user string) kgo.Opt {
	return kgo.SASL(saslplain.Auth{User: user, Pass: "x"}.AsMechanism())
}

// grant makes ACLs, as kafka-acls would.
func grant(t *testing.T, root *kadm.Client, acls []topics.ACL) {
	t.Helper()
	for _, a := range acls {
		b := kadm.NewACLs().Allow(a.Principal).AllowHosts("*").Operations(a.Operations...)
		switch a.Resource {
		case topics.Topic:
			b = b.Topics(a.Name)
		case topics.Group:
			b = b.Groups(a.Name)
		case topics.TransactionalID:
			b = b.TransactionalIDs(a.Name)
		case topics.Cluster:
			b = b.Clusters()
		}
		pattern := kadm.ACLPatternLiteral
		if a.Prefixed {
			pattern = kadm.ACLPatternPrefixed
		}
		answers, err := root.CreateACLs(t.Context(), b.ResourcePatternType(pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range answers {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
}

func lockedFleet() topics.Options {
	o := fleet()
	o.Source = topics.Source{Topics: []string{"trail"}, Group: "trails"}
	return o
}

// TestLeastPrivilege: with what the roles are granted, topics are made and
// checked, and a worker can do all that a fleet does.
func TestLeastPrivilege(t *testing.T) {
	c, root := locked(t)
	o := lockedFleet()
	_, maker := connect(t, c, as("maker"))
	outcomes, _, err := topics.Create(t.Context(), maker, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range outcomes {
		if out.State != topics.Refused || !strings.Contains(out.Problems[0].Fix, "--role create") {
			t.Errorf("without rights: %+v", out)
		}
	}
	grant(t, root, topics.ACLs(o, topics.RoleCreate, "User:maker"))
	mustCreate(t, maker, o)

	grant(t, root, topics.ACLs(o, topics.RoleWorker, "User:worker"))
	_, worker := connect(t, c, as("worker"))
	if problems, _ := mustCheck(t, worker, o); len(problems) > 0 {
		t.Errorf("the worker's check: %v", problems)
	}
	work(t, c, o)

	// The store reads alerts, and nothing else.
	grant(t, root, topics.ACLs(o, topics.RoleStore, "User:store"))
	read(t, c, "store", o.Alerts(), o.StoreGroup())
	cl, _ := connect(t, c, as("store"), kgo.ManualFlushing())
	cl.Produce(t.Context(), &kgo.Record{Topic: o.Alerts(), Value: []byte("x")}, func(_ *kgo.Record, err error) {
		if err == nil {
			t.Error("the store can write alerts")
		}
	})
	if err := cl.AbortBufferedRecords(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// work does what a worker does: every topic is written in a transaction with a
// group's offsets, and read.
func work(t *testing.T, c *kfake.Cluster, o topics.Options) {
	t.Helper()
	read(t, c, "worker", "trail", "trails")
	for _, s := range []struct{ id, group, topic string }{
		{"p-match-0", "trails", "trail"}, {"p-alert-0", o.AlertGroup(), o.Repartition()}, {"p-sink-soc", o.SinkGroup("soc"), o.Alerts()},
	} {
		cl, _ := connect(t, c, as("worker"), kgo.TransactionalID(s.id))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, topic := range o.Topics() {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("v")}).FirstErr(); err != nil {
				t.Errorf("the worker may not write %s: %v", topic, err)
			}
		}
		commitOffset(t, cl, s.id, s.group, s.topic)
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Errorf("the transaction of %s: %v", s.id, err)
		}
		read(t, c, "worker", s.topic, s.group)
	}
	for _, topic := range []string{o.Changelog(), o.Notify(), o.Names.Positions(), o.Control()} {
		read(t, c, "worker", topic, "")
	}
	cl, _ := connect(t, c, as("worker")) // idempotent, without a transaction
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: o.Control(), Key: []byte("k")}).FirstErr(); err != nil {
		t.Errorf("the worker's plain producer: %v", err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "other", Value: []byte("k")}).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("the worker writes where it has no business: %v", err)
	}
}

// commitOffset puts a group's offset in the open transaction.
func commitOffset(t *testing.T, cl *kgo.Client, id, group, topic string) {
	t.Helper()
	pid, epoch, err := cl.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = id, pid, epoch, group
	added, err := add.RequestWith(t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(added.ErrorCode)
	}
	if err != nil {
		t.Fatalf("group %s in the transaction: %v", group, err)
	}
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group, commit.Generation = id, pid, epoch, group, -1
	rt, rp := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
	details, err := kadm.NewClient(cl).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	rt.Topic, rt.TopicID, rt.Partitions = topic, details[topic].ID, append(rt.Partitions, rp)
	commit.Topics = append(commit.Topics, rt)
	committed, err := commit.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(committed.Topics[0].Partitions[0].ErrorCode); err != nil {
		t.Errorf("offset of %s in group %s: %v", topic, group, err)
	}
}

// read polls a topic as a group, or without one, and wants no error.
func read(t *testing.T, c *kfake.Cluster, user, topic, group string) {
	t.Helper()
	_, root := connect(t, c, as("root"))
	opts := []kgo.Opt{as(user), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(100 * time.Millisecond)}
	if group != "" {
		opts = append(opts, kgo.ConsumerGroup(group), kgo.DisableAutoCommit())
	}
	if topic == "trail" {
		rootCl, _ := connect(t, c, as("root"))
		if err := rootCl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	cl, _ := connect(t, c, opts...)
	fetches := cl.PollFetches(t.Context())
	if err := fetches.Err(); err != nil || fetches.Empty() {
		t.Errorf("%s reads %s as group %q: %v", user, topic, group, err)
	}
	if group == "" {
		return
	}
	if err := cl.CommitRecords(t.Context(), fetches.Records()...); err != nil {
		t.Errorf("%s commits for group %s: %v", user, group, err)
	}
	cl.Close()
	if _, err := root.DeleteGroups(t.Context(), group); err != nil { // the next one begins at the start
		t.Fatal(err)
	}
}

// TestMissingRights takes the rights on one topic away at a time: the check tells,
// and goes on with the others.
func TestMissingRights(t *testing.T) {
	c, root := locked(t)
	o := lockedFleet()
	mustCreate(t, root, o)
	acls := topics.ACLs(o, topics.RoleWorker, "User:worker")
	grant(t, root, acls)
	_, worker := connect(t, c, as("worker"))
	for _, a := range acls {
		if a.Resource != topics.Topic || a.Name == "trail" {
			continue
		}
		b := kadm.NewACLs().Allow("User:worker").AllowHosts("*").Operations(kadm.OpAny).ResourcePatternType(kadm.ACLPatternLiteral).Topics(a.Name)
		if _, err := root.DeleteACLs(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		problems, _ := mustCheck(t, worker, o)
		if len(problems) == 0 || problems[0].Topic != a.Name || problems[0].Severity != topics.Error || !strings.Contains(problems[0].Fix, "Describe") {
			t.Errorf("without a right on %s: %v", a.Name, problems)
		}
		// Without the right to read its configuration, that much is not verified.
		less := a
		less.Operations = slices.DeleteFunc(slices.Clone(a.Operations), func(op kadm.ACLOperation) bool { return op == kadm.OpDescribeConfigs })
		grant(t, root, []topics.ACL{less})
		problems, _ = mustCheck(t, worker, o)
		if len(problems) != 1 || problems[0].Severity != topics.Warning || !strings.Contains(problems[0].What, "not verified") || !strings.Contains(problems[0].What, a.Name) {
			t.Errorf("without DescribeConfigs on %s: %v", a.Name, problems)
		}
		grant(t, root, []topics.ACL{a})
	}
	// A right that is missing is told with its name.
	b := kadm.NewACLs().Allow("User:worker").AllowHosts("*").Operations(kadm.OpWrite).ResourcePatternType(kadm.ACLPatternLiteral).Topics(o.Alerts())
	if _, err := root.DeleteACLs(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	problems, _ := mustCheck(t, worker, o)
	if len(problems) != 1 || problems[0].Topic != o.Alerts() || !strings.HasSuffix(problems[0].What, ": Write") {
		t.Errorf("without Write: %v", problems)
	}
	// A problem behind a refusal is found all the same.
	alter(t, root, o.Changelog(), "cleanup.policy", "delete")
	_, nobody := connect(t, c, as("nobody"))
	if problems, _ := mustCheck(t, nobody, o); len(problems) != len(o.Topics()) {
		t.Errorf("without any right: %v", problems)
	}
	b = kadm.NewACLs().Allow("User:worker").AllowHosts("*").Operations(kadm.OpAny).ResourcePatternType(kadm.ACLPatternLiteral).Topics(o.Repartition())
	if _, err := root.DeleteACLs(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	problems, _ = mustCheck(t, worker, o)
	if !slices.ContainsFunc(problems, func(p topics.Problem) bool { return p.Topic == o.Changelog() && p.Severity == topics.Error }) {
		t.Errorf("the refusal of one topic hides the others: %v", problems)
	}
}

func TestACLCommands(t *testing.T) {
	o := topics.Options{Sinks: []string{"soc"}, Source: topics.Source{Topics: []string{"cloudtrail"}, Group: "trailtide"}}
	want := `kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Write --operation Describe --operation DescribeConfigs --topic trailtide-repartition
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Write --operation Describe --operation DescribeConfigs --topic trailtide-changelog
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Write --operation Describe --operation DescribeConfigs --topic trailtide-alerts
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Write --operation Describe --operation DescribeConfigs --topic trailtide-notify
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Write --operation Describe --operation DescribeConfigs --topic trailtide-control
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Write --operation Describe --operation DescribeConfigs --topic trailtide-invalid
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Write --operation Describe --operation DescribeConfigs --topic trailtide-dead-soc
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Describe --topic cloudtrail
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Describe --group trailtide-alert
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Describe --group trailtide
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Read --operation Describe --group trailtide-sink-soc
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation Write --operation Describe --resource-pattern-type prefixed --transactional-id trailtide-
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal User:t --operation IdempotentWrite --cluster`
	if d := cmp.Diff(want, lines(topics.ACLs(o, topics.RoleWorker, "User:t"))); d != "" {
		t.Errorf("worker (-want +got):\n%s", d)
	}
	want = `kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal 'User:CN=it'\''s me' --operation Read --operation Write --operation Describe --topic trailtide-control
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal 'User:CN=it'\''s me' --operation Read --operation Describe --topic trailtide-alerts
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal 'User:CN=it'\''s me' --operation Read --operation Describe --topic trailtide-invalid
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal 'User:CN=it'\''s me' --operation Read --operation Describe --topic trailtide-dead-soc
kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal 'User:CN=it'\''s me' --operation IdempotentWrite --cluster`
	if d := cmp.Diff(want, lines(topics.ACLs(o, topics.RoleOperator, "User:CN=it's me"))); d != "" {
		t.Errorf("operator (-want +got):\n%s", d)
	}
	o.Source = topics.Source{Prefix: "trail-"}
	if got := lines(topics.ACLs(o, topics.RoleWorker, "User:t")); !strings.Contains(got, "--resource-pattern-type prefixed --topic trail-\n") {
		t.Errorf("no right for the source's topics:\n%s", got)
	}
	for _, role := range topics.Roles() {
		if len(topics.ACLs(o, role, "User:t")) == 0 {
			t.Errorf("role %s needs nothing", role)
		}
	}
}

func lines(acls []topics.ACL) string {
	var all []string
	for _, a := range acls {
		all = append(all, a.String())
	}
	return strings.Join(all, "\n")
}

func TestNoConnection(t *testing.T) {
	c := cluster(t)
	cl, adm := connect(t, c, kgo.RequestRetries(0))
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, _, err := topics.Check(ctx, adm, fleet()); err == nil || errors.Is(err, topics.ErrWrong) {
		t.Errorf("Check: %v", err)
	}
	if _, _, err := topics.Create(ctx, adm, fleet()); err == nil {
		t.Error("Create: no error")
	}
	if err := topics.BrokerVersion(ctx, cl); err == nil || errors.Is(err, topics.ErrBroker) {
		t.Errorf("BrokerVersion: %v", err)
	}
}
