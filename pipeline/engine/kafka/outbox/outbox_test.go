package outbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

func TestOrder(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a", "-b", "c")
	f.transact(kgo.TryAbort, "aborted")
	f.tell("d")
	entries := w.read(t, "soc", "a", "c", "d")
	if got := entries[0].Alert; got.RuleID != "rule-a" || got.Status != sinks.Firing {
		t.Errorf("alert %+v", got)
	}
	w.read(t, "soc", "a", "c", "d") // until it is done
	w.done(t, "soc", entries[0].Seq)
	entries = w.read(t, "soc", "c", "d")
	w.done(t, "soc", entries[1].Seq)
	w.done(t, "soc", entries[0].Seq) // a place never moves back
	w.empty(t, "soc")
	f.tell("e")
	w.read(t, "soc", "e")
}

func TestPlacesAreDurable(t *testing.T) {
	f := newFleet(t, 1, "soc", "archive")
	w := f.open()
	w.register(t, engine.FromOldest, "soc", "archive")
	f.tell("a", "b", "c")
	entries := w.read(t, "soc", "a", "b", "c")
	body := entries[1].Alert.AppendJSON(nil)
	w.done(t, "soc", entries[1].Seq, engine.DeadLetter{Seq: entries[1].Seq, AlertID: "b", Sink: "soc", Reason: "410 Gone", Body: body})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = f.open()
	w.register(t, engine.FromOldest, "soc", "archive")
	w.read(t, "soc", "c")
	entries = w.read(t, "archive", "a", "b", "c")
	w.done(t, "archive", entries[2].Seq)
	w.empty(t, "archive")
	got := f.letters("soc")
	if len(got) != 1 || got[0].AlertID != "b" || got[0].Reason != "410 Gone" || got[0].V != 1 || string(got[0].Alert) != string(body) {
		t.Errorf("dead letters %+v", got)
	}
}

func TestRegister(t *testing.T) {
	f := newFleet(t, 2, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a", "b@1")
	f.tell("c")
	before := time.Now().Add(time.Hour)
	w.register(t, engine.FromNewest, "late", "soc")
	w.register(t, engine.FromTime(before), "future")
	w.register(t, engine.FromTime(time.Now().Add(-time.Hour)), "past")
	w.register(t, engine.FromOldest, "late") // known: stays
	f.tell("d@1")
	places, err := w.Places(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unread := map[string]int64{}
	for _, p := range places {
		unread[p.Consumer] = p.Unread
	}
	// A transaction's marker is a record, too: one for each partition.
	if want := (map[string]int64{"soc": 8, "late": 2, "future": 2, "past": 8}); !cmp.Equal(want, unread) {
		t.Errorf("unread %v, want %v", unread, want)
	}
	entries := w.read(t, "late", "d")
	w.done(t, "late", entries[0].Seq)
	if unread, err := w.Forget(t.Context(), "past"); err != nil || unread != 8 {
		t.Errorf("forget: %d, %v", unread, err)
	}
	if unread, err := w.Forget(t.Context(), "past"); err != nil || unread != 0 {
		t.Errorf("forget twice: %d, %v", unread, err)
	}
	if _, err := w.Forget(t.Context(), "late"); !errors.Is(err, ErrInUse) {
		t.Errorf("forget a sink in use: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = f.open()
	if _, err := w.Forget(t.Context(), "late"); err != nil {
		t.Error(err)
	}
	states, err := w.readProgress(t.Context(), "late")
	if err != nil || len(states) != 0 {
		t.Errorf("notify states of a forgotten sink: %v, %v", states, err)
	}
}

// TestWaits: a Read waits for the first alert, and ends with its context or
// with the outbox.
func TestWaits(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	type answer struct {
		entries []engine.Entry
		err     error
	}
	answers := make(chan answer, 1)
	wait := func(ctx context.Context) {
		entries, err := w.Read(ctx, "soc", 10)
		answers <- answer{entries, err}
	}
	go wait(t.Context())
	f.tell("a")
	got := <-answers
	if got.err != nil || len(got.entries) != 1 {
		t.Fatalf("a waiting read: %+v", got)
	}
	w.done(t, "soc", got.entries[0].Seq)
	ctx, cancel := context.WithCancel(t.Context())
	go wait(ctx)
	cancel()
	if got := <-answers; !errors.Is(got.err, context.Canceled) {
		t.Errorf("a cancelled read: %+v", got)
	}
	go wait(t.Context())
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := <-answers; got.err == nil {
		t.Errorf("a read of a closed outbox: %+v", got)
	}
	if _, err := w.Read(t.Context(), "soc", 1); !errors.Is(err, errClosed) {
		t.Errorf("a read of a closed outbox: %v", err)
	}
}

// TestLag: alerts that are not told and markers do not show as lag for long.
func TestLag(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("-a", "-b")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if got, err := w.Read(ctx, "soc", 10); err == nil {
			t.Errorf("reads %v", names(got))
		}
	}()
	until(t, "no lag", func() bool {
		places, err := w.Places(t.Context())
		return err == nil && len(places) == 1 && places[0].Unread == 0
	})
	cancel()
	<-ended
	if lag := w.metric("trailtide_outbox_lag_records"); lag != 0 {
		t.Errorf("lag %v", lag)
	}
	f.tell("c", "d")
	w.read(t, "soc", "c", "d")
	if lag := w.metric("trailtide_outbox_lag_records"); lag != 3 {
		t.Errorf("lag %v, want two alerts and a marker", lag)
	}
}

// TestTakeover: what was delivered behind a failing alert is not delivered
// again by the next owner, which knows how often the failing one was tried.
func TestTakeover(t *testing.T) {
	f := newFleet(t, 1, "soc")
	one := f.open()
	one.register(t, engine.FromOldest, "soc")
	f.tell("a", "b", "-", "c", "d")
	f.tell("e", "f")
	entries := one.read(t, "soc", "a", "b", "c", "d", "e", "f")
	first := time.Now().Add(-time.Minute).Truncate(time.Millisecond).UTC()
	// a and c delivered, b failed twice, d is dead, e and f were not tried.
	err := one.Settle(t.Context(), "soc", entries[0].Seq,
		[]engine.DeadLetter{{Seq: entries[3].Seq, AlertID: "d", Sink: "soc", Reason: "no", Body: []byte("not JSON")}},
		[]engine.Known{{Seq: entries[1].Seq, Attempts: 2, Single: 1, First: first}, {Seq: entries[2].Seq, Done: true}})
	if err != nil {
		t.Fatal(err)
	}
	one.read(t, "soc", "b", "e", "f")
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	two := f.open()
	two.register(t, engine.FromOldest, "soc")
	got := two.read(t, "soc", "b", "e", "f")
	want := &engine.Known{Seq: got[0].Seq, Attempts: 2, Single: 1, First: first}
	if d := cmp.Diff(want, got[0].Known); d != "" {
		t.Errorf("what is known of b (-want +got):\n%s", d)
	}
	if got[1].Known != nil {
		t.Errorf("e was never tried: %+v", got[1].Known)
	}
	if l := f.letters("soc"); len(l) != 1 || string(l[0].Alert) != `"not JSON"` {
		t.Errorf("dead letters %+v", l)
	}
	two.done(t, "soc", got[2].Seq)
	two.empty(t, "soc")
}

// TestMoves: a partition moves to another worker; entries of it are gone from
// the first, and its late Done moves nothing.
func TestMoves(t *testing.T) {
	f := newFleet(t, 2, "soc")
	one := f.open()
	one.register(t, engine.FromOldest, "soc")
	f.tell("a@0", "b@1")
	entries := one.read(t, "soc", sorted(t, one, 2)...)
	two := f.open()
	stop := make(chan struct{})
	read := make(chan []engine.Entry, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		got, err := two.Read(ctx, "soc", 10)
		if err != nil {
			t.Errorf("read by the second worker: %v", err)
		}
		read <- got
		close(stop)
	}()
	until(t, "the first worker gives a partition up", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		got, err := one.consumers["soc"].peek(t.Context())
		return err == nil && len(got) == 1
	})
	<-stop
	theirs := <-read
	ours, err := one.Read(t.Context(), "soc", 10)
	if err != nil || len(ours) != 1 || len(theirs) != 1 || ours[0].Alert.AlertID == theirs[0].Alert.AlertID {
		t.Fatalf("one reads %v, two reads %v, %v", names(ours), names(theirs), err)
	}
	// All of what the first worker once had is done, it says: only its own counts.
	one.done(t, "soc", entries[1].Seq)
	two.read(t, "soc", theirs[0].Alert.AlertID)
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	one.read(t, "soc", theirs[0].Alert.AlertID)
}

// peek looks what there is without waiting.
func (c *consumer) peek(context.Context) ([]engine.Entry, error) {
	c.op.Lock()
	defer c.op.Unlock()
	if err := c.poll(nil, 10); err != nil { //nolint:staticcheck // nil does not wait
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	have, _ := c.first(10)
	return have, nil
}

// sorted reads n entries and returns their names in the order of arrival.
func sorted(t *testing.T, w *worker, n int) []string {
	t.Helper()
	var got []engine.Entry
	until(t, "entries", func() bool {
		var err error
		got, err = w.Read(t.Context(), "soc", 10)
		return err == nil && len(got) == n
	})
	return names(got)
}

// TestZombie: a worker that was away and does not know yet that its partition
// has a new owner cannot move the place.
func TestZombie(t *testing.T) {
	f := newFleet(t, 1, "soc")
	one := f.open()
	one.register(t, engine.FromOldest, "soc")
	f.tell("a", "b", "c")
	entries := one.read(t, "soc", "a", "b", "c")
	c := one.consumers["soc"]
	// What the broker does to a member whose session is over; the new owner
	// fences the transactional ID, too.
	two := f.open()
	p, err := two.consumer("soc").takeOver(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.producer.Close()
	if err := one.Settle(t.Context(), "soc", entries[2].Seq, []engine.DeadLetter{{Seq: entries[2].Seq, AlertID: "c", Sink: "soc"}}, nil); err != nil {
		t.Fatalf("a zombie's Settle: %v", err)
	}
	if len(c.parts) != 0 || len(c.pending) != 0 {
		t.Errorf("the zombie still holds %v", c.pending)
	}
	if at := f.committed("soc"); at != 0 {
		t.Errorf("the zombie moved the place to %d", at)
	}
	if l := f.letters("soc"); len(l) != 0 {
		t.Errorf("the zombie wrote %+v", l)
	}
	// It joins anew and goes on.
	one.read(t, "soc", "a", "b", "c")
}

func (f *fleet) committed(sink string) int64 {
	f.t.Helper()
	o, err := f.adm.FetchOffsets(f.t.Context(), f.names.SinkGroup(sink))
	if err != nil {
		f.t.Fatal(err)
	}
	at, ok := o.Lookup(f.names.Alerts(), 0)
	if !ok {
		return -1
	}
	return at.At
}

// TestPutOut: a member that the broker has put out of the group cannot move the
// place, though nobody has fenced its transactional ID.
func TestPutOut(t *testing.T) {
	f := newFleet(t, 1, "soc")
	one := f.open()
	one.register(t, engine.FromOldest, "soc")
	f.tell("a", "b")
	entries := one.read(t, "soc", "a", "b")
	c := one.consumers["soc"]
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = f.names.SinkGroup("soc")
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, _ = c.cl.GroupMetadata()
	req.MemberID, req.Members = m.MemberID, append(req.Members, m)
	if resp, err := req.RequestWith(t.Context(), f.writer); err != nil || resp.ErrorCode != 0 {
		t.Fatalf("leave: %+v, %v", resp, err)
	}
	for _, e := range entries {
		c.pending[e.Seq-1].done = true
	}
	p := c.parts[0]
	if p == nil {
		t.Fatal("the heartbeat was quicker than the test")
	}
	if err := c.try(t.Context(), p, nil); !errors.Is(err, engine.ErrAborted) {
		t.Errorf("commit of a member that was put out: %v", err)
	}
	if at := f.committed("soc"); at != 0 {
		t.Errorf("place %d", at)
	}
	c.undo()
	until(t, "the member is back", func() bool {
		got, err := one.Read(t.Context(), "soc", 10)
		return err == nil && len(got) == 2 && got[0].Seq > entries[1].Seq
	})
	one.done(t, "soc", one.read(t, "soc", "a", "b")[1].Seq)
	if at := f.committed("soc"); at < 2 {
		t.Errorf("place %d", at)
	}
}

// TestFellOff: retention removes what a sink has not read yet.
func TestFellOff(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a")      // 0, marker 1
	f.tell("b", "c") // 2, 3, marker 4
	f.truncate(t, 3)
	f.tell("d")
	entries := w.read(t, "soc", "c", "d")
	if lost := w.metric("trailtide_outbox_lost_total"); lost != 3 {
		t.Errorf("%v lost", lost)
	}
	w.done(t, "soc", entries[1].Seq)
	l := f.letters("soc")
	if len(l) != 1 || l[0].Lost == nil || *l[0].Lost != (gap{From: 0, To: 3, Count: 3}) || !strings.Contains(l[0].Reason, "offsets 0 to 2") {
		t.Errorf("dead letters %+v", l)
	}
	if n := w.logs.FilterMessageSnippet("retention removed them").Len(); n != 1 {
		t.Errorf("told %d times", n)
	}
	// While it reads: the client goes on at the log's start by itself.
	c := w.consumers["soc"]
	p := c.parts[0]
	first := p.next + 2
	c.took(&kgo.FetchPartition{LogStartOffset: 3, HighWatermark: first, Records: []*kgo.Record{{Offset: first}}})
	if lost := w.metric("trailtide_outbox_lost_total"); lost != 3 {
		t.Errorf("aborted records count as lost: %v", lost)
	}
	next := p.next // after what was just taken
	c.took(&kgo.FetchPartition{LogStartOffset: next + 1, HighWatermark: next + 4, Records: []*kgo.Record{{Offset: next + 3, Value: []byte("{}")}}})
	if lost := w.metric("trailtide_outbox_lost_total"); lost != 4 {
		t.Errorf("%v lost", lost)
	}
}

// truncate deletes the records of partition 0 before an offset.
func (f *fleet) truncate(t testing.TB, before int64) {
	t.Helper()
	offsets := offsetsAt(f.names.Alerts(), before)
	answers, err := f.adm.DeleteRecords(t.Context(), offsets)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestExpiredGroup: the broker forgets a group's offsets after a week without
// members; the notify state remembers.
func TestExpiredGroup(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	f.tell("a", "b")
	w.done(t, "soc", w.read(t, "soc", "a", "b")[0].Seq)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.adm.DeleteGroups(t.Context(), f.names.SinkGroup("soc")); err != nil {
		t.Fatal(err)
	}
	f.tell("c")
	w = f.open()
	w.register(t, engine.FromNewest, "soc")
	w.read(t, "soc", "b", "c")
}

// TestUnreadable: an alert that cannot be read goes to the dead letter.
func TestUnreadable(t *testing.T) {
	f := newFleet(t, 1, "soc")
	w := f.open()
	w.register(t, engine.FromOldest, "soc")
	plain := f.client()
	if err := plain.ProduceSync(t.Context(), &kgo.Record{Topic: f.names.Alerts(), Key: []byte("x"), Value: []byte("{")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	f.tell("a")
	w.done(t, "soc", w.read(t, "soc", "a")[0].Seq)
	if l := f.letters("soc"); len(l) != 1 || l[0].AlertID != "x" || !strings.Contains(l[0].Reason, "parse alert") {
		t.Errorf("dead letters %+v", l)
	}
}

// TestLoad: many alerts over several partitions, two sinks, and workers that
// come and go: everything is done once by each sink.
func TestLoad(t *testing.T) {
	f := newFleet(t, 3, "one", "two")
	w := f.open()
	w.register(t, engine.FromOldest, "one", "two")
	const rounds = 6
	var want []string
	got := map[string][]string{}
	for i := range rounds {
		var batch []string
		for j := range 12 {
			name := numbered("r"+string(rune('a'+i)), j, j+1)[0]
			want = append(want, name)
			batch = append(batch, name+"@"+string(rune('0'+j%3)))
		}
		f.tell(batch...)
		for _, sink := range []string{"one", "two"} {
			for len(got[sink]) < len(want)-i%3 {
				entries, err := w.Read(t.Context(), sink, 5)
				if err != nil {
					t.Fatal(err)
				}
				got[sink] = append(got[sink], names(entries)...)
				w.done(t, sink, entries[len(entries)-1].Seq)
			}
		}
		if i%2 == 1 {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			w = f.open()
		}
	}
	for _, sink := range []string{"one", "two"} {
		slices.Sort(got[sink])
		slices.Sort(want)
		if d := cmp.Diff(want, got[sink]); d != "" {
			t.Errorf("%s (-want +got):\n%s", sink, d)
		}
	}
}
