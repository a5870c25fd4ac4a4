package kinesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
)

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
		gone := r.st.unknown(r)
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
