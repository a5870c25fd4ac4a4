package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not reached: %s", what)
		}
	}
}

// afterMarkers is how long it takes until what markers say is surely told.
const afterMarkers = markersEvery + 400*time.Millisecond

// during checks that cond holds all the time for d.
func during(t testing.TB, d time.Duration, what string, cond func() bool) {
	t.Helper()
	end := time.After(d)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if !cond() {
			t.Fatalf("no more: %s", what)
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// event is a CloudTrail event of a user at a time.
func event(id string, at time.Time, user, name, more string) []byte {
	return fmt.Appendf(nil,
		`{"eventVersion":"1.09","eventID":%q,"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":%q,"awsRegion":"eu-west-1",`+
			`"recipientAccountId":"111122223333","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/%s"}%s}`,
		id, at.UTC().Format(time.RFC3339), name, user, more)
}

// put writes events to one partition of the trail.
func put(t testing.TB, cl *kgo.Client, p int32, events ...[]byte) {
	t.Helper()
	records := make([]*kgo.Record, len(events))
	for i, ev := range events {
		records[i] = &kgo.Record{Topic: trail, Partition: p, Value: ev}
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// shared is a source for start, with options of its own.
func shared(t testing.TB, c *kfake.Cluster, change func(*kafka.Options)) func(*Options) {
	t.Helper()
	o := kafka.Options{
		Client: client.Options{Brokers: c.ListenAddrs()}, Topics: []string{trail}, Group: "readers", SessionTimeout: 2 * time.Second,
		LagInterval: 50 * time.Millisecond, MetadataMinAge: 50 * time.Millisecond, IdleAfter: time.Hour, MaxPollRecords: 300,
	}
	change(&o)
	src, err := kafka.NewShared(o)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Source = src }
}

// sum is what workers did together.
func sum(workers ...*running) (s pipeline.Summary) {
	for _, w := range workers {
		o := w.f.Summary()
		s.Read += o.Read
		s.Invalid += o.Invalid
		s.Matched += o.Matched
		s.Duplicate += o.Duplicate
		s.Unmatched += o.Unmatched
		s.Skipped += o.Skipped
		s.Late += o.Late
		s.Untimed += o.Untimed
		s.Conflicts += o.Conflicts
		s.Ungrouped += o.Ungrouped
		s.Suppressed += o.Suppressed
	}
	return s
}

// settled waits until n events are read and accounted for.
func settled(t testing.TB, n int, workers ...*running) pipeline.Summary {
	t.Helper()
	eventually(t, fmt.Sprintf("%d events accounted for", n), func() bool {
		s := sum(workers...)
		return s.Read == int64(n) && s.Read == s.Invalid+s.Matched+s.Duplicate+s.Unmatched
	})
	return sum(workers...)
}

// embedded is what one worker that nobody disturbs makes of events.
func embedded(t testing.TB, rs *matcher.Ruleset, events [][]byte, o alerting.Options) ([]*sinks.Alert, pipeline.Summary) {
	t.Helper()
	var out []*sinks.Alert
	o.SaveAll = true
	eng := memory.New(memory.Options{OnAlert: func(a *sinks.Alert) { out = append(out, a) }})
	w, err := pipeline.New(pipeline.Options{Source: &list{events: events}, Engine: eng, Rules: rs, Alerting: o})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out, w.Summary()
}

// seen are the alerts so far.
func (r *reader) seen() []*sinks.Alert {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*sinks.Alert(nil), r.alerts...)
}

// count is how many alerts of a rule have been told with a status.
func (r *reader) count(rule string, status sinks.Status) (n int) {
	for _, a := range r.seen() {
		if a.RuleID == rule && a.Status == status {
			n++
		}
	}
	return n
}

// quiet ends the noise of a worker that is meant to fail.
func quiet(o *Options) { o.Log = zap.NewNop() }

// newTestStage is an alert stage by itself, whose watermark follows at once.
func newTestStage(t testing.TB) *alerting.Stage {
	t.Helper()
	s, err := alerting.Open(t.Context(), memory.New(memory.Options{}), 0, alerting.Options{Lateness: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return s
}

// groupOf has a source read as another group.
func groupOf(name string) func(*kafka.Options) {
	return func(o *kafka.Options) { o.Group = name }
}
