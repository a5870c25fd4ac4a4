package bench

import (
	"context"
	"io"
	"math"
	"testing"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
)

// passes is how often one Run of working hands out the corpus: starting and
// stopping a worker should not show.
const passes = 50

// batchRecords is how many records a batch has, as from Kafka.
const batchRecords = 1000

// replay is a Source that hands out events that lie in memory, several times.
type replay struct {
	records []pipeline.Record
	batches int // still to come
	next    int
}

func (s *replay) Start(context.Context, map[string][]byte) error { return nil }

func (s *replay) Read(context.Context) (*pipeline.Batch, error) {
	if s.batches == 0 {
		return nil, io.EOF
	}
	s.batches--
	if s.next == len(s.records) {
		s.next = 0
	}
	from := s.next
	s.next = min(from+batchRecords, len(s.records))
	return &pipeline.Batch{
		Records: s.records[from:s.next], Places: nowhere{}, Live: true,
		Open: []pipeline.PartitionTime{{Partition: "memory", Time: math.MinInt64}},
	}, nil
}

func (s *replay) Committed(map[string][]byte)   {}
func (s *replay) Close(_ context.Context) error { return nil }

// nowhere is where records of a replay stand.
type nowhere struct{}

func (nowhere) Position(int) []byte { return nil }
func (nowhere) Label(int) string    { return "memory" }

// working takes each event through a whole worker with one lane: unwrapping,
// accounting, the watermark and commits included.
func working(tb testing.TB, name string, c corpus, rs *matcher.Ruleset) measure.Contender {
	tb.Helper()
	tb.Helper()
	records := make([]pipeline.Record, len(c.events))
	for i, raw := range c.events {
		records[i] = pipeline.Record{Partition: "memory", Payload: raw, Index: -1}
	}
	batches := (len(records) + batchRecords - 1) / batchRecords * passes
	return measure.Contender{Name: name, Events: len(records) * passes, Run: func() {
		eng := memory.New(memory.Options{NoOutbox: true})
		w, err := pipeline.New(pipeline.Options{
			Source: &replay{records: records, batches: batches}, Engine: eng, Rules: rs, Lanes: 1,
		})
		if err != nil {
			tb.Fatal(err)
		}
		if err := w.Run(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		if s := w.Summary(); s.Read != int64(len(records)*passes) || s.Invalid > 0 {
			tb.Fatalf("read %d events, %d invalid; want %d", s.Read, s.Invalid, len(records)*passes)
		}
	}}
}
