package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

// tries is how often an aborted transaction is made again at once; retryPause
// comes between.
const (
	tries      = 20
	retryPause = 50 * time.Millisecond
)

// commit makes a partition's place, what is known behind it, and letters
// durable. A partition that is not ours any more is dropped, which is no error.
func (c *consumer) commit(ctx context.Context, p *partition, letters []letter) error {
	for n := 1; ; n++ {
		err := c.try(ctx, p, letters)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, engine.ErrFenced):
			c.log.Warn("another worker delivers this partition now", zap.Int32("partition", p.id))
			c.mu.Lock()
			if c.parts[p.id] == p {
				c.drop(p.id)
				c.broken = err
			}
			c.mu.Unlock()
			return nil
		case tooLarge(err) && c.shorten(p, letters):
			continue
		case !errors.Is(err, engine.ErrAborted):
			return fmt.Errorf("store the place of sink %s: %w", c.sink, err)
		case n >= tries:
			c.mu.Lock()
			c.broken = err
			c.mu.Unlock()
			return fmt.Errorf("store the place of sink %s: %w", c.sink, err)
		}
		timer := time.NewTimer(retryPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// try makes one transaction.
func (c *consumer) try(ctx context.Context, p *partition, letters []letter) error {
	if p.doubt != nil {
		durable, err := p.producer.Settle(ctx)
		if err != nil {
			return err
		}
		if durable {
			c.bury(p, p.doubt.letters)
		}
		p.doubt = nil
	}
	// The membership comes before the look at whether the partition is ours: if
	// it goes to another worker after that, the generation is not the one that we
	// claim, and the broker refuses.
	member, generation := c.cl.GroupMetadata()
	c.mu.Lock()
	if c.parts[p.id] != p {
		c.mu.Unlock()
		return nil
	}
	state := c.progress(p)
	var all []letter
	for _, l := range slices.Concat(p.letters, letters) {
		if l.Offset == nil || !p.buried[*l.Offset] {
			all = append(all, l)
		}
	}
	p.nonce++
	offsets := &txn.Offsets{Group: c.group, Member: member, Instance: c.b.o.InstanceID, Generation: generation}
	offsets.Add(c.b.o.Names.Alerts(), p.id, txn.Offset{Offset: state.place, Epoch: p.epoch, Metadata: strconv.FormatInt(p.nonce, 36)})
	own := len(p.letters)
	c.mu.Unlock()

	records := []*kgo.Record{{Topic: c.b.o.Names.Notify(), Key: []byte(notifyKey(c.sink, p.id)), Value: state.encode()}}
	for _, l := range all {
		records = append(records, c.letterRecord(l))
	}
	err := p.producer.Commit(ctx, records, offsets)
	if errors.Is(err, txn.ErrUnsettled) {
		p.doubt = &write{letters: all, records: records}
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.letters = p.letters[own:]
	if c.parts[p.id] != p {
		return nil
	}
	c.pending = slices.DeleteFunc(c.pending, func(e *entry) bool { return e.p == p && e.done })
	p.done, p.moved, p.passed = max(p.done, state.next), c.place(p) > state.place, time.Now()
	for offset := range p.buried {
		if offset < state.place {
			delete(p.buried, offset)
		}
	}
	for _, l := range all {
		if l.Offset != nil && *l.Offset >= state.place {
			p.buried[*l.Offset] = true
		}
	}
	c.observe(p)
	return nil
}

// bury notes letters that turned out to be durable.
func (c *consumer) bury(p *partition, letters []letter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range letters {
		if l.Offset != nil {
			p.buried[*l.Offset] = true
		}
	}
	p.letters = slices.DeleteFunc(p.letters, func(l letter) bool {
		return slices.ContainsFunc(letters, func(w letter) bool { return w.Lost != nil && w.Lost == l.Lost })
	})
}

// progress is what is to be stored of p. Of alerts behind the last one that is
// done or was tried nothing is worth storing. c.mu is held.
func (c *consumer) progress(p *partition) *progress {
	s := &progress{place: c.place(p), next: p.done}
	var open []attempt
	for _, e := range c.pending {
		switch {
		case e.p != p:
		case e.done:
			s.next = max(s.next, e.attempt.offset+1)
		default:
			open = append(open, e.attempt)
			if e.attempt.attempts > 0 {
				s.next = max(s.next, e.attempt.offset+1)
			}
		}
	}
	s.next = max(s.next, s.place)
	for _, a := range open {
		if a.offset < s.next {
			s.open = append(s.open, a)
		}
	}
	return s
}
