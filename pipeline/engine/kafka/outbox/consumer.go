package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/sinks"
)

// passEvery is how often a place moves over records that are not for the sink
// while there is nothing to deliver.
const passEvery = time.Second

// consumer is a sink as a member of its group.
type consumer struct {
	b     *Outbox
	sink  string
	group string
	log   *zap.Logger
	lost  prometheus.Counter

	op sync.Mutex // held by Read, Settle and Close: one at a time
	cl *membership

	mu      sync.Mutex // guards what follows; callbacks of the client take it
	parts   map[int32]*partition
	pending []*entry // not done, by seq
	seq     int64
	broken  error           // the membership is of no use: join anew
	held    *held           // what the caller has; nil: nothing
	retired []*txn.Producer // of partitions that are gone
}

// entry is an alert that is not done.
type entry struct {
	engine.Entry
	p       *partition
	attempt attempt
	done    bool // while its transaction is under way
}

// read answers entries that are not done, and polls for more of them.
func (c *consumer) read(ctx context.Context, limit int) ([]engine.Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.b.ctx, cancel)()
	c.op.Lock()
	defer c.op.Unlock()
	c.release()
	for {
		if err := c.join(); err != nil {
			return nil, err
		}
		if n := c.waiting(limit); n < limit {
			wait := ctx
			if n > 0 {
				wait = nil // look only
			}
			if err := c.poll(wait, limit-n); err != nil {
				if c.b.ctx.Err() != nil {
					return nil, errClosed
				}
				return nil, err
			}
		}
		if have := c.hand(limit); len(have) > 0 {
			return have, nil
		}
		if err := c.pass(ctx); err != nil {
			return nil, err
		}
	}
}

// waiting is how many entries could be handed out, up to limit.
func (c *consumer) waiting(limit int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, _ := c.first(limit)
	return len(out)
}

// first are the first entries of partitions that stay, and those partitions.
// c.mu is held.
func (c *consumer) first(limit int) (out []engine.Entry, of map[*partition]bool) {
	of = map[*partition]bool{}
	out = make([]engine.Entry, 0, min(limit, len(c.pending)))
	for _, e := range c.pending {
		if len(out) == limit {
			break
		}
		if !e.p.leaving {
			out = append(out, e.Entry)
			of[e.p] = true
		}
	}
	return out, of
}

// poll takes what the client has. A nil ctx does not wait; otherwise it waits
// for records, but no longer than passEvery.
func (c *consumer) poll(ctx context.Context, limit int) error {
	outer := ctx
	if ctx != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, passEvery)
		defer cancel()
	}
	fetches := c.cl.PollRecords(ctx, limit)
	defer c.cl.AllowRebalance()
	// Records first: the client is past them, and errors come beside them.
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) > 0 || f.HighWatermark > 0 {
			c.took(&f.FetchPartition)
		}
	})
	for _, f := range fetches.Errors() {
		_, session := errors.AsType[*kgo.ErrGroupSession](f.Err)
		_, loss := errors.AsType[*kgo.ErrDataLoss](f.Err)
		switch {
		case outer != nil && outer.Err() != nil:
			return outer.Err()
		case errors.Is(f.Err, context.DeadlineExceeded) && f.Topic == "", loss: // nothing came; a gap is counted where it shows
		case session:
			c.log.Warn("membership of the sink's group is interrupted", zap.Error(f.Err))
		default:
			return fmt.Errorf("read %s/%d: %w", f.Topic, f.Partition, f.Err)
		}
	}
	return nil
}

// took enters polled records.
func (c *consumer) took(f *kgo.FetchPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.parts[f.Partition]
	if p == nil {
		return
	}
	if len(f.Records) > 0 {
		// Aborted records leave a gap, too: but not before the log's start.
		if first := min(f.Records[0].Offset, f.LogStartOffset); first > p.next {
			c.mourn(p, first)
		}
	}
	p.end = max(p.end, f.HighWatermark)
	before := c.place(p)
	for _, r := range f.Records {
		if r.Offset < p.next {
			continue
		}
		p.next, p.epoch = r.Offset+1, r.LeaderEpoch
		known, done := p.known.find(r.Offset)
		if r.Attrs.IsControl() || done || header(r, "notify") == "0" {
			continue
		}
		a, err := sinks.ParseAlert(r.Value)
		if err != nil {
			c.log.Error("an alert cannot be read and goes to the sink's dead letter",
				zap.Int32("partition", p.id), zap.Int64("offset", r.Offset), zap.Error(err))
			p.letters = append(p.letters, letter{Sink: c.sink, AlertID: string(r.Key), Reason: err.Error(), Partition: p.id, Offset: &r.Offset})
			continue
		}
		c.seq++
		e := &entry{Entry: engine.Entry{Seq: c.seq, Alert: a}, p: p, attempt: attempt{offset: r.Offset}}
		if known != nil {
			e.attempt = *known
			e.Known = &engine.Known{Seq: c.seq, Attempts: known.attempts, Single: known.single, First: known.first}
		}
		c.pending = append(c.pending, e)
	}
	p.moved = p.moved || c.place(p) > before
	c.observe(p)
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// pass moves places over records that are not for the sink.
func (c *consumer) pass(ctx context.Context) error {
	c.mu.Lock()
	var due []*partition
	for _, p := range c.parts {
		if len(p.letters) > 0 || p.moved && time.Since(p.passed) >= passEvery {
			due = append(due, p)
		}
	}
	c.mu.Unlock()
	for _, p := range due {
		if err := c.commit(ctx, p, nil); err != nil {
			return err
		}
	}
	return nil
}

// settle notes outcomes and makes them durable.
func (c *consumer) settle(ctx context.Context, seq int64, dead []engine.DeadLetter, known []engine.Known) error {
	c.op.Lock()
	defer c.op.Unlock()
	defer c.release()
	if c.cl == nil {
		return nil // never joined, or left: nothing is ours
	}
	outcome := map[int64]engine.Known{}
	for _, k := range known {
		outcome[k.Seq] = k
	}
	buried := map[int64]*engine.DeadLetter{}
	for i := range dead {
		buried[dead[i].Seq] = &dead[i]
	}
	c.mu.Lock()
	touched := map[*partition][]letter{}
	for _, e := range c.pending {
		k, has := outcome[e.Seq]
		d := buried[e.Seq]
		switch {
		case e.Seq <= seq, has && k.Done, d != nil:
			e.done = true
		case has:
			e.attempt.attempts, e.attempt.single, e.attempt.first = k.Attempts, k.Single, k.First
		default:
			continue
		}
		letters := touched[e.p]
		if d != nil {
			letters = append(letters, newLetter(d, e.p.id, e.attempt.offset))
		}
		touched[e.p] = letters
	}
	c.mu.Unlock()
	for p, letters := range touched {
		if err := c.commit(ctx, p, letters); err != nil {
			c.undo()
			return err
		}
	}
	return nil
}

// undo takes outcomes back that are not durable: the next Settle brings them again.
func (c *consumer) undo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.pending {
		e.done = false
	}
}

// drop forgets a partition. c.mu is held.
func (c *consumer) drop(id int32) {
	p := c.parts[id]
	if p == nil {
		return
	}
	delete(c.parts, id)
	c.retired = append(c.retired, p.producer)
	c.pending = slices.DeleteFunc(c.pending, func(e *entry) bool { return e.p == p })
	c.b.lag.DeleteLabelValues(c.sink, strconv.Itoa(int(id)))
}

// gone is the client's callback for partitions that are not ours any more.
func (c *consumer) gone(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ids := range lost {
		for _, id := range ids {
			c.drop(id)
		}
	}
}

func (c *consumer) observe(p *partition) {
	c.b.lag.WithLabelValues(c.sink, strconv.Itoa(int(p.id))).Set(float64(max(p.end-c.place(p), 0)))
}

// place is the first offset of p that is not done. c.mu is held.
func (c *consumer) place(p *partition) int64 {
	for _, e := range c.pending {
		if e.p == p && !e.done {
			return e.attempt.offset
		}
	}
	return p.next
}
