//go:build unix

package kafka

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

func fleetTopics(t *testing.T) topics.Options {
	t.Helper()
	return topics.Options{
		Names: topics.Names{Prefix: topicName(t, "fleet")}, Partitions: 3, Sinks: []string{"soc"}, Positions: true,
	}
}

func makeFleetTopics(t *testing.T, adm *kadm.Client, o topics.Options) {
	t.Helper()
	made, _, err := topics.Create(t.Context(), adm, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range made {
		if out.State != topics.Made || len(out.Problems) > 0 {
			t.Fatalf("%+v", out)
		}
	}
}

// A real broker takes every setting, tells it again, and takes records as large
// as is promised; what is set wrong is found.
func TestFleetTopics(t *testing.T) {
	c := shared(t)
	cl := client(t, c, kgo.ProducerBatchMaxBytes(topics.DefaultMaxMessageBytes))
	adm := kadm.NewClient(cl)
	o := fleetTopics(t)
	if err := topics.BrokerVersion(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	if err := topics.OneCluster(t.Context(), adm, admin(t, c)); err != nil {
		t.Error(err)
	}
	planned, _, err := topics.Plan(t.Context(), adm, o)
	if err != nil || planned[0].State != topics.ToMake {
		t.Fatalf("plan: %+v, %v", planned, err)
	}
	makeFleetTopics(t, adm, o)
	problems, layout, err := topics.Check(t.Context(), adm, o)
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0].What, "one broker") || layout.Partitions != 3 {
		t.Errorf("check: %v, %+v, %v", problems, layout, err)
	}
	large := make([]byte, 3<<20)
	if _, err := rand.Read(large); err != nil {
		t.Fatal(err)
	}
	for _, name := range o.Topics() {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: name, Key: []byte("k"), Value: large}).FirstErr(); err != nil {
			t.Errorf("a record of 3 MiB to %s: %v", name, err)
		}
	}
	for _, set := range []struct{ topic, key, value string }{
		{o.Alerts(), "cleanup.policy", "compact"},
		{o.Alerts(), "retention.ms", "1000"},
		{o.Changelog(), "cleanup.policy", "delete"},
		{o.Repartition(), "max.message.bytes", "1000000"},
	} {
		answers, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: set.key, Value: &set.value}}, set.topic)
		if err != nil || answers[0].Err != nil {
			t.Fatal(err, answers)
		}
	}
	if problems, _, err = topics.Check(t.Context(), adm, o); err != nil || strings.Count(topics.Errors(problems).Error(), "--add-config") != 4 {
		t.Errorf("four things are wrong, and %v is found, %v", problems, err)
	}
	again, _, err := topics.Create(t.Context(), adm, o)
	if err != nil || again[0].State != topics.Wrong {
		t.Errorf("create again: %+v, %v", again, err)
	}
}

// With the rights that are printed, and no others, topics are checked and a
// fleet's transactions go through.
func TestFleetRights(t *testing.T) {
	c := shared(t)
	adm := admin(t, c)
	o := fleetTopics(t)
	makeFleetTopics(t, adm, o)
	root := client(t, c)
	if err := root.ProduceSync(t.Context(), &kgo.Record{Topic: o.Repartition(), Value: []byte("match")}).FirstErr(); err != nil {
		t.Fatal(err)
	}

	login := []kgo.Opt{
		kgo.SeedBrokers(c.Addrs(kafkabroker.SASL)...), kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()),
	}
	cl, err := kgo.NewClient(login...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	problems, _, err := topics.Check(t.Context(), kadm.NewClient(cl), o)
	if err != nil || strings.Count(topics.Errors(problems).Error(), "may not see it") != len(o.Topics()) {
		t.Errorf("without rights: %v, %v", problems, err)
	}
	for _, a := range topics.ACLs(o, topics.RoleWorker, "User:"+user) {
		b := kadm.NewACLs().Allow(a.Principal).AllowHosts().Operations(a.Operations...)
		switch a.Resource {
		case topics.Topic:
			b = b.Topics(a.Name)
		case topics.Group:
			b = b.Groups(a.Name)
		case topics.TransactionalID:
			b = b.TransactionalIDs(a.Name)
		case topics.Cluster:
			continue // a broker as new as this one does not ask for it
		}
		pattern := kadm.ACLPatternLiteral
		if a.Prefixed {
			pattern = kadm.ACLPatternPrefixed
		}
		grant(t, adm, b.ResourcePatternType(pattern))
	}
	// The broker hears of rights from the controller, a moment later.
	if !harness.Until(t, 30*time.Second, func() bool {
		problems, _, err = topics.Check(t.Context(), kadm.NewClient(cl), o)
		return err == nil && len(problems) == 1 && problems[0].Topic == "" // of the one broker
	}) {
		t.Errorf("with the rights: %v, %v", problems, err)
	}

	s, err := kgo.NewGroupTransactSession(append(login, kgo.TransactionalID(o.TransactionalIDs()+"alert-0"), kgo.ConsumerGroup(o.AlertGroup()),
		kgo.ConsumeTopics(o.Repartition()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if fetches := s.PollFetches(ctx); fetches.Err() != nil || fetches.NumRecords() != 1 {
		t.Fatalf("poll: %v", fetches.Err())
	}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	for _, name := range o.Topics() {
		if err := s.ProduceSync(ctx, &kgo.Record{Topic: name, Key: []byte("k"), Value: []byte("v")}).FirstErr(); err != nil {
			t.Errorf("write %s: %v", name, err)
		}
	}
	if committed, err := s.End(ctx, kgo.TryCommit); err != nil || !committed {
		t.Errorf("commit: %v, %v", committed, err)
	}
}
