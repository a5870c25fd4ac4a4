package bench

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// subscriptions are the events of c as a CloudWatch Logs subscription brings
// them to a stream, so many in a record.
func subscriptions(tb testing.TB, c corpus, each int) [][]byte {
	tb.Helper()
	var out [][]byte
	for i := 0; i < len(c.events); i += each {
		b, err := traffic.Subscription(c.events[i:min(i+each, len(c.events))], "111122223333", "trail", "111122223333_CloudTrail_us-east-1")
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// inflating inflates records, with a reader and a buffer that it keeps.
func inflating(tb testing.TB, events int, records [][]byte) measure.Contender {
	tb.Helper()
	var src bytes.Reader
	var r gzip.Reader
	var buf []byte
	return measure.Contender{Name: "inflate", Events: events, Run: func() {
		for _, rec := range records {
			src.Reset(rec)
			if err := r.Reset(&src); err != nil {
				tb.Fatal(err)
			}
			for buf = buf[:0]; ; {
				if len(buf) == cap(buf) {
					buf = append(buf, make([]byte, max(64<<10, len(buf)))...)[:len(buf)]
				}
				n, err := r.Read(buf[len(buf):cap(buf)])
				buf = buf[:len(buf)+n]
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					tb.Fatal(err)
				}
			}
		}
	}}
}

// subscribed takes records the way of a worker's lane.
func subscribed(tb testing.TB, name string, events int, records [][]byte, rules []*matcher.Rule) measure.Contender {
	tb.Helper()
	tb.Helper()
	u, m := cloudtrail.NewUnwrapper(cloudtrail.Limits{}), compile(tb, rules).NewMatcher()
	u.Lazy = true
	var ev cloudtrail.Event
	var hits []matcher.Hit
	var newest int64
	seen := 0
	emit := func(it cloudtrail.Item) {
		if it.Kind != cloudtrail.ItemEvent {
			tb.Fatalf("not an event: %s", it.Raw)
		}
		seen++
		nanos, _ := ev.Time()
		newest = max(newest, nanos)
		h, _, err := m.Match(hits[:0], &ev)
		if hits = h; err != nil || ev.Broken() != nil {
			tb.Fatalf("errors %v, %v: %s", err, ev.Broken(), ev.Raw())
		}
	}
	return measure.Contender{Name: name, Events: events, Run: func() {
		seen = 0
		for _, rec := range records {
			u.Unwrap(rec, &ev, emit)
		}
		if seen != events {
			tb.Fatalf("%d events of %d", seen, events)
		}
	}}
}

// BenchmarkSubscription is the way of a CloudWatch Logs subscription's record
// from gzip to matches, beside inflating it alone.
func BenchmarkSubscription(b *testing.B) {
	for _, c := range corpora(b) {
		m := newRuleMaker(b, c)
		for _, size := range []struct {
			name string
			each int
		}{{"events=10", 10}, {"events=100", 100}} {
			records := subscriptions(b, c, size.each)
			b.Run(c.name+"/"+size.name, func(b *testing.B) {
				measure.Bench(b, measure.Options{}, true,
					inflating(b, len(c.events), records),
					subscribed(b, "rules=1000", len(c.events), records, m.sparse(1000)),
					subscribed(b, "quiet", len(c.events), records, m.quiet(1000)))
			})
		}
	}
}

func TestSubscriptionIsCheap(t *testing.T) {
	for _, c := range corpora(t) {
		records := subscriptions(t, c, 100)
		m := newRuleMaker(t, c)
		contenders := []measure.Contender{
			inflating(t, len(c.events), records),
			subscribed(t, "rules=1000", len(c.events), records, m.sparse(1000)),
		}
		bar(t, c.name+": from a CloudWatch Logs record to matches of 1,000 rules, as a multiple of inflating it", 2.0, func() float64 {
			return measure.Race(quick, contenders...)[1].Ratio
		})
	}
}

func TestSubscriptionAllocatesNothingAnEvent(t *testing.T) {
	c := generated(t, 2000)
	run := subscribed(t, "quiet", len(c.events), subscriptions(t, c, 100), newRuleMaker(t, c).quiet(1000)).Run
	if n := testing.AllocsPerRun(3, run) / float64(len(c.events)); n > 0.01 {
		t.Errorf("%.3f allocations an event, want those of the inflater alone", n)
	}
}
