package kinesis

import (
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

// A chunk is a batch at most, and a batch a little more than one.
const (
	maxBatchRecords = 500
	maxBatchBytes   = 1 << 20
)

// chunk is a run of records of one shard, or its end.
type chunk struct {
	r       *reading
	records []pipeline.Record
	places  []place
	bytes   int // of the budget
	end     bool
	gone    bool // retention ended it
	final   position
	childs  []lease.Shard
}

// take turns the records of one read into chunks, and moves next behind them.
// It returns the bytes of the data of those that are in a chunk.
func (r *reading) take(recs []types.Record) (chunks []*chunk, kept int) {
	m := r.s.metrics
	var c *chunk
	for i := range recs {
		rec := &recs[i]
		if rec.SequenceNumber == nil {
			continue
		}
		if c == nil || len(c.records) >= maxBatchRecords || c.bytes >= maxBatchBytes {
			c = &chunk{r: r}
		}
		n := r.record(c, rec)
		m.records.Inc()
		m.bytes.Add(float64(len(rec.Data)))
		if n == 0 {
			m.repeatsSkipped.Inc()
			continue
		}
		m.userRecords.Add(float64(n))
		c.bytes += len(rec.Data)
		kept += len(rec.Data)
		if len(chunks) == 0 || chunks[len(chunks)-1] != c {
			chunks = append(chunks, c)
		}
	}
	return chunks, kept
}

// record adds one record's user records to c, without those that were read before.
func (r *reading) record(c *chunk, rec *types.Record) (added int) {
	sequence := *rec.SequenceNumber
	arrived := time.Time{}
	if rec.ApproximateArrivalTimestamp != nil {
		arrived = *rec.ApproximateArrivalTimestamp
	}
	add := func(p place, data []byte, problem string) {
		if r.next.covers(sequence, p.sub) {
			return
		}
		added++
		p.sequence, p.created = sequence, r.created
		c.places = append(c.places, p)
		c.records = append(c.records, pipeline.Record{Partition: r.name, Payload: data, Index: -1, Problem: problem, Arrived: arrived})
	}
	last := int32(0)
	if !isAggregate(rec.Data) {
		add(place{whole: true}, rec.Data, "")
	} else {
		var err error
		if r.split, err = splitAggregate(r.split[:0], rec.Data); err != nil {
			r.s.metrics.broken.Inc()
			add(place{whole: true}, rec.Data, err.Error())
		}
		last = int32(max(len(r.split)-1, 0)) //nolint:gosec // a record has at most 10 MiB
		for i, data := range r.split {
			add(place{sub: int32(i), inside: true, whole: int32(i) == last}, data, "") //nolint:gosec // as above
		}
		clear(r.split)
	}
	if r.next.kind != atRecord || compareSequences(sequence, r.next.sequence) >= 0 {
		r.next = position{kind: atRecord, created: r.created, sequence: sequence, sub: last, whole: true}
	}
	return added
}

// push queues chunks, and last if it is set: the shard's end. behind is
// negative if it is not known; asked is when the read began.
func (r *reading) push(chunks []*chunk, last *chunk, final position, behind int64, asked time.Time) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.over {
		for _, c := range chunks {
			s.budget.change(-c.bytes)
		}
		return
	}
	if last != nil {
		last.final = position{kind: finished, created: r.created, sequence: final.sequence, sub: final.sub, whole: true}
		chunks = append(chunks, last)
	}
	s.queue = append(s.queue, chunks...)
	r.queued += len(chunks)
	if behind >= 0 {
		r.behind = behind
		s.metrics.behind.WithLabelValues(r.st.label, r.shard).Set(float64(behind))
		switch {
		case behind > 0 || len(chunks) > 0:
			r.still = time.Time{}
		case r.still.IsZero():
			r.still = asked
		}
		if behind == 0 {
			r.seenEnd = asked
		}
	}
	if r.queued == 0 {
		r.reached = r.seenEnd
	}
	r.st.fineLocked(r)
	if len(chunks) > 0 {
		s.wake()
	}
}

// place is where a record stands.
type place struct {
	sequence string
	created  int64
	sub      int32
	inside   bool // of an aggregate
	whole    bool // it is the last of its Kinesis record
}

func (p place) position() position {
	return position{kind: atRecord, created: p.created, sequence: p.sequence, sub: p.sub, whole: p.whole}
}

// places are where a batch's records stand.
type places struct {
	records []pipeline.Record
	places  []place
}

func (p *places) Position(i int) []byte { return p.places[i].position().encode() }

func (p *places) Label(i int) string {
	label := p.records[i].Partition + "@" + p.places[i].sequence
	if p.places[i].inside {
		label += ":" + strconv.Itoa(int(p.places[i].sub))
	}
	return label
}
