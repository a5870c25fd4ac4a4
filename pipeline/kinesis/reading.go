package kinesis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
)

// A chunk is a batch at most, and a batch a little more than one.
const (
	maxBatchRecords = 500
	maxBatchBytes   = 1 << 20
)

// reading is a shard while this worker reads it. Fields up to mu belong to its
// goroutine.
type reading struct {
	s       *Source
	st      *stream
	shard   string
	name    string       // of the partition
	created int64        // of the stream
	lease   *lease.Lease // nil: none is needed
	cancel  context.CancelFunc
	next    position // of what was queued last
	guess   int      // bytes that the next read may bring
	split   [][]byte // scratch
	touched chan struct{}

	// Guarded by Source.mu.
	over      bool     // nothing of it is handed out any more
	queued    int      // chunks in the queue
	handed    position // of the last record that was handed out, or the shard's end
	committed position
	since     time.Time // when the oldest that is not committed was handed out; zero: all is
	behind    int64     // milliseconds; -1: not known yet
	seenEnd   time.Time // the shard's end was seen then, perhaps not handed out yet
	reached   time.Time // everything up to seenEnd was handed out
	still     time.Time // nothing came since; zero: something did
	told      time.Time // reached, of the last time it was told to be idle
	ended     bool      // its end was handed out (under a lease: it is not committed yet)
	children  []lease.Shard
	inherited bool // its partition was closed with its end: its children's hold the watermark
}

// newReading makes a reading of shard from pos on.
func newReading(st *stream, shard string, pos position) *reading {
	return &reading{
		s: st.s, st: st, shard: shard, name: partition(st.label, shard), created: pos.created, cancel: func() {},
		next: pos, guess: 64 << 10, handed: pos, committed: pos, behind: -1, touched: make(chan struct{}, 1),
	}
}

// begin reads a shard whose parents are drained. The caller holds mu.
func (s *Source) begin(sh *shard) {
	sh.state = stateReading
	r := newReading(sh.st, sh.id, sh.pos)
	s.enter(r)
	if _, ok := sh.st.committed[sh.id]; !ok && sh.pos.kind == atHorizon && s.ledger == nil {
		// After a restart it is known by this, though its parents are finished
		// and the first list may leave it out.
		s.setPosition(r.name, sh.pos)
	}
	for _, id := range sh.parents {
		if s.out.From == nil {
			s.out.From = make(map[string][]string)
		}
		s.out.From[r.name] = append(s.out.From[r.name], partition(sh.st.label, id))
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	s.work.Go(func() {
		defer cancel()
		s.own(ctx, sh, r)
	})
}

// enter makes r known, and opens its partition. The caller holds mu.
func (s *Source) enter(r *reading) {
	s.readings[r.name] = r
	s.openPart(r.name)
	s.metrics.taken.Inc()
	s.metrics.reading.Set(float64(len(s.readings)))
}

// end lets nothing of r be handed out any more. The caller holds mu.
func (s *Source) end(r *reading) {
	r.over = true
	r.cancel()
	r.st.fineLocked(r)
	if s.readings[r.name] == r {
		delete(s.readings, r.name)
		s.metrics.behind.DeleteLabelValues(r.st.label, r.shard)
		s.metrics.reading.Set(float64(len(s.readings)))
	}
}

// own reads a shard that needs no lease.
func (s *Source) own(ctx context.Context, sh *shard, r *reading) {
	if s.ledger != nil {
		pos, ok, err := s.take(ctx, r.st, r.name)
		if err != nil {
			return
		}
		if ok {
			r.begins(pos)
		}
	}
	r.run(ctx, sh)
}

// begins makes pos the place where reading begins.
func (r *reading) begins(pos position) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	pos.created = r.created
	r.next, r.handed, r.committed = pos, pos, pos
}

// run reads until the shard's end, which is queued, or ctx ends. sh is nil
// under leases.
func (r *reading) run(ctx context.Context, sh *shard) {
	if r.next.kind == finished {
		if r.findChildren(ctx) == nil {
			r.push(nil, &chunk{r: r, end: true}, position{}, -1, time.Time{})
		}
		return
	}
	var last *chunk
	if r.s.o.Mode == modeFanOut {
		last = r.subscribe(ctx)
	} else {
		last = r.poll(ctx)
	}
	if last == nil {
		return
	}
	if last.gone {
		r.s.mu.Lock()
		r.st.lost(&shard{id: r.shard, wanted: sh == nil || sh.wanted})
		r.s.mu.Unlock()
	}
	if len(last.childs) == 0 && r.findChildren(ctx) != nil {
		return
	}
	r.push(nil, last, r.next, -1, time.Time{})
}

// findChildren waits, under a lease, until the children are listed that the
// shard's end did not tell, for they are to hold the watermark after it: there
// may be none. An error is that of ctx.
func (r *reading) findChildren(ctx context.Context) error {
	s := r.s
	s.mu.Lock()
	known := r.lease == nil || len(r.st.children[r.shard]) > 0
	s.mu.Unlock()
	if known {
		return nil
	}
	_, err := r.st.nextLook(ctx)
	return err
}

// poke lets who waits for r look again. The caller holds mu.
func (r *reading) poke() {
	select {
	case r.touched <- struct{}{}:
	default:
	}
}

// settled notes a committed position. The caller holds mu.
func (r *reading) settled(pos position) {
	r.committed = pos
	if r.done() {
		r.since = time.Time{}
	} else if !r.since.IsZero() {
		r.since = r.s.o.Now()
	}
	if r.lease != nil && pos.kind == atRecord {
		r.lease.Checkpoint(pos.sequence, int64(pos.sub))
	}
	r.poke()
}

// done says whether everything that was handed out is committed. The caller holds mu.
func (r *reading) done() bool {
	if r.handed.kind != r.committed.kind {
		return r.handed.kind != finished && r.handed.kind != atRecord
	}
	return r.handed.kind != atRecord || r.committed.covers(r.handed.sequence, r.handed.sub)
}

// iterator asks for an iterator at next, until there is one. It returns "" and
// nil when ctx ends, and the last chunk of a shard that is gone.
func (r *reading) iterator(ctx context.Context) (string, *chunk) {
	b := backoff{t: &r.s.t}
	for {
		in := &kinesis.GetShardIteratorInput{ShardId: &r.shard}
		in.StreamName, in.StreamARN = r.st.names()
		at := r.next.startingPosition()
		in.ShardIteratorType, in.StartingSequenceNumber, in.Timestamp = at.Type, at.SequenceNumber, at.Timestamp
		call, cancel := context.WithTimeout(ctx, r.s.t.call)
		out, err := r.st.client.GetShardIterator(call, in)
		cancel()
		if err == nil && out.ShardIterator != nil {
			return *out.ShardIterator, nil
		}
		if err == nil {
			err = errors.New("the answer holds no iterator")
		}
		if last, err := r.refusedPlace(ctx, "GetShardIterator", err); last != nil || err != nil {
			return "", last
		}
		if b.pause(ctx) != nil {
			return "", nil
		}
	}
}

// startingPosition is p as the service wants it.
func (p position) startingPosition() *types.StartingPosition {
	switch p.kind {
	case atTime:
		t := time.UnixMilli(p.millis)
		return &types.StartingPosition{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: &t}
	case atRecord:
		if p.whole {
			return &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &p.sequence}
		}
		return &types.StartingPosition{Type: types.ShardIteratorTypeAtSequenceNumber, SequenceNumber: &p.sequence}
	case atHorizon, finished, numKinds:
	}
	return &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
}

// refusedPlace deals with a failure to begin at next. It returns the last
// chunk of a shard that is gone; an error is that of ctx.
func (r *reading) refusedPlace(ctx context.Context, op string, err error) (*chunk, error) {
	if ended(ctx, err) {
		return nil, ctx.Err()
	}
	switch {
	case throttled(err):
		r.s.metrics.throttles.WithLabelValues(op).Inc()
		return nil, nil
	case notFound(err):
		gone := r.st.neverListed(r.shard)
		if !gone {
			var waitErr error
			if gone, waitErr = r.st.gone(ctx, r.shard); waitErr != nil {
				return nil, waitErr
			}
		}
		if gone {
			return &chunk{r: r, end: true, gone: true}, nil
		}
	case invalid(err) && r.next.kind == atRecord:
		// The stream may be another now: then a look ends this reading.
		if _, waitErr := r.st.gone(ctx, r.shard); waitErr != nil {
			return nil, waitErr
		}
		r.s.metrics.restarted.Inc()
		r.st.log.Error("the service does not know a position; the shard is read from its start",
			zap.String("shard", r.shard), zap.String("sequence", r.next.sequence), zap.Error(err))
		r.next = position{kind: atHorizon, created: r.created}
		return nil, nil
	}
	r.trouble(op, err)
	return nil, nil
}

func (r *reading) trouble(op string, err error) {
	r.st.trouble(r, fmt.Errorf("%s of %s: %w", op, r.name, err))
}

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
