package outbox

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
)

// What was buried can be read back by people.
func TestLettersComeBack(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a", "b")
	entries := w.read(t, "soc", "a", "b")
	buried := engine.DeadLetter{Seq: entries[1].Seq, AlertID: entries[1].Alert.AlertID, Sink: "soc", Reason: "no", Body: []byte(`{"x":1}`)}
	if err := w.Done(t.Context(), "soc", entries[1].Seq, []engine.DeadLetter{buried}); err != nil {
		t.Fatal(err)
	}
	var got []engine.DeadLetter
	err := DeadLetters(t.Context(), f.options(), "soc", func(d engine.DeadLetter) error {
		got = append(got, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	buried.Seq = 1 // the offset
	if d := cmp.Diff([]engine.DeadLetter{buried}, got); d != "" {
		t.Errorf("(-buried +read)\n%s", d)
	}

	if err := f.cluster.CreateTopic(f.names.Invalid(), 1, nil); err != nil {
		t.Fatal(err)
	}
	want := engine.InvalidEvent{Position: "trail/0@7", Reason: "no JSON", Raw: []byte("\xff{"), Size: 9}
	rec, err := enginekafka.InvalidRecord(f.names.Invalid(), want)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.client().ProduceSync(t.Context(), rec).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var events []engine.InvalidEvent
	err = InvalidEvents(t.Context(), f.options(), func(e engine.InvalidEvent) error {
		events = append(events, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]engine.InvalidEvent{want}, events); d != "" {
		t.Errorf("(-written +read)\n%s", d)
	}
}
