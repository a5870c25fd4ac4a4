package kafka

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Every member knows every partition, be it another's, and a member without one
// goes on telling nothing.
func TestSharedWatermark(t *testing.T) {
	c := sharedCluster(t, 1)
	newTopic(t, c, "b", 1)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 9)
	o := sharedOptions(c, "a", "b")
	o.IdleAfter = 50 * time.Millisecond
	a := join(t, "a", o)
	a.until("its partitions", func() bool { return len(a.s.Assigned()) == 2 && a.live })
	b, d := join(t, "b", o), join(t, "d", o)
	stopA, stopB := a.run(), b.run()
	defer stopA()
	defer stopB()
	d.until("all partitions", func() bool { return len(d.open) == 2 })
	waitFor(t, func() bool {
		return len(a.s.Assigned())+len(b.s.Assigned())+len(d.s.Assigned()) == 2 && len(a.s.Assigned()) < 2
	})
	idler := d
	for _, m := range []*member{a, b} {
		if len(m.s.Assigned()) == 0 {
			idler = m
		}
	}
	map[*member]func(){a: stopA, b: stopB, d: func() {}}[idler]()
	if idler != d {
		defer d.run()()
	}
	clear(idler.idle)
	for range 10 {
		if err := idler.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if idler.live || len(idler.idle) > 0 {
			t.Errorf("live %v, idle %v without partitions", idler.live, idler.idle)
		}
	}
	if err := idler.s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	addPartitions(t, c, "a", 2)
	idler.until("the new partition", func() bool { return idler.open["a/1"] })
	waitFor(t, func() bool { // two of the three have two
		n := 0
		for _, m := range []*member{a, b, d} {
			n += len(m.s.Assigned())
		}
		return n == 3 || idler.step(t.Context()) != nil
	})
	if err := c.DeleteTopic("b"); err != nil {
		t.Fatal(err)
	}
	idler.until("the deleted topic to be closed", func() bool {
		return slices.Equal(slices.Sorted(maps.Keys(idler.open)), []string{"a/0", "a/1"})
	})
	if err := idler.s.Health(); err == nil || err.Error() != "topics that do not exist: b" {
		t.Errorf("health: %v", err)
	}
}

func TestSharedIdle(t *testing.T) {
	c := sharedCluster(t, 2)
	produce(t, kclient(t, c), "a", 0, 0, 9)
	o := sharedOptions(c, "a")
	o.IdleAfter = 100 * time.Millisecond
	a := join(t, "a", o)
	a.until("both to be idle", func() bool { return a.live && len(a.idle) == 2 })
}

// Nothing is lost or committed twice while brokers misbehave.
func TestSharedBrokerTrouble(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(c *kfake.Cluster, round int)
	}{
		{"connections cut", func(c *kfake.Cluster, _ int) {
			for _, key := range []kmsg.Key{kmsg.Fetch, kmsg.Metadata, kmsg.Heartbeat, kmsg.ListOffsets, kmsg.OffsetFetch, kmsg.TxnOffsetCommit} {
				c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("cut"), true })
			}
		}},
		{"leaders move", func(c *kfake.Cluster, round int) {
			if round == 0 {
				knowEpochs(c)
			}
			c.ShufflePartitionLeaders()
		}},
		{"coordinator moves", func(c *kfake.Cluster, _ int) { c.RehashCoordinators() }},
		{"member forgotten", func(c *kfake.Cluster, _ int) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "trailtide", Count: 1, Err: kerr.UnknownMemberID})
		}},
		{"offsets refused for a moment", func(c *kfake.Cluster, _ int) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "trailtide", Count: 1, Err: kerr.UnknownMemberID},
				kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "trailtide", Count: 2, Err: kerr.CoordinatorLoadInProgress})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cluster(t)
			newTopic(t, c, "a", 3)
			newTopic(t, c, outTopic, 2)
			cl := kclient(t, c)
			f := follow(t, c)
			a := join(t, "a", sharedOptions(c, "a"))
			b := join(t, "b", sharedOptions(c, "a"))
			defer b.run()()
			stop := a.run()
			defer stop()
			const rounds, each = 5, 20
			for round := range rounds {
				for p := range int32(3) {
					produce(t, cl, "a", p, round*each, (round+1)*each-1)
				}
				tt.make(c, round)
				f.until(3 * each * (round + 1))
			}
			for p := range int32(3) {
				f.want("a", p, 0, rounds*each-1)
			}
			stop()
			a.until("health", func() bool { return a.s.Health() == nil })
		})
	}
}

// The client does not give up what it is refused; one outage is told once.
func TestSharedAccessRefusedAndBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault kfake.Fault
	}{
		{"topic", kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch, kmsg.Metadata, kmsg.ListOffsets}, Topic: "a", Err: kerr.TopicAuthorizationFailed}},
		{"group", kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup, kmsg.Heartbeat, kmsg.FindCoordinator, kmsg.OffsetFetch}, Group: "trailtide", Err: kerr.GroupAuthorizationFailed}},
		{"brokers", kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch, kmsg.Metadata, kmsg.ListOffsets, kmsg.Heartbeat}, Err: kerr.UnknownServerError}},
	} {
		for _, when := range []string{"running", "beginning"} {
			t.Run(tt.name+" "+when, func(t *testing.T) {
				c := sharedCluster(t, 2)
				cl := kclient(t, c)
				produce(t, cl, "a", 0, 0, 9)
				f := follow(t, c)
				o := sharedOptions(c, "a")
				a := join(t, "a", o)
				a.standing(c, 10, 0)
				tt.fault.Count = -1
				if when == "beginning" {
					a.close()
				}
				refuse := c.Fault(tt.fault)
				if when == "beginning" {
					a = join(t, "again", o)
				}
				a.until("the refusal to be told", func() bool { return a.s.Health() != nil })
				for range 10 {
					if err := a.step(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				refuse.Remove()
				produce(t, kclient(t, c), "a", 0, 10, 19)
				produce(t, kclient(t, c), "a", 1, 0, 9)
				a.standing(c, 20, 10)
				a.until("health", func() bool { return a.live && a.s.Health() == nil })
				f.until(30)
				f.want("a", 0, 0, 19)
				f.want("a", 1, 0, 9)
				if n := a.logged("cannot be read"); n > 2 {
					t.Errorf("one outage is logged %d times: %v", n, a.logs.All())
				}
			})
		}
	}
}

// The client leaves a partition out of its assignment for good when its offset
// is refused: it is made to take it up again.
func TestSharedOffsetRefused(t *testing.T) {
	for _, how := range []string{"named", "regex"} {
		t.Run(how, func(t *testing.T) {
			c := sharedCluster(t, 2)
			cl := kclient(t, c)
			produce(t, cl, "a", 0, 0, 9)
			produce(t, cl, "a", 1, 0, 9)
			refuse := c.Fault(kfake.Fault{
				Keys: []kmsg.Key{kmsg.OffsetFetch}, Topic: "a", Partitions: []int32{1}, Count: -1, Err: kerr.TopicAuthorizationFailed,
			})
			f := follow(t, c)
			o := sharedOptions(c, "a")
			if how == "regex" {
				o.Topics, o.TopicRegex = nil, "a"
			}
			a := join(t, "a", o)
			a.until("the refusal to be told", func() bool { return a.s.Health() != nil })
			if err := refuse.Wait(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
			refuse.Remove()
			a.standing(c, 10, 10)
			f.until(20)
			f.want("a", 0, 0, 9)
			f.want("a", 1, 0, 9)
			a.until("health", func() bool { return a.live && a.s.Health() == nil })
		})
	}
}

func TestSharedOptions(t *testing.T) {
	o := sharedOptions(sharedCluster(t, 1), "a")
	o.DrainWithin = o.SessionTimeout
	if _, err := NewShared(o); err == nil || err.Error() != "drain_within: must be less than session_timeout, 1.5s" {
		t.Errorf("%v", err)
	}
	o.DrainWithin = 0
	s, err := NewShared(o)
	if err != nil || s.o.DrainWithin != 750*time.Millisecond {
		t.Fatalf("%v, drain within %v", err, s.o.DrainWithin)
	}
	if err := s.Start(t.Context(), map[string][]byte{"shard-1": {1}}); err == nil {
		t.Error("positions of another source are taken")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
