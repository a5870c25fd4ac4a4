package kinesis

import (
	"context"
	"time"

	"github.com/trailtide/trailtide/pipeline"
)

// Read returns the next records, or after a second a batch that tells only
// how the shards stand.
func (s *Source) Read(ctx context.Context) (*pipeline.Batch, error) {
	t := time.NewTimer(s.t.tick)
	defer t.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if b := s.batch(false); b != nil {
			return b, nil
		}
		select {
		case <-ctx.Done():
		case <-s.changed:
		case <-t.C:
			return s.batch(true), nil
		}
	}
}

// batch makes a batch of what is queued and of how the shards stand. Without
// anything to tell it is nil, unless it must be.
func (s *Source) batch(must bool) *pipeline.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready() {
		if must {
			return &pipeline.Batch{}
		}
		return nil
	}
	b := &pipeline.Batch{}
	bytes := s.fill(b)
	if !must && len(b.Records) == 0 && len(s.out.Open)+len(s.out.Lost)+len(s.out.Closed)+len(s.out.Positions)+len(s.late) == 0 {
		s.budget.change(-bytes)
		return nil
	}
	b.Open, b.From, b.Lost, b.Closed, b.Positions = s.out.Open, s.out.From, s.out.Lost, s.out.Closed, s.out.Positions
	s.out = pipeline.Batch{}
	for name, pos := range s.late {
		s.setPosition(name, pos)
		s.wake()
	}
	clear(s.late)
	if len(b.Records) > 0 {
		b.Release = func() { s.budget.change(-bytes) }
	}
	s.times(b)
	if len(s.queue) > 0 {
		s.wake()
	}
	return b
}

// ready says whether all streams were looked at. Those that do not exist are
// not waited for, nor is anything where shards come and go. The caller holds mu.
func (s *Source) ready() bool {
	for _, st := range s.streams {
		if !st.listed && st.missing < goneAfter && s.leases == nil {
			return false
		}
	}
	return true
}

// fill takes chunks from the queue, and returns the bytes of those that it
// has put into b. The caller holds mu.
func (s *Source) fill(b *pipeline.Batch) (bytes int) {
	var p *places
	for len(s.queue) > 0 && len(b.Records) < maxBatchRecords && bytes < maxBatchBytes {
		c := s.queue[0]
		s.queue[0], s.queue = nil, s.queue[1:]
		r := c.r
		r.queued--
		if !r.over && r.lease != nil && !r.lease.Valid() {
			r.over = true // nothing behind what is dropped may be handed out either
			r.cancel()
			r.poke()
		}
		if r.over {
			s.budget.change(-c.bytes)
			continue
		}
		if len(c.records) > 0 {
			if p == nil {
				p = &places{}
				b.Places = p
			}
			b.Records, p.places = append(b.Records, c.records...), append(p.places, c.places...)
			bytes += c.bytes
			r.handed = c.places[len(c.places)-1].position()
			if r.since.IsZero() {
				r.since = s.o.Now()
			}
		}
		if r.queued == 0 {
			r.reached = r.seenEnd
		}
		if c.end {
			s.finished(c)
		}
	}
	if p != nil {
		p.records = b.Records
	}
	return bytes
}

// finished ends a reading at its shard's end. The caller holds mu.
func (s *Source) finished(c *chunk) {
	r := c.r
	s.metrics.shardsFinished.Inc()
	r.handed = c.final
	if r.committed.kind == finished { // so the holder before left it, who may not have closed it
		r.committed = position{}
	}
	r.poke()
	if r.lease != nil {
		// It stays until its end is committed, and a while longer if nobody is known
		// to hold the watermark in its place: see serve.
		r.children, r.ended = c.childs, true
		if heirs := r.heirs(); len(heirs) > 0 {
			s.closePart(r.name, c.final.encode(), heirs...)
			r.inherited = true
			return
		}
		s.late[r.name] = c.final
		return
	}
	sh := r.st.shards[r.shard]
	s.end(r)
	if sh != nil {
		sh.pos = c.final
		r.st.finish(sh, c.childs)
	}
}

// times tells which shards are idle and whether everything is read. The caller
// holds mu.
func (s *Source) times(b *pipeline.Batch) {
	fresh := s.o.Now().Add(-s.t.fresh)
	b.Live = len(s.readings) > 0
	for _, st := range s.streams {
		b.Live = b.Live && st.listed && len(st.failing) == 0
		if s.leases == nil {
			for _, sh := range st.shards {
				b.Live = b.Live && sh.state >= stateReading
			}
		}
	}
	for _, r := range s.readings {
		if r.ended {
			continue
		}
		if r.reached.Before(fresh) {
			b.Live = false
			continue
		}
		// The wall clock of the read that found nothing, not of now.
		if r.reached.After(r.told) && !r.still.IsZero() && r.reached.Sub(r.still) >= s.o.IdleAfter {
			b.Idle = append(b.Idle, pipeline.PartitionTime{Partition: r.name, Time: r.reached.UnixNano()})
			r.told = r.reached
		}
	}
}

// checkpointAge is how long the longest-waiting record was handed out, in seconds.
func (s *Source) checkpointAge() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	age, now := 0.0, s.o.Now()
	for _, r := range s.readings {
		if !r.since.IsZero() {
			age = max(age, now.Sub(r.since).Seconds())
		}
	}
	return age
}
