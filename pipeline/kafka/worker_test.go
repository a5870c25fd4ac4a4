package kafka

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
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
  - id: many-sources
    title: One user from many places
    severity: low
    match: {eventName: ConsoleLogin}
    threshold: {distinct: {field: sourceIPAddress, count: 4}, window: 2m, group_by: [userIdentity.userName]}
`

// payloads makes events of which some match, some come twice or out of order,
// some share an envelope and some are broken.
func payloads(r *rand.Rand, n int) (out []string) {
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for i := range n {
		at := start.Add(time.Duration(i)*2*time.Second - time.Duration(r.IntN(600))*time.Second)
		name, extra := "DescribeInstances", ""
		switch r.IntN(12) {
		case 0:
			name = "StopLogging"
		case 1, 2, 3:
			name, extra = "ConsoleLogin", `,"responseElements":{"ConsoleLogin":"Failure"}`
		case 4:
			name, extra = "ConsoleLogin", `,"responseElements":{"ConsoleLogin":"Success"}`
		}
		ev := fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"u%d"},"eventTime":%q,`+
			`"eventSource":"x.amazonaws.com","eventName":%q,"awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.%d",`+
			`"eventID":"id-%d","recipientAccountId":"111122223333"%s}`,
			r.IntN(4), at.Format(time.RFC3339), name, r.IntN(9), i, extra)
		switch r.IntN(20) {
		case 0:
			ev = `{"Records":[` + ev + `,` + ev + `]}`
		case 1:
			ev = ev[:len(ev)/2]
		}
		out = append(out, ev)
		if r.IntN(10) == 0 {
			out = append(out, out[r.IntN(len(out))])
		}
	}
	return out
}

// plain is a Source over payloads in memory.
type plain struct {
	payloads []string
	next     int
}

func (s *plain) Start(context.Context, map[string][]byte) error { return nil }
func (s *plain) Committed(map[string][]byte)                    {}
func (s *plain) Close(context.Context) error                    { return nil }

func (s *plain) Read(context.Context) (*pipeline.Batch, error) {
	if s.next == len(s.payloads) {
		return nil, io.EOF
	}
	b := &pipeline.Batch{Places: plainPlaces{}, Open: []pipeline.PartitionTime{{Partition: "plain", Time: math.MinInt64}}}
	for len(b.Records) < 50 && s.next < len(s.payloads) {
		b.Records = append(b.Records, pipeline.Record{Partition: "plain", Payload: []byte(s.payloads[s.next]), Index: -1})
		s.next++
	}
	return b, nil
}

type plainPlaces struct{}

func (plainPlaces) Position(int) []byte { return nil }
func (plainPlaces) Label(int) string    { return "plain" }

// stopping stops the worker after so many batches with records, or at the end.
type stopping struct {
	*Source
	left int
	stop context.CancelFunc
}

func (s *stopping) Read(ctx context.Context) (*pipeline.Batch, error) {
	b, err := s.Source.Read(ctx)
	if err == nil && len(b.Records) > 0 {
		s.left--
	}
	if s.left <= 0 || err == nil && b.Live && len(b.Records) == 0 {
		s.stop()
	}
	return b, err
}

func run(ctx context.Context, t *testing.T, src pipeline.Source, eng engine.Engine, rs *matcher.Ruleset) pipeline.Summary {
	t.Helper()
	w, err := pipeline.New(pipeline.Options{
		Source: src, Engine: eng, Rules: rs, Lanes: 3, CommitEvents: 20, CommitEvery: 5 * time.Millisecond,
		// The partitions progress unevenly: nothing is late however they do.
		Alerting: alerting.Options{Lateness: 6 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	s := w.Summary()
	if s.Read != s.Invalid+s.Matched+s.Duplicate+s.Unmatched {
		t.Errorf("accounting: %+v", s.Tally)
	}
	if s.Late != 0 {
		t.Errorf("%d events are late", s.Late)
	}
	return s
}

// lister is what can show its alerts.
type lister interface{ alertstore.Store }

// told is what two runs are compared by.
func told(t *testing.T, e lister) (out []string) {
	t.Helper()
	for a, err := range e.List(t.Context(), alertstore.Filter{OldestFirst: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if a.MergedInto != "" {
			continue // which episodes meet depends on the order
		}
		ids := slices.Clone(a.EventIDs)
		slices.Sort(ids)
		var group []string
		for k, v := range a.Group {
			group = append(group, k+"="+*v)
		}
		slices.Sort(group)
		id := ""
		if len(group) == 0 {
			id = a.AlertID // of a plain alert: the same in every run
		}
		out = append(out, fmt.Sprintf("%s %s %s %v %v %d %s", id, a.RuleID, group, a.FirstTime, a.LastTime, a.Count, strings.Join(ids, ",")))
	}
	slices.Sort(out)
	return out
}

// A worker that is stopped again and again, and goes on over the same state,
// alerts as one does that reads the same payloads in one go.
func TestWorkerRestarts(t *testing.T) {
	rules, suppress, err := native.Parse("test.yaml", []byte(workerRules))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := matcher.Compile(rules, matcher.Options{Suppress: suppress})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	all := payloads(r, 1500)
	calm := memory.New(memory.Options{})
	want := run(t.Context(), t, &plain{payloads: all}, calm, rs)
	if want.Matched == 0 || want.Invalid == 0 || want.Duplicate == 0 || want.Unmatched == 0 {
		t.Fatalf("the payloads do not have every class: %+v", want.Tally)
	}

	c := cluster(t)
	newTopic(t, c, "trail", 3)
	var records []*kgo.Record
	for _, p := range all {
		records = append(records, &kgo.Record{Topic: "trail", Partition: r.Int32N(3), Value: []byte(p)})
	}
	if err := kclient(t, c, kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(16<<10)).
		ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	o := options(c, "trail")
	o.MaxPollRecords, o.IdleAfter = 15, time.Hour
	path := filepath.Join(t.TempDir(), "state.db")
	var got pipeline.Tally
	runs := 0
	for done := false; !done; runs++ {
		if runs > 200 {
			t.Fatal("no progress")
		}
		eng, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		src, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s := run(ctx, t, &stopping{Source: src, left: 1 + r.IntN(20), stop: cancel}, eng, rs)
		cancel()
		if err := src.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		sum(&got, &s.Tally)
		done = at(t, eng) == len(all)
		if done {
			if diff := cmp.Diff(told(t, calm), told(t, eng)); diff != "" {
				t.Errorf("alerts differ (-in one go +restarted):\n%s", diff)
			}
			checkLabels(t, eng, all, records)
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if runs < 5 {
		t.Errorf("only %d runs", runs)
	}
	if diff := cmp.Diff(want.Tally, got); diff != "" {
		t.Errorf("accounting differs:\n%s", diff)
	}
}

func sum(to, t *pipeline.Tally) {
	to.Read += t.Read
	to.Invalid += t.Invalid
	to.Matched += t.Matched
	to.Duplicate += t.Duplicate
	to.Unmatched += t.Unmatched
	to.Skipped += t.Skipped
	to.Bytes += t.Bytes
}

// at is how many records the committed positions have behind them.
func at(t *testing.T, e engine.Engine) (n int) {
	t.Helper()
	positions, err := e.Positions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		pos, err := decodePosition(p)
		if err != nil {
			t.Fatal(err)
		}
		n += int(pos.offset)
	}
	return n
}

// checkLabels follows the position of every plain alert to its record.
func checkLabels(t *testing.T, e lister, all []string, records []*kgo.Record) {
	t.Helper()
	byLabel := make(map[string]string)
	for i, rec := range records {
		byLabel["trail/"+strconv.Itoa(int(rec.Partition))+"@"+strconv.FormatInt(rec.Offset, 10)] = all[i]
	}
	n := 0
	for a, err := range e.List(t.Context(), alertstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if a.RuleID != "stop-logging" {
			continue
		}
		label, _, _ := strings.Cut(a.Position, "#")
		if !strings.Contains(byLabel[label], `"`+a.EventID+`"`) {
			t.Errorf("alert of %s has position %s, where there is %.120q", a.EventID, a.Position, byLabel[label])
		}
		n++
	}
	if n == 0 {
		t.Error("no plain alert")
	}
}
