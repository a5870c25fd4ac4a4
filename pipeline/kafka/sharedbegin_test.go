package kafka

import (
	"errors"
	"fmt"
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

// commitsOf are the group's offsets of topic a.
func commitsOf(c *kfake.Cluster) map[int32]kfake.GroupCommit {
	if info := c.GroupInfo("trailtide"); info != nil {
		return info.Commits["a"]
	}
	return nil
}

// standing waits until the group stands at an offset of each partition of a.
func (m *member) standing(c *kfake.Cluster, offsets ...int64) {
	m.t.Helper()
	m.until(fmt.Sprint("the group to stand at ", offsets), func() bool {
		commits := commitsOf(c)
		for p, want := range offsets {
			got, ok := commits[int32(p)]
			if !ok || got.Offset != want {
				return false
			}
		}
		return true
	})
}

func TestSharedStart(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		start string
		first int
	}{
		{"", 0},
		{"latest", 10},
		{at.Add(5 * time.Minute).Format(time.RFC3339), 5},
	} {
		t.Run(tt.start, func(t *testing.T) {
			c := sharedCluster(t, 2)
			cl := kclient(t, c)
			for n := range 10 {
				for p := range int32(2) {
					rec := &kgo.Record{
						Topic: "a", Partition: p, Value: []byte(value("a", p, n)), Timestamp: at.Add(time.Duration(n) * time.Minute),
					}
					if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
			}
			f := follow(t, c)
			o := sharedOptions(c, "a")
			o.Start = tt.start
			a := join(t, "a", o)
			// Before the first record, too, where they begin is durable.
			a.standing(c, 10, 10)
			a.close()
			produce(t, cl, "a", 0, 10, 14)
			produce(t, cl, "a", 1, 10, 14)
			b := join(t, "b", o)
			b.untilRead(10)
			f.until(2 * (15 - tt.first))
			f.want("a", 0, tt.first, 14)
			f.want("a", 1, tt.first, 14)
		})
	}
}

// A beginning that was not committed is none: the next to begin looks anew.
func TestSharedBeginningNotCommitted(t *testing.T) {
	c := sharedCluster(t, 1)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 9)
	f := follow(t, c)
	o := sharedOptions(c, "a")
	o.Start = "latest"
	a := join(t, "a", o)
	a.hold = func(string) bool { return true }
	a.until("a beginning", func() bool { return len(a.begins) == 1 })
	a.close()
	produce(t, cl, "a", 0, 10, 19)
	b := join(t, "b", o)
	b.standing(c, 20)
	produce(t, cl, "a", 0, 20, 29)
	b.untilRead(10)
	f.until(10)
	f.want("a", 0, 20, 29)
}

// Who takes a partition over can commit where it stands before anything comes of
// it: only so may its time be told.
func TestSharedSilentPartitionTakenOver(t *testing.T) {
	c := sharedCluster(t, 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 9)
	a := join(t, "a", sharedOptions(c, "a"))
	a.untilRead(10)
	a.standing(c, 10, 0)
	a.close()
	b := join(t, "b", sharedOptions(c, "a"))
	b.hold = func(string) bool { return true }
	b.until("a position of each partition", func() bool { return len(b.begins) == 2 })
	if offsets, lost := b.s.Claim(b.begins); offsets == nil || len(offsets.At["a"]) != 2 || len(lost) > 0 {
		t.Errorf("it may commit %+v, and has lost %v", offsets, lost)
	}
}

// With start: latest, what is made while the group reads is not skipped, and
// what was there is not read, whoever of the group finds it.
func TestSharedNewPartition(t *testing.T) {
	c := sharedCluster(t, 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 9)
	produce(t, cl, "a", 1, 0, 9)
	f := follow(t, c)
	o := sharedOptions(c, "a")
	o.Start = "latest"
	a := join(t, "a", o)
	a.hold = func(p string) bool { return p == "a/1" } // as if somebody had died before its first commit
	a.until("one beginning", func() bool { return len(a.kept) == 0 && len(a.begins) == 1 && commitsOf(c)[0].Offset == 10 })
	a.close()
	addPartitions(t, c, "a", 3)
	produce(t, kclient(t, c), "a", 2, 0, 9)
	b := join(t, "b", o)
	b.untilRead(10)
	f.until(10)
	f.want("a", 2, 0, 9)
	b.standing(c, 10, 10, 10)
	stop := b.run()
	defer stop()
	d := join(t, "d", o)
	defer d.run()()
	addPartitions(t, c, "a", 5)
	late := kclient(t, c)
	produce(t, late, "a", 3, 0, 9)
	produce(t, late, "a", 4, 0, 9)
	f.until(30)
	f.want("a", 3, 0, 9)
	f.want("a", 4, 0, 9)
}

func commitRaw(t *testing.T, c *kfake.Cluster, offsets ...kadm.Offset) {
	t.Helper()
	all := kadm.Offsets{}
	for _, o := range offsets {
		all.Add(o)
	}
	if err := kadm.NewClient(kclient(t, c)).CommitAllOffsets(t.Context(), "trailtide", all); err != nil {
		t.Fatal(err)
	}
}

func TestSharedOffsetsOfOthers(t *testing.T) {
	c := sharedCluster(t, 3)
	cl := kclient(t, c)
	for p := range int32(3) {
		produce(t, cl, "a", p, 0, 9)
	}
	stale := encodeMetadata(position{offset: 2, epoch: 0, topic: c.TopicInfo("a").TopicID}, 3)
	commitRaw(t, c,
		kadm.Offset{Topic: "a", Partition: 0, At: 4, LeaderEpoch: -1},
		kadm.Offset{Topic: "a", Partition: 1, At: 7, LeaderEpoch: -1, Metadata: stale})
	f := follow(t, c)
	o := sharedOptions(c, "a")
	o.Start = "latest"
	a := join(t, "a", o)
	a.untilRead(6 + 3 + 10)
	f.until(6 + 3 + 10)
	f.want("a", 0, 4, 9)
	f.want("a", 1, 7, 9)
	f.want("a", 2, 0, 9) // where others have committed, nothing is skipped
}

// What a newer version has written is not guessed at.
func TestSharedNewerMetadata(t *testing.T) {
	c := sharedCluster(t, 1)
	produce(t, kclient(t, c), "a", 0, 0, 9)
	commitRaw(t, c, kadm.Offset{Topic: "a", At: 4, LeaderEpoch: -1, Metadata: "trailtide/2;x"})
	f := follow(t, c)
	a := join(t, "a", sharedOptions(c, "a"))
	a.until("the refusal", func() bool {
		err := a.s.Health()
		return err != nil && strings.Contains(err.Error(), `format "2"`)
	})
	for range 10 {
		if err := a.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.read) > 0 {
		t.Errorf("read %v", a.read)
	}
	if n := a.logged("cannot be read"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	commitForced(t, c)
	a.untilRead(6)
	f.until(6)
	f.want("a", 0, 4, 9)
	a.until("health", func() bool { return a.s.Health() == nil })
}

// commitForced has the broker answer as if a tool had set the offset while the
// group is active, which brokers refuse to tools.
func commitForced(t *testing.T, c *kfake.Cluster) {
	t.Helper()
	var done bool
	c.ControlKey(int16(kmsg.OffsetFetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		if done {
			return nil, nil, false
		}
		c.KeepControl()
		req, resp := kreq.(*kmsg.OffsetFetchRequest), kreq.ResponseKind().(*kmsg.OffsetFetchResponse)
		if len(req.Groups) != 1 || len(req.Groups[0].Topics) != 1 {
			return nil, nil, false
		}
		g := kmsg.NewOffsetFetchResponseGroup()
		g.Group = req.Groups[0].Group
		rt := kmsg.NewOffsetFetchResponseGroupTopic()
		rt.Topic, rt.TopicID = req.Groups[0].Topics[0].Topic, req.Groups[0].Topics[0].TopicID
		rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		rp.Offset, rp.LeaderEpoch = 4, -1
		rt.Partitions = append(rt.Partitions, rp)
		g.Topics = append(g.Topics, rt)
		resp.Groups = append(resp.Groups, g)
		done = true
		return resp, nil, true
	})
}

// The open transaction of a dead owner is waited out, its first one too.
func TestSharedWaitsForOpenTransaction(t *testing.T) {
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		t.Run(fmt.Sprint(end), func(t *testing.T) {
			c := sharedCluster(t, 1)
			produce(t, kclient(t, c), "a", 0, 0, 9)
			dead := kclient(t, c, kgo.TransactionalID("dead"))
			if err := dead.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			produce(t, dead, outTopic, 1, 0, 0)
			if err := txn.Flush(t.Context(), dead); err != nil {
				t.Fatal(err)
			}
			pendingOffset(t, c, dead, 6)

			f := follow(t, c)
			a := join(t, "a", sharedOptions(c, "a"))
			a.until("an assignment", func() bool { return len(a.s.Assigned()) == 1 })
			for range 20 {
				if err := a.step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if len(a.read) > 0 {
				t.Errorf("read %v while the transaction is open", a.read)
			}
			if err := a.s.Health(); err != nil {
				t.Errorf("health: %v", err)
			}
			if err := dead.EndTransaction(t.Context(), end); err != nil {
				t.Fatal(err)
			}
			first := 0
			if end == kgo.TryCommit {
				first = 6
			}
			a.untilRead(10 - first)
			f.until(10 - first)
			f.want("a", 0, first, 9)
		})
	}
}

func pendingOffset(t *testing.T, c *kfake.Cluster, cl *kgo.Client, offset int64) {
	t.Helper()
	id, epoch, err := cl.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = "dead", id, epoch, "trailtide"
	if resp, err := add.RequestWith(t.Context(), cl); err != nil || resp.ErrorCode != 0 {
		t.Fatal(resp, err)
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.Generation = "dead", id, epoch, "trailtide", -1
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic, rt.TopicID = "a", c.TopicInfo("a").TopicID
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset, rp.LeaderEpoch = offset, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A topic made again is another topic: it is read from its start.
func TestSharedTopicMadeAgain(t *testing.T) {
	for _, how := range []string{"running", "regex", "stopped"} {
		t.Run(how, func(t *testing.T) {
			c := sharedCluster(t, 2)
			cl := kclient(t, c)
			produce(t, cl, "a", 0, 0, 9)
			produce(t, cl, "a", 1, 0, 9)
			o := sharedOptions(c, "a")
			o.Start = "latest"
			commitRaw(t, c, kadm.Offset{Topic: "a", Partition: 0}, kadm.Offset{Topic: "a", Partition: 1})
			if how == "regex" {
				o.Topics, o.TopicRegex = nil, "a"
			}
			m := join(t, "m1", o)
			m.untilRead(20)
			m.standing(c, 10, 10)
			if how == "stopped" {
				m.close()
			}
			old := commitsOf(c)
			if err := c.DeleteTopic("a"); err != nil {
				t.Fatal(err)
			}
			newTopic(t, c, "a", 2)
			late := kclient(t, c)
			produce(t, late, "a", 0, 100, 129)
			produce(t, late, "a", 1, 100, 129)
			if how == "stopped" {
				// A broker forgets the offsets of a deleted topic, in its own time.
				for p, o := range old {
					commitRaw(t, c, kadm.Offset{Topic: "a", Partition: p, At: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata})
				}
				m = join(t, "m2", o)
			}
			f := follow(t, c)
			m.until("what was written to the new topic", func() bool { return strings.Count(strings.Join(m.read, " ")+" ", ":1") >= 60 })
			f.until(80)
			for p := range int32(2) {
				f.got[fmt.Sprint("a/", p)] = f.got[fmt.Sprint("a/", p)][10:]
				f.want("a", p, 100, 129)
			}
			m.until("health", func() bool { return m.s.Health() == nil && m.live })
		})
	}
}

func TestMetadata(t *testing.T) {
	pos := position{offset: 1 << 40, epoch: 7, topic: kadm.TopicID{1, 2, 3}}
	s := encodeMetadata(pos, 12)
	if got, born, err := decodeMetadata(s); err != nil || got != pos || born != 12 {
		t.Errorf("%q: %+v, %d, %v", s, got, born, err)
	}
	for _, s := range []string{"", "x", "trailtid"} {
		if _, _, err := decodeMetadata(s); !errors.Is(err, errForeign) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{
		"trailtide/", "trailtide/2;1;AQ", "trailtide/1", "trailtide/1;", "trailtide/1;1", "trailtide/1;1;", "trailtide/1;-1;AQAB",
		"trailtide/1;x;AQ", "trailtide/1;1;!", s[:len(s)-2], s + "AA", strings.Replace(s, ";12;", ";99999999999;", 1),
	} {
		if _, _, err := decodeMetadata(s); err == nil || errors.Is(err, errForeign) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add(encodeMetadata(position{offset: 1, epoch: -1}, 3))
	f.Add("trailtide/1;0;AQ")
	f.Add("consumer of somebody else")
	f.Fuzz(func(t *testing.T, s string) {
		pos, born, err := decodeMetadata(s)
		if err != nil {
			return
		}
		again, n, err := decodeMetadata(encodeMetadata(pos, born))
		if err != nil || again != pos || n != born {
			t.Errorf("%q: %+v, %d; again %+v, %d, %v", s, pos, born, again, n, err)
		}
	})
}

func TestHeldPosition(t *testing.T) {
	pos := position{offset: 300, epoch: 2, topic: kadm.TopicID{9}}
	b := pos.encodeHeld(1 << 40)
	if got, owner, err := decodeHeld(b); err != nil || got != pos || owner != 1<<40 {
		t.Errorf("%+v, %d, %v", got, owner, err)
	}
	if _, err := decodePosition(b); err == nil {
		t.Error("a position with an ownership passes for a durable one")
	}
	for _, b := range [][]byte{nil, pos.encode(), b[:len(b)-1], {heldPosition}, append([]byte{heldPosition, 0}, pos.encode()...)} {
		if _, _, err := decodeHeld(b); err == nil {
			t.Errorf("%x passes for a position with an ownership", b)
		}
	}
}
