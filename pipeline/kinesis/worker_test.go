package kinesis

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

const workerRules = `
rules:
  - id: stop-logging
    title: Trail stopped
    severity: high
    match: {eventName: StopLogging}
  - id: failures
    title: Failed logins
    severity: medium
    match: {eventName: ConsoleLogin, responseElements.ConsoleLogin: Failure}
    threshold: {count: 5, window: 1m, group_by: [userIdentity.userName]}
`

// event is the i-th of a trail's.
func event(r *rand.Rand, i int) string {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(i)*2*time.Second - time.Duration(r.IntN(300))*time.Second)
	name, extra := "DescribeInstances", ""
	switch r.IntN(8) {
	case 0:
		name = "StopLogging"
	case 1, 2, 3:
		name, extra = "ConsoleLogin", `,"responseElements":{"ConsoleLogin":"Failure"}`
	}
	return fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"u%d"},"eventTime":%q,`+
		`"eventSource":"x.amazonaws.com","eventName":%q,"awsRegion":"eu-west-1","eventID":"id-%d","recipientAccountId":"111122223333"%s}`,
		r.IntN(4), at.Format(time.RFC3339), name, i, extra)
}

// wrap puts events into records of every form.
func wrap(t *testing.T, r *rand.Rand, events []string) (records [][]byte) {
	t.Helper()
	for len(events) > 0 {
		n := min(1+r.IntN(5), len(events))
		some := events[:n]
		events = events[n:]
		switch r.IntN(4) {
		case 0: // raw
			for _, ev := range some {
				records = append(records, []byte(ev))
			}
		case 1: // a CloudWatch Logs subscription
			records = append(records, logsRecord(t, some))
		case 2: // EventBridge
			for _, ev := range some {
				records = append(records, []byte(`{"version":"0","id":"x","detail-type":"AWS API Call via CloudTrail","source":"aws.x","account":"111122223333","time":"2026-03-01T08:00:00Z","region":"eu-west-1","resources":[],"detail":`+ev+`}`))
			}
		default: // aggregated, with a subscription inside
			var inside [][]byte
			for _, ev := range some {
				inside = append(inside, []byte(ev))
			}
			records = append(records, aggregate(append(inside, logsRecord(t, some[:1]))...))
		}
	}
	return records
}

// logsRecord is a CloudWatch Logs subscription's record, compressed.
func logsRecord(t *testing.T, events []string) []byte {
	t.Helper()
	type logEvent struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	var logs []logEvent
	for i, ev := range events {
		logs = append(logs, logEvent{fmt.Sprint(i), 1, ev})
	}
	msg, err := json.Marshal(map[string]any{
		"messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "trail", "logStream": "s", "subscriptionFilters": []string{"f"}, "logEvents": logs,
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(msg)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// stopping stops the worker after so many batches with records, or when
// everything is read and committed.
type stopping struct {
	*Source
	left int
	stop context.CancelFunc
	end  bool

	mu     sync.Mutex
	handed map[string]string // positions that are not committed yet, by partition
}

func (s *stopping) Read(ctx context.Context) (*pipeline.Batch, error) {
	b, err := s.Source.Read(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, pos := range b.Positions {
		s.handed[name] = string(pos)
	}
	for i, rec := range b.Records {
		s.handed[rec.Partition] = string(b.Places.Position(i))
	}
	for _, e := range b.Closed {
		if e.Position != nil {
			s.handed[e.Partition] = string(e.Position)
		}
	}
	if len(b.Records) > 0 {
		s.left--
	}
	s.end = b.Live && len(s.handed) == 0
	if s.left <= 0 || s.end {
		s.stop()
	}
	return b, nil
}

func (s *stopping) Committed(positions map[string][]byte) {
	s.Source.Committed(positions)
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, pos := range positions {
		if s.handed[name] == string(pos) {
			delete(s.handed, name)
		}
	}
}

// work runs a worker for some batches, and tells whether it came to the end.
func work(t *testing.T, o Options, state string, rs *matcher.Ruleset, batches int) (end bool) {
	t.Helper()
	o.IdleAfter = time.Hour // the events are old: by the wall clock all of them would be late
	src, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	quick(&src.t)
	src.o.PollInterval, src.o.ListInterval = 5*time.Millisecond, 30*time.Millisecond
	eng, err := sqlite.Open(t.Context(), state, sqlite.Options{NoOutbox: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := &stopping{Source: src, left: batches, stop: cancel, handed: make(map[string]string)}
	w, err := pipeline.New(pipeline.Options{
		Source: s, Engine: eng, Rules: rs, Lanes: 2, CommitEvents: 20, CommitEvery: 5 * time.Millisecond,
		Alerting: alerting.Options{Lateness: 6 * time.Hour}, // the shards progress unevenly: nothing is late however they do
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if sum := w.Summary(); sum.Read != sum.Invalid+sum.Matched+sum.Duplicate+sum.Unmatched || sum.Late != 0 || sum.Invalid != 0 {
		t.Errorf("accounting: %+v, %d late", sum.Tally, sum.Late)
	}
	if err := src.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := eng.Close(); err != nil {
		t.Error(err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("neither the end nor enough batches were read; health: %v", src.Health())
	}
	return s.end
}

// alerts is what two runs are compared by.
func alerts(t *testing.T, state string) (out []string) {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), state, sqlite.Options{NoOutbox: true})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	for a, err := range eng.List(t.Context(), alertstore.Filter{OldestFirst: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if a.MergedInto != "" {
			continue // which episodes meet depends on the order
		}
		ids := slices.Sorted(slices.Values(a.EventIDs))
		out = append(out, fmt.Sprintf("%s %v %v %d %s", a.RuleID, a.FirstTime, a.LastTime, a.Count, strings.Join(ids, ",")))
	}
	slices.Sort(out)
	return out
}

// A worker that is stopped again and again, while the stream is resharded and
// everything goes wrong, alerts as one does that reads a quiet shard in one go.
func TestWorkerRestarts(t *testing.T) {
	rules, suppress, err := native.Parse("test.yaml", []byte(workerRules))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := matcher.Compile(rules, matcher.Options{Suppress: suppress})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	var events []string
	for i := range 1200 {
		events = append(events, event(rnd, i))
	}
	calm := server(t, kinesistest.Options{})
	calm.CreateStream("trail", 1)
	for _, ev := range events {
		calm.Put("trail", "k", []byte(ev))
	}
	dir := t.TempDir()
	reference := filepath.Join(dir, "reference.db")
	if !work(t, options(calm, modePolling, "trail"), reference, rs, 1<<30) {
		t.Fatal("the reference run did not end")
	}
	want := alerts(t, reference)
	if len(want) < 100 {
		t.Fatalf("the events make %d alerts only", len(want))
	}
	records := wrap(t, rnd, events)
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{ListPage: 3})
		srv.CreateStream("trail", 2)
		faults(srv)
		state := filepath.Join(dir, mode+".db")
		o := options(srv, mode, "trail")
		for i, rec := range records {
			srv.Put("trail", fmt.Sprint(rnd.IntN(50)), rec)
			if i%100 == 50 {
				reshape(srv, rnd, "trail")
			}
			if i%150 == 100 {
				work(t, o, state, rs, 1+rnd.IntN(4))
			}
		}
		for n := 0; !work(t, o, state, rs, 1<<30); n++ {
			if n == 10 {
				t.Fatal("the end is not reached")
			}
		}
		if diff := cmp.Diff(want, alerts(t, state)); diff != "" {
			t.Errorf("alerts (-reference +restarted):\n%s", diff)
		}
	})
}
