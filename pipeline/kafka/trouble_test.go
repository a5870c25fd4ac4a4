package kafka

import (
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clock is a wall clock that the test turns.
type clock struct{ nanos atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) forward(d time.Duration) { c.nanos.Add(int64(d)) }

func TestIdle(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 9)
	now := &clock{}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now.nanos.Store(start.UnixNano())
	o := options(c, "a")
	o.Now, o.IdleAfter = now.Now, time.Minute
	r := open(t, o, nil)
	r.until("being live", func() bool { return r.live && r.count() == 10 })
	looks := func(n int) { // lets the watcher look n times at least
		t.Helper()
		seen := time.Time{}
		for range n {
			r.until("a look", func() bool {
				r.s.mu.Lock()
				defer r.s.mu.Unlock()
				return !r.s.checked.Equal(seen)
			})
			r.s.mu.Lock()
			seen = r.s.checked
			r.s.mu.Unlock()
			now.forward(time.Millisecond)
		}
	}
	looks(3) // that nothing comes is counted from a look on
	now.forward(59 * time.Second)
	looks(3)
	if len(r.idle) != 0 {
		t.Errorf("idle after 59 s: %v", r.idle)
	}
	now.forward(2 * time.Second)
	r.until("both to be idle", func() bool { return len(r.idle) == 2 })
	for p, at := range r.idle {
		if age := now.Now().Sub(time.Unix(0, at)); age < 0 || age > time.Second {
			t.Errorf("%s is idle at a time %v ago", p, age)
		}
	}

	// A partition that brings records is not idle, however fast they are read.
	produce(t, cl, "a", 0, 10, 10)
	r.untilCount(11)
	looks(2)
	clear(r.idle)
	now.forward(30 * time.Second)
	r.until("the other to be idle still", func() bool { return r.idle["a/1"] >= now.Now().Add(-time.Second).UnixNano() })
	if r.idle["a/0"] != 0 {
		t.Error("idle half a minute after a record")
	}
	now.forward(31 * time.Second)
	r.until("it to be idle again", func() bool { return r.idle["a/0"] != 0 })
	if !r.live {
		t.Error("not live")
	}

	// What was found out a while ago is not news: without a broker nothing is idle or live.
	refuse := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Count: -1, Err: kerr.UnknownServerError})
	if err := refuse.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r.until("the failure", func() bool { return r.s.Health() != nil })
	now.forward(time.Minute)
	clear(r.idle)
	for range 5 {
		if err := r.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r.live || len(r.idle) > 0 {
			t.Errorf("live %v, idle %v without a broker", r.live, r.idle)
		}
	}
	refuse.Remove()
	r.until("being live", func() bool { return r.live })
}

func TestLag(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 1)
	produce(t, kclient(t, c), "a", 0, 0, 99)
	r := open(t, options(c, "a"), nil)
	// Nobody reads: the batches wait.
	waitFor(t, func() bool { return r.metric("trailtide_kafka_lag_records") == 100 })
	r.untilCount(100)
	r.until("no lag", func() bool { return r.metric("trailtide_kafka_lag_records") == 0 })
}

// waitFor polls what no event tells.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatal("waited in vain")
		}
	}
}

// Nothing is lost or read twice while brokers misbehave.
func TestBrokerTrouble(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(c *kfake.Cluster, round int)
	}{
		{"connections cut", func(c *kfake.Cluster, _ int) {
			for _, key := range []kmsg.Key{kmsg.Fetch, kmsg.Metadata, kmsg.Heartbeat, kmsg.ListOffsets} {
				c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
					return nil, errors.New("cut"), true
				})
			}
		}},
		{"leaders move", func(c *kfake.Cluster, round int) {
			if round == 0 {
				knowEpochs(c)
			}
			c.ShufflePartitionLeaders()
		}},
		{"not the leader", func(c *kfake.Cluster, _ int) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "a", Count: 3, Err: kerr.NotLeaderForPartition})
		}},
		{"topic unknown for a moment", func(c *kfake.Cluster, _ int) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch, kmsg.Metadata, kmsg.ListOffsets}, Topic: "a", Count: 3, Err: kerr.UnknownTopicOrPartition})
		}},
		{"coordinator moves", func(c *kfake.Cluster, _ int) { c.RehashCoordinators() }},
		{"member forgotten", func(c *kfake.Cluster, _ int) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "trailtide", Count: 1, Err: kerr.UnknownMemberID})
		}},
		{"fetch fails", func(c *kfake.Cluster, _ int) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "a", Count: 3, Err: kerr.UnknownServerError})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cluster(t)
			newTopic(t, c, "a", 3)
			cl := kclient(t, c)
			r := open(t, options(c, "a"), nil)
			const rounds, each = 6, 20
			for round := range rounds {
				for p := range int32(3) {
					produce(t, cl, "a", p, round*each, (round+1)*each-1)
				}
				tt.make(c, round)
				r.untilCount(3 * each * (round + 1))
			}
			for p := range int32(3) {
				r.want("a", p, 0, rounds*each-1)
			}
			r.until("health and being live", func() bool { return r.live && r.s.Health() == nil })
			if lost := r.metric("trailtide_kafka_records_lost_total") + r.metric("trailtide_kafka_rewinds_total"); lost != 0 {
				t.Errorf("%v losses and rewinds are told, and there were none", lost)
			}
		})
	}
}

// knowEpochs has the cluster answer that no leader epoch has ended before
// whatever was consumed. A leader knows its own epoch even before its first
// batch; the fake one does not, and would answer that it has no record of it.
func knowEpochs(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req, resp := kreq.(*kmsg.OffsetForLeaderEpochRequest), kreq.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		for _, rt := range req.Topics {
			topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
			topic.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				p := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				p.Partition, p.LeaderEpoch, p.EndOffset = rp.Partition, rp.LeaderEpoch, 1<<40
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
}

// A broker that does not know the epoch that was consumed may have lost data:
// some is read again, and nothing is skipped.
func TestEpochNotKnown(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 1)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 19)
	r := open(t, options(c, "a"), nil)
	r.untilCount(20)
	c.ShufflePartitionLeaders()
	r.until("the loss to be told", func() bool { return r.logged("may have lost") == 1 })
	produce(t, cl, "a", 0, 20, 29)
	r.until("what comes later", func() bool { return slices.Contains(r.got["a/0"], value("a", 0, 29)) })
	again := r.got["a/0"][20:]
	first := slices.Index(r.got["a/0"], again[0]) // goes on there
	r.got["a/0"] = append(r.got["a/0"][:first], again...)
	r.want("a", 0, 0, 29)
	if got, want := r.metric("trailtide_kafka_records_truncated_total"), float64(20-first); got != want {
		t.Errorf("records_truncated_total %v, want %v", got, want)
	}
	r.until("being live", func() bool { return r.live && r.s.Health() == nil })
	if pos, err := decodePosition(r.positions["a/0"]); err != nil || pos.offset != 30 {
		t.Errorf("position %+v, %v", pos, err)
	}
}

func TestAccessRefusedAndBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault kfake.Fault
	}{
		{"topic", kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch, kmsg.Metadata, kmsg.ListOffsets}, Topic: "a", Err: kerr.TopicAuthorizationFailed}},
		{"group", kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup, kmsg.Heartbeat, kmsg.FindCoordinator}, Group: "trailtide", Err: kerr.GroupAuthorizationFailed}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cluster(t)
			newTopic(t, c, "a", 1)
			cl := kclient(t, c)
			produce(t, cl, "a", 0, 0, 9)
			r := open(t, options(c, "a"), nil)
			r.until("being live", func() bool { return r.live && r.count() == 10 })
			tt.fault.Count = -1
			refuse := c.Fault(tt.fault)
			r.until("the refusal to be told", func() bool {
				err := r.s.Health()
				return err != nil && (errors.Is(err, tt.fault.Err) || strings.Contains(err.Error(), "partitions"))
			})
			for range 10 {
				if err := r.step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			refuse.Remove()
			produce(t, kclient(t, c), "a", 0, 10, 19)
			r.untilCount(20)
			r.until("health", func() bool { return r.live && r.s.Health() == nil })
			r.want("a", 0, 0, 19)
			if n := r.logged("cannot be read"); n > 2 {
				t.Errorf("one outage is logged %d times: %v", n, r.logs.All())
			}
		})
	}
}

// A client that cannot find out where to begin does not begin anywhere else.
func TestBeginIsTriedAgain(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 19)
	produce(t, cl, "a", 1, 0, 19)
	refuse := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "a", Count: -1, Err: kerr.TopicAuthorizationFailed})
	r := open(t, options(c, "a"), nil)
	if err := refuse.Wait(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	r.until("the failure to be told", func() bool { return errors.Is(r.s.Health(), kerr.TopicAuthorizationFailed) })
	if r.count() != 0 {
		t.Errorf("read %v", r.got)
	}
	refuse.Remove()
	r.untilCount(40)
	r.want("a", 0, 0, 19)
	r.want("a", 1, 0, 19)
	r.until("health", func() bool { return r.s.Health() == nil && r.live })
}

func TestBrokerRestart(t *testing.T) {
	dir := t.TempDir()
	ports := freePorts(t, 2)
	start := func() *kfake.Cluster {
		return cluster(t, kfake.NumBrokers(2), kfake.Ports(ports...), kfake.DataDir(dir))
	}
	c := start()
	newTopic(t, c, "a", 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 49)
	produce(t, cl, "a", 1, 0, 49)
	r := open(t, options(c, "a"), nil)
	r.untilCount(100)
	r.until("health", func() bool { return r.s.Health() == nil })
	c.Close()
	r.until("the outage to be told", func() bool { return r.s.Health() != nil })
	if r.live {
		t.Error("live without a broker")
	}
	start()
	produce(t, cl, "a", 0, 50, 99)
	produce(t, cl, "a", 1, 50, 99)
	r.untilCount(200)
	r.until("health and being live", func() bool { return r.s.Health() == nil && r.live })
	r.want("a", 0, 0, 99)
	r.want("a", 1, 0, 99)
	if n := r.logged("cannot be read"); n != 1 {
		t.Errorf("the outage is logged %d times", n)
	}
	if n := r.logged("can be read again"); n != 1 {
		t.Errorf("its end is logged %d times", n)
	}
}

func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func TestBrokerThatComesLater(t *testing.T) {
	ports := freePorts(t, 1)
	o := options(cluster(t), "a")
	o.Client.Brokers = []string{(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[0]}).String()}
	r := open(t, o, nil)
	r.until("the outage to be told", func() bool { return r.s.Health() != nil })
	c := cluster(t, kfake.NumBrokers(1), kfake.Ports(ports...))
	r.until("the missing topic to be told", func() bool {
		err := r.s.Health()
		return err != nil && err.Error() == "topics that do not exist: a"
	})
	newTopic(t, c, "a", 1)
	produce(t, kclient(t, c), "a", 0, 0, 9)
	r.untilCount(10)
	r.until("health", func() bool { return r.s.Health() == nil && r.live })
}

// Committed and Health answer while Read waits.
func TestNothingBlocksEachOther(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 1)
	r := open(t, options(c, "a"), nil)
	r.until("being live", func() bool { return r.live })
	stop := r.background()
	defer stop()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				r.s.Committed(map[string][]byte{"a/0": position{offset: int64(i), epoch: -1}.encode()})
				_ = r.s.Health()
			}
		})
	}
	wg.Wait()
}
