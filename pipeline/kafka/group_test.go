package kafka

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

func TestReadCommitted(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 1)
	cl := kclient(t, c, kgo.TransactionalID("writer"))
	write := func(first, last int, end kgo.TransactionEndTry) {
		t.Helper()
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, cl, "a", 0, first, last)
		if err := txn.Flush(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 9, kgo.TryCommit)
	write(100, 109, kgo.TryAbort)
	write(10, 19, kgo.TryCommit)
	write(200, 209, kgo.TryAbort)

	r := open(t, options(c, "a"), nil)
	r.until("being live behind transaction markers", func() bool { return r.live })
	r.want("a", 0, 0, 19)
	if lost := r.metric("trailtide_kafka_records_lost_total"); lost != 0 {
		t.Errorf("%v records count as lost", lost)
	}
	// The markers may come in a batch of their own, and the lag is looked at now and then.
	r.until("standing behind the last marker without lag", func() bool {
		pos, err := decodePosition(r.positions["a/0"])
		return err == nil && pos.offset == 44 && r.metric("trailtide_kafka_lag_records") == 0
	})

	// While a transaction is open, not everything is read.
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, cl, "a", 0, 20, 29)
	r.until("waiting for the transaction", func() bool { return !r.live })
	r.want("a", 0, 0, 19)
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	r.until("being live again", func() bool { return r.live })
	r.want("a", 0, 0, 29)

	o := options(c, "a")
	o.Isolation, o.Group = "read_uncommitted", "another"
	all := open(t, o, nil)
	all.until("being live", func() bool { return all.live })
	if all.count() != 50 {
		t.Errorf("read_uncommitted read %d of 50", all.count())
	}
}

func TestSecondMember(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 4)
	cl := kclient(t, c)
	n := 0
	more := func() {
		for p := range int32(4) {
			produce(t, cl, "a", p, n, n+24)
		}
		n += 25
	}
	more()
	r := open(t, options(c, "a"), nil)
	r.untilCount(4 * n)

	other, err := kgo.NewClient(
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumerGroup("trailtide"), kgo.ConsumeTopics("a"),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.ClientID("intruder"), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.HeartbeatInterval(50*time.Millisecond), kgo.DisableAutoCommit(),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	named := func() bool {
		err := r.s.Health()
		return err != nil && strings.Contains(err.Error(), `client "intruder"`)
	}
	r.until("the other to be named", named)
	if err := r.s.Health(); !strings.Contains(err.Error(), "2 of 4 partitions are held by others") || !strings.Contains(err.Error(), "holds 2") {
		t.Errorf("health: %v", err)
	}
	before := r.count()
	more()
	for range 20 {
		if err := r.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r.live {
			t.Error("live without every partition")
		}
	}
	if r.count() != before {
		t.Errorf("%d records were read while partitions were another's", r.count()-before)
	}
	if got := r.metric("trailtide_kafka_partitions_assigned"); got != 2 {
		t.Errorf("assigned %v", got)
	}
	other.Close()
	r.untilCount(4 * n)
	r.until("being live", func() bool { return r.live })
	for p := range int32(4) {
		r.want("a", p, 0, n-1)
	}
	if err := r.s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
}

// With start: latest, a source that gets its partitions in pieces begins all
// of them where it began the first.
func TestLatestInPieces(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 9)
	produce(t, cl, "a", 1, 0, 9)
	other, err := kgo.NewClient(
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumerGroup("trailtide"), kgo.ConsumeTopics("a"),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.MetadataMinAge(50*time.Millisecond), kgo.HeartbeatInterval(50*time.Millisecond),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := c.WaitGroupStable(t.Context(), "trailtide", 1); err != nil {
		t.Fatal(err)
	}
	o := options(c, "a")
	o.Start = "latest"
	r := open(t, o, nil)
	r.until("one partition", func() bool { return r.metric("trailtide_kafka_partitions_assigned") == 1 && len(r.positions) == 2 })
	if len(r.open) != 0 {
		t.Errorf("opened %v before all are there", r.open)
	}
	produce(t, cl, "a", 0, 10, 19)
	produce(t, cl, "a", 1, 10, 19)
	other.Close()
	r.untilCount(20)
	r.want("a", 0, 10, 19)
	r.want("a", 1, 10, 19)
}

func TestGroupSeesTheLag(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 49)
	r := open(t, options(c, "a"), nil)
	r.untilCount(50)
	adm := kadm.NewClient(cl)
	lag := func() int64 {
		lags, err := adm.Lag(t.Context(), "trailtide")
		if err == nil {
			err = lags.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
		return lags["trailtide"].Lag.Total()
	}
	r.until("the group to stand at the end", func() bool { return lag() == 0 })

	// What the engine has not made durable is not reported.
	produce(t, cl, "a", 1, 0, 9)
	ctx := t.Context()
	for read := 0; read < 10; {
		b, err := r.s.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if read += len(b.Records); len(b.Records) > 0 {
			r.positions["a/1"] = b.Places.Position(len(b.Records) - 1)
			b.Release()
		}
	}
	if got := groupOffset(t, c, "a", 1); got > 0 {
		t.Errorf("the group stands at %d before the commit", got)
	}
	r.s.Committed(r.positions)
	if err := r.s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	r.closed = true
	if got := groupOffset(t, c, "a", 1); got != 10 {
		t.Errorf("the group stands at %d after Close, want 10", got)
	}
}

// A group that cannot be written to hinders nothing, and is written to later.
func TestGroupCommitFails(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 1)
	produce(t, kclient(t, c), "a", 0, 0, 49)
	refuse := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: "trailtide", Err: kerr.GroupAuthorizationFailed, Count: -1})
	r := open(t, options(c, "a"), nil)
	r.untilCount(50)
	r.until("a failure", func() bool { return r.metric("trailtide_kafka_group_commit_failures_total") > 0 })
	if err := r.s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	refuse.Remove()
	r.until("the group to be written to", func() bool { return groupOffset(t, c, "a", 0) == 50 })
}

func TestCloseWithoutBrokers(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 1)
	produce(t, kclient(t, c), "a", 0, 0, 9)
	r := open(t, options(c, "a"), nil)
	r.untilCount(10)
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	r.closed = true
	if err := r.s.Close(ctx); err == nil {
		t.Error("positions could not be written, and nobody is told")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("Close took %v", took)
	}
}
