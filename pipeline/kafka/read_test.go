package kafka

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestReadsEverythingInOrder(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 3)
	newTopic(t, c, "b", 1)
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	const each = 200
	for i, codec := range codecs {
		cl := kclient(t, c, kgo.ProducerBatchCompression(codec))
		for p := range int32(3) {
			produce(t, cl, "a", p, i*each, (i+1)*each-1)
		}
		produce(t, cl, "b", 0, i*each, (i+1)*each-1)
	}
	o := options(c, "a", "b")
	o.MaxPollRecords = 70
	r := open(t, o, nil)
	r.untilCount(4 * each * len(codecs))
	for p := range int32(3) {
		r.want("a", p, 0, each*len(codecs)-1)
	}
	r.want("b", 0, 0, each*len(codecs)-1)
	if got := r.labels["a/2"][17]; got != "a/2@17" {
		t.Errorf("label %q", got)
	}
	if got := r.metric("trailtide_kafka_records_total"); got != 4*each*float64(len(codecs)) {
		t.Errorf("records_total %v", got)
	}
	r.until("being live", func() bool { return r.live })
	if err := r.s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	if n := r.logs.FilterLevelExact(1).Len() + r.logs.FilterLevelExact(2).Len(); n > 0 {
		t.Errorf("logs: %v", r.logs.All())
	}
}

func TestTopicRegex(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "trail-eu", 2)
	newTopic(t, c, "old-trail-eu", 1)
	cl := kclient(t, c)
	produce(t, cl, "trail-eu", 1, 0, 4)
	produce(t, cl, "old-trail-eu", 0, 0, 4)
	o := options(c)
	o.Topics, o.TopicRegex, o.Start = nil, "trail-.*", "latest"
	r := open(t, o, nil)
	r.until("the first topic", func() bool { return r.live })
	if r.count() != 0 {
		t.Errorf("start: latest has read %v", r.got)
	}
	newTopic(t, c, "trail-us", 2)
	produce(t, cl, "trail-us", 0, 0, 9) // before the source can know of it: not skipped
	produce(t, cl, "trail-us", 1, 0, 9)
	produce(t, cl, "trail-eu", 0, 0, 2)
	r.untilCount(23)
	r.want("trail-us", 0, 0, 9)
	r.want("trail-us", 1, 0, 9)
	r.want("trail-eu", 0, 0, 2)
	if r.got["old-trail-eu/0"] != nil {
		t.Error("the expression must match whole names")
	}
}

func TestResumesExactly(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 2)
	cl := kclient(t, c)
	produce(t, cl, "a", 0, 0, 99)
	produce(t, cl, "a", 1, 0, 99)
	o := options(c, "a")
	o.MaxPollRecords = 7
	var committed map[string][]byte
	got := map[string][]string{}
	for round := 0; len(got["a/0"])+len(got["a/1"]) < 200; round++ {
		if round > 40 {
			t.Fatal("no progress")
		}
		r := open(t, o, committed)
		r.untilCount(min(12, 200-len(got["a/0"])-len(got["a/1"])))
		if err := r.s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.closed = true
		for p, vs := range r.got {
			got[p] = append(got[p], vs...)
		}
		if committed == nil {
			committed = map[string][]byte{}
		}
		maps.Copy(committed, r.positions)
	}
	r := &reader{t: t, got: got}
	r.want("a", 0, 0, 99)
	r.want("a", 1, 0, 99)
}

func TestEnginePositionWins(t *testing.T) {
	c := cluster(t)
	newTopic(t, c, "a", 1)
	produce(t, kclient(t, c), "a", 0, 0, 99)
	r := open(t, options(c, "a"), nil)
	r.untilCount(100)
	r.close()
	if got := groupOffset(t, c, "a", 0); got != 100 {
		t.Fatalf("the group stands at %d", got)
	}
	o := options(c, "a")
	o.Start = "latest"
	r = open(t, o, map[string][]byte{"a/0": position{offset: 40, epoch: -1}.encode()})
	r.untilCount(60)
	r.want("a", 0, 40, 99)
}

func TestStart(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		start string
		first int
	}{
		{"", 0},
		{"earliest", 0},
		{"latest", 10},
		{at.Add(5 * time.Minute).Format(time.RFC3339), 5},
		{at.Add(time.Hour).Format(time.RFC3339), 10},
	} {
		t.Run(tt.start, func(t *testing.T) {
			c := cluster(t)
			newTopic(t, c, "a", 1)
			cl := kclient(t, c)
			for n := range 10 {
				rec := &kgo.Record{Topic: "a", Value: []byte(value("a", 0, n)), Timestamp: at.Add(time.Duration(n) * time.Minute)}
				if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			o := options(c, "a")
			o.Start = tt.start
			r := open(t, o, nil)
			r.until("where it begins", func() bool { return r.positions["a/0"] != nil })
			if tt.first == 10 {
				if pos, err := decodePosition(r.positions["a/0"]); err != nil || pos.offset != 10 {
					t.Errorf("begins at %+v, %v", pos, err)
				}
			}
			// A restart before the first new record skips nothing.
			r.close()
			produce(t, cl, "a", 0, 10, 14)
			again := open(t, o, r.positions)
			again.untilCount(15 - tt.first - r.count())
			again.got["a/0"] = append(r.got["a/0"], again.got["a/0"]...)
			again.want("a", 0, tt.first, 14)
		})
	}
}

func TestNewPartitionBeginsAtItsStart(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint(restart), func(t *testing.T) {
			c := cluster(t)
			newTopic(t, c, "a", 1)
			cl := kclient(t, c)
			produce(t, cl, "a", 0, 0, 9)
			o := options(c, "a")
			o.Start = "latest"
			r := open(t, o, nil)
			r.until("being live", func() bool { return r.live })
			positions := r.positions
			if restart {
				r.close()
			}
			addPartitions(t, c, "a", 3)
			late := kclient(t, c)
			produce(t, late, "a", 2, 0, 9)
			produce(t, late, "a", 0, 10, 11)
			if restart {
				r = open(t, o, positions)
			}
			r.untilCount(12)
			r.want("a", 0, 10, 11)
			r.want("a", 2, 0, 9)
			r.until("being live again", func() bool { return r.live && len(r.open) == 3 })
			if got := slices.Sorted(maps.Keys(r.positions)); len(got) != 3 {
				t.Errorf("positions of %v", got)
			}
		})
	}
}
