package kafka

import "testing"

func TestRetentionRemovesUnread(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start int64 // of the log
		lost  float64
	}{{"some", 70, 50}, {"all", 100, 80}} {
		t.Run(tt.name, func(t *testing.T) {
			c := cluster(t)
			newTopic(t, c, "a", 1)
			cl := kclient(t, c)
			produce(t, cl, "a", 0, 0, 99)
			if err := c.DeleteRecords("a", 0, tt.start); err != nil {
				t.Fatal(err)
			}
			r := open(t, options(c, "a"), map[string][]byte{"a/0": position{offset: 20, epoch: -1}.encode()})
			r.until("being live", func() bool { return r.live })
			r.want("a", 0, int(tt.start), 99)
			if got := r.metric("trailtide_kafka_records_lost_total"); got != tt.lost {
				t.Errorf("records_lost_total is %v, want %v", got, tt.lost)
			}
			if n := r.logged("retention removed"); n != 1 {
				t.Errorf("the loss is logged %d times", n)
			}
			if pos, err := decodePosition(r.positions["a/0"]); err != nil || pos.offset != 100 {
				t.Errorf("position %+v, %v", pos, err)
			}
			produce(t, cl, "a", 0, 100, 109)
			r.until("what comes later", func() bool { return r.count() == 110-int(tt.start) })
			if got := r.metric("trailtide_kafka_records_lost_total"); got != tt.lost {
				t.Errorf("records_lost_total grows to %v", got)
			}
		})
	}
}

func TestTopicDeleted(t *testing.T) {
	for _, how := range []string{"named", "regex"} {
		t.Run(how, func(t *testing.T) {
			c := cluster(t)
			newTopic(t, c, "a", 2)
			newTopic(t, c, "b", 1)
			cl := kclient(t, c)
			produce(t, cl, "a", 0, 0, 9)
			produce(t, cl, "b", 0, 0, 9)
			o := options(c, "a", "b")
			if how == "regex" {
				o.Topics, o.TopicRegex = nil, "[ab]"
			}
			o.Start = "latest" // what is made while the source runs is read from its start all the same
			r := open(t, o, map[string][]byte{
				"a/0": position{0, -1, c.TopicInfo("a").TopicID}.encode(), "a/1": position{0, -1, c.TopicInfo("a").TopicID}.encode(),
				"b/0": position{0, -1, c.TopicInfo("b").TopicID}.encode(),
			})
			r.until("being live", func() bool { return r.live && r.count() == 20 })
			if err := c.DeleteTopic("a"); err != nil {
				t.Fatal(err)
			}
			r.until("its partitions to be closed", func() bool { return !r.open["a/0"] && !r.open["a/1"] })
			produce(t, cl, "b", 0, 10, 19)
			r.untilCount(30)
			if !r.open["b/0"] {
				t.Error("the other topic is closed too")
			}
			if err := r.s.Health(); how == "named" && (err == nil || err.Error() != "topics that do not exist: a") {
				t.Errorf("health: %v", err)
			}
			clear(r.got)
			newTopic(t, c, "a", 1)
			produce(t, kclient(t, c), "a", 0, 0, 29)
			r.untilCount(30)
			r.want("a", 0, 0, 29)
			r.until("health", func() bool { return r.s.Health() == nil && r.live && r.open["a/0"] && !r.open["a/1"] })
		})
	}
}

// A topic made again between two looks, or between two runs, is another topic.
func TestTopicMadeAgain(t *testing.T) {
	for _, how := range []string{"running", "regex", "stopped"} {
		t.Run(how, func(t *testing.T) {
			c := cluster(t)
			newTopic(t, c, "a", 2)
			produce(t, kclient(t, c), "a", 0, 0, 9)
			produce(t, kclient(t, c), "a", 1, 0, 9)
			o := options(c, "a")
			if how == "regex" {
				o.Topics, o.TopicRegex = nil, "a"
			}
			r := open(t, o, nil)
			r.until("being live", func() bool { return r.live && r.count() == 20 })
			if how == "stopped" {
				r.close()
			}
			if err := c.DeleteTopic("a"); err != nil {
				t.Fatal(err)
			}
			newTopic(t, c, "a", 2)
			produce(t, kclient(t, c), "a", 0, 0, 29)
			produce(t, kclient(t, c), "a", 1, 0, 29)
			if how == "stopped" {
				r = open(t, o, r.positions)
			}
			clear(r.got)
			r.untilCount(60)
			r.want("a", 0, 0, 29)
			r.want("a", 1, 0, 29)
			r.until("health", func() bool { return r.s.Health() == nil && r.live })
			if got := r.metric("trailtide_kafka_topics_remade_total"); got != 1 {
				t.Errorf("topics_remade_total %v", got)
			}
		})
	}
}
