package kinesistest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// maxEventBytes bounds one event of a subscription; records are sent whole.
const maxEventBytes = 1 << 20

// subscription is one SubscribeToShard under way.
type subscription struct {
	server   *Server
	consumer *consumer
	shard    *shard
	position uint64

	ctx    context.Context // its cause is an *apiError if that is to be told
	cancel context.CancelCauseFunc
	free   context.CancelFunc
}

// end finishes the subscription with an exception frame, or in good order if
// code is empty.
func (sub *subscription) end(code string) {
	if code == "" {
		sub.cancel(nil)
		return
	}
	sub.cancel(apiErrorf(code, "the subscription has ended"))
}

func (s *Server) subscribeToShard(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.ConsumerARN == "" || in.StartingPosition == nil {
		return nil, apiErrorf(ErrValidation, "ConsumerARN and StartingPosition are required")
	}
	c, err := s.findConsumer(&request{ConsumerARN: in.ConsumerARN})
	if err != nil {
		return nil, err
	}
	now := s.now()
	if now.Before(c.ready) {
		return nil, apiErrorf(ErrResourceInUse, "Consumer %s is not ACTIVE", c.arn)
	}
	sh, err := s.findShard(c.stream, in.ShardID)
	if err != nil {
		return nil, err
	}
	if began, ok := c.began[sh.id]; ok && now.Sub(began) < s.opts.ResubscribeAfter {
		return nil, apiErrorf(ErrResourceInUse, "Another active subscription exists for this consumer: %s", c.arn)
	}
	position, err := s.start(sh, in.StartingPosition.Type, in.StartingPosition.SequenceNumber, in.StartingPosition.Timestamp)
	if err != nil {
		return nil, err
	}
	if old := c.subs[sh.id]; old != nil {
		old.end("")
	}
	sub := &subscription{server: s, consumer: c, shard: sh, position: position}
	ctx, cancel := context.WithCancelCause(s.ctx)
	sub.cancel = cancel
	sub.ctx, sub.free = context.WithTimeout(ctx, s.opts.SubscriptionTime)
	c.subs[sh.id], c.began[sh.id] = sub, now
	return sub, nil
}

// forget takes a finished subscription off its consumer.
func (sub *subscription) forget() {
	sub.server.mu.Lock()
	defer sub.server.mu.Unlock()
	sub.cancel(nil)
	sub.free()
	if sub.consumer.subs[sub.shard.id] == sub {
		delete(sub.consumer.subs, sub.shard.id)
	}
}

// serve sends events until the time is up, the shard ends, a fault strikes or
// somebody goes away.
func (sub *subscription) serve(w http.ResponseWriter, r *http.Request, p *plan) {
	defer sub.forget()
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	frames := &frameWriter{w: w, flush: http.NewResponseController(w)}
	if frames.send("event", "initial-response", []byte("{}")) != nil {
		return
	}
	heartbeat := time.NewTicker(sub.server.opts.Heartbeat)
	defer heartbeat.Stop()
	for sent := 0; ; {
		if f := p.stream; f != nil && sent >= f.Events {
			switch {
			case f.Cut:
				frames.sendPart()
				panic(http.ErrAbortHandler)
			case f.StreamCode != "":
				_ = frames.exception(apiErrorf(f.StreamCode, "injected"))
				return
			default:
				return
			}
		}
		event, ended, changed := sub.next(sent == 0)
		// The service has always said something before the time is up, and on a
		// slow machine too.
		if err := sub.ctx.Err(); err != nil && (sent > 0 || !errors.Is(err, context.DeadlineExceeded)) {
			var told *apiError
			if errors.As(context.Cause(sub.ctx), &told) {
				_ = frames.exception(told)
			}
			return // without the event, and without progress that tells of a place after it
		}
		if event != nil {
			if frames.send("event", "SubscribeToShardEvent", event) != nil || ended {
				return
			}
			sent++
			continue
		}
		select {
		case <-changed:
		case <-sub.ctx.Done():
		case <-heartbeat.C:
			if frames.send("event", "SubscribeToShardEvent", sub.progress()) != nil {
				return
			}
			sent++
		case <-r.Context().Done():
			return
		}
	}
}

// next is the next event that says anything, and whether it is the last; if
// there is none, a channel that is closed when there may be.
func (sub *subscription) next(first bool) (event []byte, ended bool, changed <-chan struct{}) {
	s, sh := sub.server, sub.shard
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	p := s.read(sh, sub.position, maxGetRecords, maxEventBytes)
	if len(p.records) == 0 && !p.ended && !first {
		return nil, false, sh.wait()
	}
	sub.position = p.next
	out := p.append([]byte{'{'})
	switch {
	case p.ended:
		children, _ := json.Marshal(sh.childList())
		out = append(append(out, `,"ChildShards":`...), children...)
	case len(p.records) > 0:
		out = p.records[len(p.records)-1].seq.append(append(out, `,"ContinuationSequenceNumber":"`...))
		out = append(out, '"')
	default:
		out = sub.mark(out)
	}
	return append(out, '}'), p.ended, nil
}

// progress is an event without records: the shard stands still.
func (sub *subscription) progress() []byte {
	return append(sub.mark(page{}.append([]byte{'{'})), '}')
}

// mark writes a continuation that is no record's number.
func (sub *subscription) mark(out []byte) []byte {
	seq := sub.shard.number(sub.position, flavourProgress, sub.server.now())
	return append(seq.append(append(out, `,"ContinuationSequenceNumber":"`...)), '"')
}

// frameWriter writes event-stream frames and flushes each.
type frameWriter struct {
	w     http.ResponseWriter
	flush *http.ResponseController
	buf   bytes.Buffer
}

func (f *frameWriter) encode(kind, name string, payload []byte) error {
	f.buf.Reset()
	var msg eventstream.Message
	msg.Headers.Set(":message-type", eventstream.StringValue(kind))
	msg.Headers.Set(":"+kind+"-type", eventstream.StringValue(name))
	msg.Headers.Set(":content-type", eventstream.StringValue(contentType))
	msg.Payload = payload
	return eventstream.NewEncoder().Encode(&f.buf, msg)
}

func (f *frameWriter) send(kind, name string, payload []byte) error {
	if err := f.encode(kind, name, payload); err != nil {
		return err
	}
	if _, err := f.w.Write(f.buf.Bytes()); err != nil {
		return err
	}
	return f.flush.Flush()
}

func (f *frameWriter) exception(e *apiError) error {
	message, err := json.Marshal(map[string]string{"message": e.Message})
	if err != nil {
		return err
	}
	return f.send("exception", e.Code, message)
}

// sendPart sends the beginning of a frame.
func (f *frameWriter) sendPart() {
	if f.encode("event", "SubscribeToShardEvent", []byte(`{"Records":[]}`)) == nil {
		f.w.Write(f.buf.Bytes()[:f.buf.Len()/2]) //nolint:errcheck // it is cut anyway
		_ = f.flush.Flush()
	}
}
