package kinesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"go.uber.org/zap"
)

var errSilent = errors.New("the subscription is silent")

// findConsumer finds the stream's fan-out consumer, or registers it.
func (st *stream) findConsumer(ctx context.Context) error {
	s := st.s
	s.mu.Lock()
	have, streamARN := st.consumer, st.streamARN
	s.mu.Unlock()
	if have != "" {
		return nil
	}
	in := &kinesis.DescribeStreamConsumerInput{StreamARN: &streamARN, ConsumerName: &s.o.Consumer}
	if s.o.ConsumerARN != "" {
		in = &kinesis.DescribeStreamConsumerInput{ConsumerARN: &s.o.ConsumerARN}
	}
	out, err := st.client.DescribeStreamConsumer(ctx, in)
	if notFound(err) && s.o.ConsumerARN == "" && s.o.register() {
		_, err = st.client.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &streamARN, ConsumerName: &s.o.Consumer})
		if err == nil {
			st.log.Info("fan-out consumer registered", zap.String("consumer", s.o.Consumer))
		}
		if err == nil || inUse(err) { // another worker has just done it
			out, err = st.client.DescribeStreamConsumer(ctx, in)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("find the fan-out consumer: %w", err)
	case out.ConsumerDescription == nil || out.ConsumerDescription.ConsumerARN == nil:
		return errors.New("find the fan-out consumer: the answer is empty")
	case out.ConsumerDescription.ConsumerStatus != types.ConsumerStatusActive:
		return fmt.Errorf("the fan-out consumer is %s", out.ConsumerDescription.ConsumerStatus)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.consumer = *out.ConsumerDescription.ConsumerARN
	close(st.looked)
	st.looked = make(chan struct{})
	return nil
}

// consumerARN waits until the consumer is known.
func (st *stream) consumerARN(ctx context.Context) (string, error) {
	for {
		st.s.mu.Lock()
		consumer, looked := st.consumer, st.looked
		st.s.mu.Unlock()
		if consumer != "" {
			return consumer, nil
		}
		select {
		case <-looked:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// subscription is where the subscriptions to one shard stand.
type subscription struct {
	last     time.Time // when the newest was begun
	begun    int
	goesOn   string // sequence number that the next one continues after
	events   int    // of the newest
	children *chunk // the shard's end, once it was told
}

// subscribe reads the shard by SubscribeToShard, one subscription after the
// other, until its end, the last chunk, or until ctx ends: nil. A subscription
// is left before the service ends it, and the next goes on after what the last
// event of it told, so that there is neither a gap nor a repeat.
func (r *reading) subscribe(ctx context.Context) *chunk {
	s := r.s
	b := backoff{t: &s.t}
	sub := &subscription{}
	for {
		if sub.begun > 0 && sleep(ctx, time.Until(sub.last.Add(s.t.subscribe))) != nil {
			return nil
		}
		consumer, err := r.st.consumerARN(ctx)
		if err != nil {
			return nil
		}
		err = r.subscribeOnce(ctx, consumer, sub)
		switch {
		case ctx.Err() != nil:
			return nil
		case sub.children != nil:
			return sub.children
		case err == nil || sub.events > 0 && !refused(err):
			b.reset()
			continue
		case inUse(err): // the one before has not ended yet
		case invalid(err) && sub.goesOn != "":
			sub.goesOn = "" // the position itself may still be known
		case notFound(err) && r.consumerGone(ctx, consumer):
		default:
			last, waitErr := r.refusedPlace(ctx, "SubscribeToShard", err)
			if last != nil || waitErr != nil {
				return last
			}
		}
		if b.pause(ctx) != nil {
			return nil
		}
	}
}

// consumerGone says whether it is the consumer that does not exist, and has it
// found anew.
func (r *reading) consumerGone(ctx context.Context, consumer string) bool {
	ctx, cancel := context.WithTimeout(ctx, r.s.t.call)
	defer cancel()
	_, err := r.st.client.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: &consumer})
	if !notFound(err) {
		return false
	}
	r.s.mu.Lock()
	if r.st.consumer == consumer {
		r.st.consumer = ""
	}
	r.s.mu.Unlock()
	r.st.look()
	return true
}

// subscribeOnce reads one subscription. nil: it ended as it should.
func (r *reading) subscribeOnce(ctx context.Context, consumer string, sub *subscription) error {
	s := r.s
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	at := r.next.startingPosition()
	if sub.goesOn != "" {
		at = &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &sub.goesOn}
	}
	sub.events = 0
	slow := time.AfterFunc(s.t.call, cancel)
	out, err := r.st.client.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{
		ConsumerARN: &consumer, ShardId: &r.shard, StartingPosition: at,
	}, ownProtocol)
	slow.Stop()
	if err != nil {
		return err
	}
	if sub.begun++; sub.begun > 1 {
		s.metrics.resubscriptions.Inc()
	}
	sub.last = time.Now()
	stream := out.GetStream()
	defer stream.Close() //nolint:errcheck // what it had to say was said by Err
	renew, silence := time.NewTimer(s.t.renew), time.NewTimer(s.t.silence)
	defer renew.Stop()
	defer silence.Stop()
	for {
		select {
		case ev, more := <-stream.Events():
			if !more {
				return stream.Err()
			}
			if e, ok := ev.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent); ok {
				sub.events++
				if err := r.event(ctx, &e.Value, sub); err != nil || sub.children != nil {
					return err
				}
			}
			silence.Reset(s.t.silence)
		case <-silence.C:
			return errSilent
		case <-renew.C:
			if sub.events > 0 {
				return nil
			}
			renew.Reset(s.t.renew) // else one whose first event takes long would never get on
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ownProtocol gives a call a decoder of its own: that of the client keeps what
// it needs for event streams in fields that all calls share without a lock.
func ownProtocol(o *kinesis.Options) { o.Protocol = awsjson.New11(schemas.Kinesis_20131202) }

// event queues what one event brought. While the budget has no room nothing
// more is read, and the service sends nothing more.
func (r *reading) event(ctx context.Context, e *types.SubscribeToShardEvent, sub *subscription) error {
	s := r.s
	asked := s.o.Now()
	n := dataBytes(e.Records)
	if n > 0 {
		if err := s.budget.acquire(ctx, n); err != nil {
			return err
		}
	}
	chunks, kept := r.take(e.Records)
	if n > kept {
		s.budget.change(kept - n)
	}
	behind := int64(-1)
	if e.MillisBehindLatest != nil {
		behind = *e.MillisBehindLatest
	}
	r.push(chunks, nil, position{}, behind, asked)
	if e.ContinuationSequenceNumber == nil || *e.ContinuationSequenceNumber == "" || len(e.ChildShards) > 0 {
		sub.children = &chunk{r: r, end: true, childs: childShards(e.ChildShards)}
		return nil
	}
	sub.goesOn = *e.ContinuationSequenceNumber
	return nil
}
