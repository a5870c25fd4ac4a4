package kafka

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The group goes back to the first record of a time in each partition, and to a
// partition's end where there is none.
func TestRewind(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	newTopic(t, c, "trail-a", 2)
	newTopic(t, c, "trail-b", 1)
	newTopic(t, c, "other", 1)
	cl := kclient(t, c)
	const group = "trailtide" // unless another one is named
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	put := func(topic string, partition int32, minutes ...int) {
		for _, m := range minutes {
			r := &kgo.Record{Topic: topic, Partition: partition, Timestamp: noon.Add(time.Duration(m) * time.Minute)}
			if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("trail-a", 0, -2, -1, 0, 1)
	put("trail-a", 1, -2, -1)
	put("trail-b", 0, 5)
	put("other", 0, 5)
	adm := kadm.NewClient(cl)
	var ends kadm.Offsets
	for topic, offsets := range map[string][]int64{"trail-a": {4, 2}, "trail-b": {1}} {
		for p, at := range offsets {
			ends.AddOffset(topic, int32(p), at, -1) //nolint:gosec // a count of partitions
		}
	}
	if err := adm.CommitAllOffsets(t.Context(), group, ends); err != nil {
		t.Fatal(err)
	}

	o := options(c)
	o.TopicRegex = "trail-.*"
	if err := Rewind(t.Context(), o, noon); err != nil {
		t.Fatal(err)
	}
	got, err := adm.FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		topic     string
		partition int32
		at        int64
	}{{"trail-a", 0, 2}, {"trail-a", 1, 2}, {"trail-b", 0, 0}} {
		if at, ok := got.Lookup(want.topic, want.partition); !ok || at.At != want.at {
			t.Errorf("the group stands at %d of %s/%d, want %d", at.At, want.topic, want.partition, want.at)
		}
	}
	if _, ok := got.Lookup("other", 0); ok {
		t.Error("a topic of somebody else has an offset")
	}

	o.TopicRegex = "none-.*"
	if err := Rewind(t.Context(), o, noon); err == nil {
		t.Error("no topic, and no error")
	}
}

func TestRewindUnderMembers(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	newTopic(t, c, "trail", 1)
	o := options(c, "trail")
	member := open(t, o, nil)
	member.until("the member has its partition", func() bool { return member.open["trail/0"] && member.live })
	if err := Rewind(t.Context(), o, time.Now()); !errors.Is(err, ErrMembers) {
		t.Errorf("%v, want ErrMembers", err)
	}
}
