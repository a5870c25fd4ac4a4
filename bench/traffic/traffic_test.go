package traffic_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/bench/traffic"
)

func generator(tb testing.TB, c traffic.Config) *traffic.Generator {
	tb.Helper()
	g, err := traffic.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func take(g *traffic.Generator, n int) [][]byte {
	var all [][]byte
	for range n {
		all = append(all, g.AppendNext(nil))
	}
	return all
}

// record is what every event must have. Semantics: CloudTrail record contents.
type record struct {
	EventVersion       string
	UserIdentity       map[string]any
	EventTime          time.Time
	EventSource        string
	EventName          string
	AwsRegion          string
	SourceIPAddress    string
	UserAgent          string
	ErrorCode          string
	RequestID          string
	EventID            string
	ReadOnly           *bool
	EventType          string
	ManagementEvent    *bool
	RecipientAccountID string
	EventCategory      string
}

func parse(tb testing.TB, raw []byte) record {
	tb.Helper()
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		tb.Fatalf("%v in %s", err, raw)
	}
	return r
}

func TestEventsAreCloudTrail(t *testing.T) {
	g := generator(t, traffic.Config{Seed: 1, Incidents: -1, IncidentEvery: time.Second})
	names, services, accounts := map[string]int{}, map[string]bool{}, map[string]bool{}
	size, failed := 0, 0
	const n = 100_000
	for _, raw := range take(g, n) {
		r := parse(t, raw)
		if r.EventVersion == "" || r.UserIdentity["type"] == nil || r.EventTime.IsZero() || r.EventSource == "" || r.EventName == "" ||
			r.AwsRegion == "" || r.SourceIPAddress == "" || r.UserAgent == "" || len(r.RequestID) != 36 || len(r.EventID) != 36 ||
			r.ReadOnly == nil || r.ManagementEvent == nil || r.EventType == "" || len(r.RecipientAccountID) != 12 || r.EventCategory == "" {
			t.Fatalf("a field is missing in %s", raw)
		}
		if bytes.ContainsAny(raw, "\n$") && !bytes.Contains(raw, []byte("$LATEST")) && !bytes.Contains(raw, []byte("$Latest")) {
			t.Fatalf("a newline or an unfilled hole in %s", raw)
		}
		names[r.EventSource+r.EventName]++
		services[r.EventSource] = true
		accounts[r.RecipientAccountID] = true
		size += len(raw)
		if r.ErrorCode != "" {
			failed++
		}
	}
	if len(names) < 120 || len(services) < 25 || len(accounts) < 30 {
		t.Errorf("%d names of %d services in %d accounts", len(names), len(services), len(accounts))
	}
	if mean := size / n; mean < 1000 || mean > 1500 {
		t.Errorf("an event has %d bytes on average", mean)
	}
	if share := float64(failed) / n; share < 0.01 || share > 0.05 {
		t.Errorf("a share of %.3f fails", share)
	}
	if top := names["s3.amazonaws.comGetObject"]; top < n/20 || top > n/4 {
		t.Errorf("the most frequent call comes %d times of %d: no skew as real traffic has it", top, n)
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	c := traffic.Config{Seed: 7, Lateness: time.Minute, Duplicates: 0.05, Incidents: -1, IncidentEvery: time.Second}
	a, b := generator(t, c), generator(t, c)
	if !bytes.Equal(bytes.Join(take(a, 20_000), []byte("\n")), bytes.Join(take(b, 20_000), []byte("\n"))) {
		t.Error("two generators of one config differ")
	}
	if d := cmp.Diff(a.Incidents(), b.Incidents()); d != "" || len(a.Incidents()) < 10 {
		t.Error(d, len(a.Incidents()))
	}
	c.Seed = 8
	if bytes.Equal(a.AppendNext(nil), generator(t, c).AppendNext(nil)) {
		t.Error("another seed gives the same event")
	}
}

func TestLatenessAndDuplicates(t *testing.T) {
	c := traffic.Config{Seed: 3, EventsPerSecond: 500, Lateness: 90 * time.Second, Duplicates: 0.05, Incidents: -1, IncidentEvery: time.Second}
	newest, last := time.Time{}, time.Time{}
	seen := map[string]int{}
	distinct := map[string]string{}
	var most time.Duration
	outOfOrder := 0
	const n = 150_000
	for _, raw := range take(generator(t, c), n) {
		r := parse(t, raw)
		if r.EventTime.Before(last) {
			outOfOrder++
		}
		last = r.EventTime
		if r.EventTime.After(newest) {
			newest = r.EventTime
		}
		most = max(most, newest.Sub(r.EventTime))
		if seen[r.EventID]++; seen[r.EventID] == 1 {
			distinct[r.EventID] = string(raw)
		} else if distinct[r.EventID] != string(raw) {
			t.Fatal("a duplicate has other bytes than the first")
		}
	}
	if most > c.Lateness || most < c.Lateness/2 {
		t.Errorf("the latest event is %v late of %v allowed", most, c.Lateness)
	}
	if outOfOrder < n/4 {
		t.Errorf("only %d events are out of order", outOfOrder)
	}
	if share := float64(n-len(seen)) / n; math.Abs(share-0.05) > 0.01 {
		t.Errorf("a share of %.3f are duplicates", share)
	}

	c.Lateness, c.Duplicates = 0, 0
	last = time.Time{}
	for _, raw := range take(generator(t, c), 20_000) {
		r := parse(t, raw)
		if r.EventTime.Before(last) {
			t.Fatal("out of order without lateness")
		}
		last = r.EventTime
	}
}

func TestIncidents(t *testing.T) {
	kinds := traffic.Kinds()
	if len(kinds) < 12 {
		t.Fatalf("only %d kinds", len(kinds))
	}
	g := generator(t, traffic.Config{Seed: 5, Incidents: 2 * len(kinds), Lateness: 10 * time.Second, Duplicates: 0.2, IncidentEvery: 2 * time.Second})
	byID := map[string]record{}
	for _, raw := range take(g, 200_000) {
		r := parse(t, raw)
		byID[r.EventID] = r
	}
	all := g.Incidents()
	if len(all) != 2*len(kinds) {
		t.Fatalf("%d incidents", len(all))
	}
	for i, in := range all {
		if k := kinds[i%len(kinds)]; in.Kind != k.Name || in.RuleID != k.RuleID {
			t.Errorf("incident %d is a %s", i, in.Kind)
		}
		var last time.Time
		for k, id := range in.EventIDs {
			r, ok := byID[id]
			if !ok {
				t.Fatalf("%s: event %q never came", in.ID, id)
			}
			if r.RecipientAccountID != in.Account || r.AwsRegion != in.Region || r.EventTime.Before(last) || k == 0 && !r.EventTime.Equal(in.Time) {
				t.Errorf("%s: %+v is not of %+v", in.ID, r, in)
			}
			last = r.EventTime
		}
		if in.Kind == "login-brute-force" && (len(in.EventIDs) != 20 || last.Sub(in.Time) > time.Minute) {
			t.Errorf("%s: %d failures in %v", in.ID, len(in.EventIDs), last.Sub(in.Time))
		}
	}
}

func unzip(tb testing.TB, b []byte) []byte {
	tb.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		tb.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestEnvelopes(t *testing.T) {
	events := take(generator(t, traffic.Config{Seed: 1}), 50)
	file, err := traffic.RecordsFile(events)
	if err != nil {
		t.Fatal(err)
	}
	var records struct{ Records []json.RawMessage }
	if err := json.Unmarshal(unzip(t, file), &records); err != nil {
		t.Fatal(err)
	}
	sub, err := traffic.Subscription(events, "111122223333", "org-trail", "one")
	if err != nil {
		t.Fatal(err)
	}
	var subscription struct {
		MessageType string
		LogEvents   []struct{ Message string }
	}
	if err := json.Unmarshal(unzip(t, sub), &subscription); err != nil {
		t.Fatal(err)
	}
	if len(records.Records) != len(events) || len(subscription.LogEvents) != len(events) || subscription.MessageType != "DATA_MESSAGE" {
		t.Fatalf("%d records, %d log events", len(records.Records), len(subscription.LogEvents))
	}
	for i, e := range events {
		if !bytes.Equal(records.Records[i], e) || subscription.LogEvents[i].Message != string(e) {
			t.Errorf("event %d is not what went in", i)
		}
		var bridge struct {
			DetailType string `json:"detail-type"`
			Source     string
			Account    string
			Detail     json.RawMessage
		}
		if err := json.Unmarshal(traffic.EventBridge(e), &bridge); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bridge.Detail, e) || !strings.HasPrefix(bridge.Source, "aws.") || len(bridge.Account) != 12 || !strings.HasSuffix(bridge.DetailType, "via CloudTrail") {
			t.Errorf("EventBridge: %+v", bridge)
		}
	}
}

func TestConfig(t *testing.T) {
	_, err := traffic.New(traffic.Config{Accounts: -1, Duplicates: 2, Lateness: -1, EventsPerSecond: math.NaN()})
	for _, want := range []string{"Accounts is -1", "Duplicates is 2", "Lateness is negative", "EventsPerSecond is NaN"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func BenchmarkAppendNext(b *testing.B) {
	for name, c := range map[string]traffic.Config{
		"ordered":  {Seed: 1, Incidents: -1},
		"shuffled": {Seed: 1, Incidents: -1, Lateness: time.Minute, Duplicates: 0.05},
	} {
		b.Run(name, func(b *testing.B) {
			g := generator(b, c)
			buf := g.AppendNext(nil)
			bytes := 0
			b.ReportAllocs()
			for b.Loop() {
				buf = g.AppendNext(buf[:0])
				bytes += len(buf)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.SetBytes(int64(bytes / b.N))
		})
	}
}
