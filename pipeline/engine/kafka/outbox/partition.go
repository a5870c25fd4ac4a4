package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

// partition is a partition of the alerts topic that a consumer owns.
type partition struct {
	id       int32
	producer *txn.Producer // used under consumer.op
	known    *progress     // what the last owner knew; nil: nothing

	next    int64 // after the last record that was polled
	begun   bool  // the client has been told where to read
	leaving bool  // it goes to another worker as soon as the caller is done with it
	epoch   int32 // of that record's leader; -1: unknown
	end     int64 // of the log, as last seen
	done    int64 // after the last record that is known to be done
	moved   bool  // the place has moved, and no transaction has noted it yet
	passed  time.Time
	letters []letter       // to be written with the next transaction
	buried  map[int64]bool // offsets whose dead letters are durable, from the place on
	doubt   *write         // a transaction whose outcome is unknown; used under consumer.op
	nonce   int64          // tells transactions with one offset apart
}

// write is one transaction.
type write struct {
	letters []letter
	records []*kgo.Record
}

// letter is a record of a sink's dead-letter topic.
type letter struct {
	V         int             `json:"v"`
	Sink      string          `json:"sink"`
	AlertID   string          `json:"alert_id,omitempty"`
	Reason    string          `json:"reason"`
	Partition int32           `json:"partition"`
	Offset    *int64          `json:"offset,omitempty"`
	Lost      *gap            `json:"lost,omitempty"` // alerts that nobody can read any more
	Alert     json.RawMessage `json:"alert,omitempty"`
}

// gap is a range of offsets that retention has removed.
type gap struct {
	From  int64 `json:"from"`
	To    int64 `json:"to"` // the first that is still there
	Count int64 `json:"count"`
}

func newLetter(d *engine.DeadLetter, partition int32, offset int64) letter {
	l := letter{Sink: d.Sink, AlertID: d.AlertID, Reason: d.Reason, Partition: partition, Offset: &offset}
	if json.Valid(d.Body) {
		l.Alert = d.Body
	} else {
		l.Alert, _ = json.Marshal(string(d.Body)) // a string always is JSON
	}
	return l
}

func (c *consumer) letterRecord(l letter) *kgo.Record {
	l.V = 1
	value, err := json.Marshal(&l)
	if err != nil {
		panic("a dead letter is JSON: " + err.Error())
	}
	return &kgo.Record{Topic: c.b.o.Names.Dead(c.sink), Key: []byte(l.AlertID), Value: value}
}

// assigned is the client's callback for new partitions.
func (c *consumer) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	for _, ids := range added {
		for _, id := range ids {
			p, err := c.takeOver(c.b.ctx, id)
			c.mu.Lock()
			if err != nil {
				c.broken = fmt.Errorf("take over partition %d: %w", id, err)
			} else {
				c.drop(id)
				c.parts[id] = p
			}
			c.mu.Unlock()
		}
	}
}

// takeOver fences the last owner, and only then reads where it stood: after
// that nothing can change it but ourselves.
func (c *consumer) takeOver(ctx context.Context, id int32) (_ *partition, err error) {
	start := time.Now()
	p := &partition{id: id, epoch: -1, buried: map[int64]bool{}, nonce: start.UnixNano(), passed: start}
	p.producer, err = txn.Open(ctx, txn.Options{
		Client: c.b.o.Client, ID: c.b.o.Names.SinkGroup(c.sink) + "-" + strconv.Itoa(int(id)),
		MetadataMinAge: c.b.o.MetadataMinAge, Log: c.log,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.producer.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	topic := c.b.o.Names.Alerts()
	committed, err := c.b.adm.FetchOffsets(kadm.RequireStable(ctx), c.group)
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("fetch offsets of group %s: %w", c.group, err)
	}
	known, err := c.b.readProgress(ctx, c.sink)
	if err != nil {
		return nil, err
	}
	first, end, err := c.b.bounds(ctx, id)
	if err != nil {
		return nil, err
	}
	p.known = known[id]
	at, ok := committed.Lookup(topic, id)
	switch {
	case ok && at.At >= 0:
		p.next = at.At
	case p.known != nil: // the group's offset has expired
		p.next = p.known.place
	default:
		p.next = first
	}
	if p.known != nil && p.known.place != p.next {
		p.known = nil // somebody has moved the group's offset by hand
	}
	if p.next > end {
		c.log.Error("the alerts topic ends before the place of the sink: it was made anew, and is read from its start",
			zap.Int32("partition", id), zap.Int64("offset", p.next), zap.Int64("end", end))
		p.next, p.known = first, nil
	}
	if p.done = p.next; p.known != nil {
		p.done = p.known.next
	}
	c.log.Info("delivering alerts of a partition", zap.Int32("partition", id), zap.Int64("offset", p.next),
		zap.Duration("took", time.Since(start)))
	if first > p.next {
		c.mourn(p, first)
	}
	return p, nil
}

// bounds are the first offset of a partition of the alerts topic, and the one
// after its last.
func (b *Outbox) bounds(ctx context.Context, id int32) (first, end int64, err error) {
	topic := b.o.Names.Alerts()
	starts, err := listed(b.adm.ListStartOffsets(ctx, topic))
	if err != nil {
		return 0, 0, err
	}
	ends, err := listed(b.adm.ListEndOffsets(ctx, topic))
	if err != nil {
		return 0, 0, err
	}
	start, ok := starts.Lookup(topic, id)
	stop, also := ends.Lookup(topic, id)
	if !ok || !also {
		return 0, 0, fmt.Errorf("list offsets of the alerts topic: no partition %d", id)
	}
	return start.Offset, stop.Offset, nil
}

// mourn counts what retention removed before the sink had it, says so, and
// goes on at first. c.mu is held, or nobody else has p yet.
func (c *consumer) mourn(p *partition, first int64) {
	g := gap{From: p.next, To: first, Count: first - p.next}
	c.lost.Add(float64(g.Count))
	c.log.Error("alerts are lost to the sink: retention removed them before they were delivered",
		zap.Int32("partition", p.id), zap.Int64("from_offset", g.From), zap.Int64("to_offset", g.To-1), zap.Int64("records", g.Count))
	p.letters = append(p.letters, letter{
		Sink: c.sink, Partition: p.id, Lost: &g,
		Reason: fmt.Sprintf("%d records of the alerts topic, offsets %d to %d, were removed by retention before they were delivered", g.Count, g.From, g.To-1),
	})
	p.next, p.moved = first, true
}

// places tells the client where to read: where takeOver found that the last
// owner stood. The client leaves out partitions whose offset the broker refused
// it, and would not ask for them again in this session; they begin all the same.
func (c *consumer) places(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begin := map[int32]kgo.Offset{}
	for id := range offsets[c.b.o.Names.Alerts()] {
		if p := c.parts[id]; p != nil {
			begin[id], p.begun = kgo.NewOffset().At(p.next), true
		}
	}
	for id, p := range c.parts {
		if !p.begun {
			begin[id], p.begun = kgo.NewOffset().At(p.next), true
		}
	}
	return map[string]map[int32]kgo.Offset{c.b.o.Names.Alerts(): begin}, nil
}
