package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/pipeline/repartition"
	"github.com/trailtide/trailtide/sinks"
)

const silenceRules = `
rules:
  - id: heartbeat-missing
    title: A robot is silent
    severity: high
    match: {eventName: Heartbeat}
    threshold: {absent_for: 10m, group_by: [userIdentity.arn]}
  - id: failing
    title: A principal fails a lot
    severity: medium
    match: {eventName: Fail}
    threshold: {count: 3, window: 2m, group_by: [userIdentity.arn]}
`

// prompt makes watermarks follow at once.
func prompt(o *Options) { o.Alerting.Lateness = time.Nanosecond }

// mark writes a marker to each repartition partition: the time of every partition
// of the trail is at, but of those left out. live: they are read to their ends.
func mark(t testing.TB, cl *kgo.Client, at time.Time, live bool, but ...int) {
	t.Helper()
	m := &repartition.Marker{Writer: "test", Written: time.Now().UnixNano()}
	for p := range trailPartitions {
		if slices.Contains(but, p) {
			continue
		}
		m.Parts = append(m.Parts, repartition.Part{Name: trail + "/" + strconv.Itoa(p), Reached: at.UnixNano(), Live: live})
	}
	var records []*kgo.Record
	for p := range int32(testPartitions) {
		records = append(records, &kgo.Record{Topic: names.Repartition(), Partition: p, Value: repartition.AppendMarker(nil, m)})
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// putOut has the broker remove all members of a group, and not tell them.
func putOut(t testing.TB, c *kfake.Cluster, cl *kgo.Client, group string) (heal func()) {
	t.Helper()
	info := c.GroupInfo(group)
	if info == nil || len(info.Members) == 0 {
		t.Fatalf("group %s has no members", group)
	}
	beats := c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup}, Group: group, Err: kerr.CoordinatorLoadInProgress, Count: -1,
	})
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	for _, m := range info.Members {
		rm := kmsg.NewLeaveGroupRequestMember()
		rm.MemberID = m.MemberID
		req.Members = append(req.Members, rm)
	}
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil || resp.ErrorCode != 0 {
		t.Fatalf("leave: %v, %v", err, kerr.ErrorForCode(resp.ErrorCode))
	}
	return beats.Remove
}

// Trap 2: an owner that the group has put out, and that does not know, fires
// what is due and can make none of it durable, though nobody has taken its
// partitions over.
func TestZombieOwnerMakesNoAlertDurable(t *testing.T) {
	t.Parallel()
	rs := compile(t, silenceRules)
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	w := start(t, c, "a", rs, prompt, quiet, func(o *Options) { o.SessionTimeout = 6 * time.Second })
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	put(t, cl, 0, event("e1", at, "robot", "Heartbeat", ""))
	for i := range 3 {
		put(t, cl, 1, event(fmt.Sprint("f", i), at, "joe", "Fail", ""))
	}
	settled(t, 4, w)
	mark(t, cl, at.Add(time.Minute), true)
	eventually(t, "the episode is told", func() bool { return alerts.count("failing", sinks.Firing) == 1 })

	heal := putOut(t, c, cl, names.AlertGroup())
	before := committedOffsets(t, cl)
	refused := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Observe: true, Count: -1, Group: names.AlertGroup()})
	defer refused.Remove()
	mark(t, cl, at.Add(11*time.Minute), true) // the robot was silent, and joe was quiet
	hit(t, refused, 4*testPartitions)
	fired, resolved := alerts.count("heartbeat-missing", sinks.Firing), alerts.count("failing", sinks.Resolved)
	if fired+resolved != 0 {
		t.Errorf("%d silences and %d resolutions of a worker that is no member", fired, resolved)
	}
	if after := committedOffsets(t, cl); !slices.Equal(after, before) {
		t.Errorf("offsets went from %v to %v without a member", before, after)
	}
	heal()
	eventually(t, "both are told once the worker is a member again", func() bool {
		return alerts.count("heartbeat-missing", sinks.Firing) > 0 && alerts.count("failing", sinks.Resolved) > 0
	})
	mark(t, cl, at.Add(12*time.Minute), true)
	put(t, cl, 0, event("e2", at.Add(12*time.Minute), "robot", "Heartbeat", ""))
	eventually(t, "the robot is back", func() bool { return alerts.count("heartbeat-missing", sinks.Resolved) > 0 })
	for _, a := range alerts.seen() {
		if n := alerts.count(a.RuleID, a.Status); n != 1 {
			t.Errorf("%s of %s is told %d times", a.Status, a.RuleID, n)
		}
	}
}

func owned(w *running) int {
	w.f.mu.Lock()
	a := w.f.alert
	w.f.mu.Unlock()
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, o := range a.owners {
		if o.state.Load() != nil {
			n++
		}
	}
	return n
}

func committedOffsets(t testing.TB, cl *kgo.Client) []int64 {
	t.Helper()
	resp, err := kadm.NewClient(cl).FetchOffsets(kadm.RequireStable(t.Context()), names.AlertGroup())
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int64, testPartitions)
	resp.Each(func(o kadm.OffsetResponse) { out[o.Partition] = o.At })
	return out
}

// Markers are times only with the offsets that prove who read so far: those of
// a worker that the source's group has put out are never seen.
func TestZombieReaderTellsNoTimes(t *testing.T) {
	t.Parallel()
	rs := compile(t, silenceRules)
	c := testBroker(t)
	cl := testClient(t, c)
	alerts := readAlerts(t, c)
	w := start(t, c, "a", rs, prompt, quiet, shared(t, c, func(o *kafka.Options) { o.SessionTimeout = 6 * time.Second }))
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for p := range int32(trailPartitions) {
		put(t, cl, p, event(fmt.Sprint("e", p), at, "joe", "Other", ""))
	}
	settled(t, trailPartitions, w)
	told := followTimes(t, c)
	eventually(t, "times are told", func() bool { return told(at.UnixNano()) })

	heal := putOut(t, c, cl, "readers")
	refused := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Observe: true, Count: -1, Group: "readers"})
	defer refused.Remove()
	later := at.Add(time.Minute)
	for i := range 3 {
		put(t, cl, 1, event(fmt.Sprint("f", i), later, "joe", "Fail", ""))
	}
	hit(t, refused, 5)
	if told(later.UnixNano()) {
		t.Error("a worker that is no member has told times")
	}
	if n := alerts.count("failing", sinks.Firing); n != 0 {
		t.Errorf("%d alerts of what a worker read that is no member", n)
	}
	heal()
	eventually(t, "times are told again", func() bool { return told(later.UnixNano()) })
	eventually(t, "the alert is told", func() bool { return alerts.count("failing", sinks.Firing) == 1 })
	if got := settled(t, trailPartitions+3, w); got.Duplicate != 0 || got.Matched != 3 {
		t.Errorf("%d matched, %d duplicate", got.Matched, got.Duplicate)
	}
}

// hit waits until a fault was met n times.
func hit(t testing.TB, h *kfake.FaultHandle, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	if err := h.Wait(ctx, n); err != nil {
		t.Fatalf("met %d times, want %d", h.Hits(), n)
	}
}

// followTimes reads the markers of the repartition topic's first partition. It
// answers whether one told of a time.
func followTimes(t testing.TB, c *kfake.Cluster) (told func(at int64) bool) {
	t.Helper()
	cl := testClient(t, c, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		names.Repartition(): {0: kgo.NewOffset().AtStart()},
	}))
	var mu sync.Mutex
	seen := make(map[int64]bool)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				rec, err := repartition.Decode(r.Value, func(uint64) *alerting.Rule { return &alerting.Rule{} })
				if err != nil {
					t.Error(err)
					return
				}
				if rec.Marker == nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				for i := range rec.Marker.Parts {
					seen[rec.Marker.Parts[i].Reached] = true
				}
			})
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return func(at int64) bool {
		mu.Lock()
		defer mu.Unlock()
		return seen[at]
	}
}
