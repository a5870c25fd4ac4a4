package outbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// A letter that is too large holds nothing up: it goes without its alert.
func TestLargeLetters(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a", "b", "c")
	entries := w.read(t, "soc", "a", "b", "c")
	body := func(n int) []byte { return fmt.Appendf(nil, `{"x":"%s"}`, strings.Repeat("x", n)) }
	var dead []engine.DeadLetter
	for i, n := range []int{10, 5 << 20} { // the second is too large for the producer
		dead = append(dead, engine.DeadLetter{Seq: entries[i].Seq, AlertID: entries[i].Alert.AlertID, Sink: "soc", Reason: "no", Body: body(n)})
	}
	w.done(t, "soc", entries[1].Seq, dead...)
	// A broker may take even less.
	refused := f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: f.names.Dead("soc"), Err: kerr.MessageTooLarge})
	w.done(t, "soc", entries[2].Seq, engine.DeadLetter{Seq: entries[2].Seq, AlertID: "c", Sink: "soc", Reason: "never", Body: body(20)})
	if refused.Hits() != 1 {
		t.Errorf("%d letters were refused", refused.Hits())
	}
	var got []letter
	for _, l := range f.letters("soc") {
		got = append(got, letter{AlertID: l.AlertID, Reason: l.Reason, Alert: l.Alert})
	}
	want := []letter{
		{AlertID: "a", Reason: "no", Alert: body(10)},
		{AlertID: "b", Reason: "no (the alert, 5242888 bytes, is left out: too large for a dead letter)"},
		{AlertID: "c", Reason: "never (the alert, 28 bytes, is left out: too large for a dead letter)"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	w.empty(t, "soc")
}
