package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/sinks"
)

// tick writes an event that no rule matches to each partition of the
// trail but those left out.
func tick(t testing.TB, cl *kgo.Client, at time.Time, but ...int32) {
	t.Helper()
	for p := range int32(trailPartitions) {
		skip := false
		for _, q := range but {
			skip = skip || p == q
		}
		if !skip {
			put(t, cl, p, event(fmt.Sprint("tick", p, at.UnixNano()), at, "nobody", "Other", ""))
		}
	}
}

// Absence fires and episodes resolve by the markers of workers that read
// nothing which matches; a silent region is idle, and one that lags holds all
// others back.
func TestTimeGoesOnWithoutMatches(t *testing.T) {
	t.Parallel()
	rs := compile(t, silenceRules)
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	const silent, lagging = 5, 4
	start(t, c, "a", rs, prompt, shared(t, c, func(o *kafka.Options) { o.IdleAfter = 200 * time.Millisecond }))
	start(t, c, "b", rs, prompt, shared(t, c, func(o *kafka.Options) { o.IdleAfter = 200 * time.Millisecond }))
	// What cannot be read lags: its end is known, and is not reached.
	held := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: trail, Partitions: []int32{lagging}, Err: kerr.NotLeaderForPartition, Count: -1})
	put(t, cl, lagging, event("lag", at, "nobody", "Other", ""))
	put(t, cl, 0, event("e1", at, "robot", "Heartbeat", ""))
	for i := range 3 {
		put(t, cl, 1, event(fmt.Sprint("f", i), at, "joe", "Fail", ""))
	}
	eventually(t, "the episode is told", func() bool { return alerts.count("failing", sinks.Firing) == 1 })
	tick(t, cl, at.Add(11*time.Minute), silent, lagging)
	during(t, afterMarkers, "a lagging partition holds time", func() bool {
		return alerts.count("heartbeat-missing", sinks.Firing)+alerts.count("failing", sinks.Resolved) == 0
	})
	held.Remove()
	eventually(t, "the silence is told", func() bool { return alerts.count("heartbeat-missing", sinks.Firing) == 1 })
	eventually(t, "the episode is over", func() bool { return alerts.count("failing", sinks.Resolved) == 1 })
}

// While nobody reads some partitions, time stands: an outage of ours is not
// everybody's silence. Who takes them over goes on.
func TestOutageIsNoSilence(t *testing.T) {
	t.Parallel()
	rs := compile(t, silenceRules)
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	a := start(t, c, "a", rs, prompt)
	put(t, cl, 0, event("e1", at, "robot", "Heartbeat", ""))
	tick(t, cl, at.Add(time.Second), 0)
	settled(t, trailPartitions, a)
	a.stop(t)
	// The robot goes on, while nobody looks.
	for i := range 5 {
		put(t, cl, 0, event(fmt.Sprint("h", i), at.Add(time.Duration(i+1)*9*time.Minute), "robot", "Heartbeat", ""))
	}
	tick(t, cl, at.Add(46*time.Minute), 0)
	// All of it is read, one partition after the other: the robot's comes last.
	held := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: trail, Partitions: []int32{0}, Err: kerr.NotLeaderForPartition, Count: -1})
	b := start(t, c, "b", rs, prompt)
	eventually(t, "the others are read", func() bool { return b.f.Summary().Read == trailPartitions-1 })
	during(t, afterMarkers, "nothing is told of the outage", func() bool { return len(alerts.seen()) == 0 })
	held.Remove()
	settled(t, 5+trailPartitions-1, b)
	tick(t, cl, at.Add(50*time.Minute))
	settled(t, 5+2*trailPartitions-1, b)
	during(t, afterMarkers, "nothing is told", func() bool { return len(alerts.seen()) == 0 })
	tick(t, cl, at.Add(56*time.Minute))
	eventually(t, "the silence that is one is told", func() bool { return alerts.count("heartbeat-missing", sinks.Firing) == 1 })
}

// A partition that is new holds time until it was told of; one that is gone
// from all lists holds it no more after a while.
func TestPartitionsComeAndGo(t *testing.T) {
	s := newTestStage(t)
	times := newSourceTimes()
	at := time.Unix(1_700_000_000, 0)
	marker := func(now time.Time, exists []string, parts ...repartition.Part) {
		times.apply(s, &repartition.Marker{Written: now.UnixNano(), Exists: exists, Parts: parts})
		s.Advance(times.live(s))
	}
	part := func(name string, t time.Time) repartition.Part {
		return repartition.Part{Name: name, Reached: t.UnixNano(), Live: true}
	}
	want := func(what string, w time.Time, live bool) {
		t.Helper()
		if got := time.Unix(0, s.Watermark()); !got.Equal(w.Add(-time.Nanosecond)) {
			t.Errorf("%s: watermark %s, want %s", what, got.UTC(), w.UTC())
		}
		if got := times.live(s); got != live {
			t.Errorf("%s: live %v", what, got)
		}
	}
	marker(at, []string{"a", "b"}, part("a", at), part("b", at))
	want("two partitions", at, true)
	marker(at.Add(time.Minute), []string{"a", "b", "c"}, part("a", at.Add(time.Minute)), part("b", at.Add(time.Minute)))
	want("a third that nobody has read", at, false)
	marker(at.Add(time.Minute), nil, part("c", at.Add(30*time.Second)))
	want("it is read", at.Add(30*time.Second), true)
	now := at.Add(2 * time.Minute)
	marker(now, []string{"a", "b"}, part("a", now), part("b", now))
	want("it is gone, for a moment", at.Add(30*time.Second), true)
	for end := now.Add(forgetSourceAfter); now.Before(end); {
		now = now.Add(existsEvery)
		marker(now, []string{"a", "b"}, part("a", now), part("b", now))
	}
	want("gone for long", now, true)
	now = now.Add(time.Minute)
	times.apply(s, &repartition.Marker{Written: now.UnixNano(), Closed: []string{"b"}, Parts: []repartition.Part{part("a", now)}})
	s.Advance(true)
	want("finished", now, true)
}

// While nobody lists anything, nothing is gone from the lists: after such a pause
// the partitions are taken one by one, and none may be forgotten for the first.
func TestPartitionsAreKeptOverAPauseOfAllWorkers(t *testing.T) {
	s := newTestStage(t)
	times := newSourceTimes()
	at := time.Unix(1_700_000_000, 0)
	marker := func(now time.Time, exists ...string) {
		m := &repartition.Marker{Written: now.UnixNano(), Exists: exists}
		for _, name := range exists {
			m.Parts = append(m.Parts, repartition.Part{Name: name, Reached: now.UnixNano(), Live: true})
		}
		times.apply(s, m)
		s.Advance(times.live(s))
	}
	marker(at, "a", "b")
	marker(at.Add(existsEvery), "a", "b")
	later := at.Add(2 * forgetSourceAfter)
	marker(later, "a")
	if got := time.Unix(0, s.Watermark()); got.After(at.Add(existsEvery)) {
		t.Errorf("the watermark leaps to %s over what is not read yet", got.UTC())
	}
	marker(later.Add(existsEvery), "a", "b")
	if got := time.Unix(0, s.Watermark()); !got.Equal(later.Add(existsEvery - time.Nanosecond)) {
		t.Errorf("the watermark is %s when both go on", got.UTC())
	}
}

// A worker that was halted may list a shard that another one has finished since:
// it must not hold time again.
func TestFinishedPartitionIsNotListedBackIn(t *testing.T) {
	s := newTestStage(t)
	times := newSourceTimes()
	at := time.Unix(1_700_000_000, 0)
	apply := func(m *repartition.Marker) {
		times.apply(s, m)
		s.Advance(times.live(s))
	}
	part := func(name string, reached int64) repartition.Part {
		return repartition.Part{Name: name, Reached: reached, Live: true}
	}
	apply(&repartition.Marker{Written: at.UnixNano(), Exists: []string{"a", "b"}, Parts: []repartition.Part{part("a", at.UnixNano()), part("b", at.UnixNano())}})
	later := at.Add(time.Minute)
	apply(&repartition.Marker{Written: later.UnixNano(), Closed: []string{"b"}, Parts: []repartition.Part{part("a", later.UnixNano())}})
	apply(&repartition.Marker{Written: later.UnixNano(), Exists: []string{"a", "b"}, Parts: []repartition.Part{part("b", repartition.NoTime)}})
	if got := time.Unix(0, s.Watermark()); !got.Equal(later.Add(-time.Nanosecond)) {
		t.Errorf("the watermark is %s, want %s", got.UTC(), later.UTC())
	}
	if !times.live(s) {
		t.Error("a finished partition is waited for")
	}
}

// An interval that was aborted is applied again from its start: a partition that
// began and ended in it holds the watermark in between, as it did at first.
func TestPartitionThatEndedInAnAbortedInterval(t *testing.T) {
	s := newTestStage(t)
	times := newSourceTimes()
	at := time.Unix(1_700_000_000, 0)
	part := func(name string, at time.Time) repartition.Part {
		return repartition.Part{Name: name, Reached: at.UnixNano(), Live: true}
	}
	apply := func(m *repartition.Marker) {
		m.Written = at.UnixNano()
		times.apply(s, m)
		s.Advance(times.live(s))
	}
	apply(&repartition.Marker{Exists: []string{"parent", "other"}, Parts: []repartition.Part{part("parent", at), part("other", at.Add(time.Hour))}})
	s.Committed()
	times.committed()
	for range 2 {
		apply(&repartition.Marker{Exists: []string{"child"}})
		apply(&repartition.Marker{Closed: []string{"parent"}})
		if got := time.Unix(0, s.Watermark()); got.After(at) {
			t.Fatalf("the watermark is %s with a child that has brought nothing", got.UTC())
		}
		apply(&repartition.Marker{Parts: []repartition.Part{part("child", at.Add(time.Minute))}})
		apply(&repartition.Marker{Closed: []string{"child"}})
		s.RolledBack()
		times.rolledBack()
	}
}

// Who takes a repartition partition over knows what was closed there: a list that
// is behind may come to it first.
func TestNextOwnerKnowsWhatWasClosed(t *testing.T) {
	eng := memory.New(memory.Options{})
	own := func() (*alerting.Stage, *sourceTimes) {
		s, err := alerting.Open(t.Context(), eng, 0, alerting.Options{Lateness: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		times, err := loadSourceTimes(s.Note())
		if err != nil {
			t.Fatal(err)
		}
		s.Resume()
		if err := s.Begin(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		return s, times
	}
	at := time.Unix(1_700_000_000, 0)
	reached := func(name string, at time.Time) []repartition.Part {
		return []repartition.Part{{Name: name, Reached: at.UnixNano(), Live: true}}
	}
	s, times := own()
	times.apply(s, &repartition.Marker{Written: at.UnixNano(), Exists: []string{"a", "b"}, Parts: reached("a", at)})
	times.apply(s, &repartition.Marker{Written: at.UnixNano(), Closed: []string{"b"}})
	times.leave(s)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Txn().Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Committed()

	s, times = own()
	later := at.Add(time.Minute)
	times.apply(s, &repartition.Marker{Written: later.UnixNano(), Exists: []string{"a", "b"}, Parts: reached("a", later)})
	s.Advance(times.live(s))
	if got := time.Unix(0, s.Watermark()); !got.Equal(later.Add(-time.Nanosecond)) {
		t.Errorf("the watermark is %s, want %s", got.UTC(), later.UTC())
	}
	if _, err := loadSourceTimes([]byte(`{"v":2}`)); err == nil {
		t.Error("a note of a later version is read")
	}
	if _, err := loadSourceTimes([]byte(`{`)); err == nil {
		t.Error("half a note is read")
	}
}
