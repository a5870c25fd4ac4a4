package kinesis

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// poll reads the shard by GetRecords until its end, the last chunk, or until
// ctx ends: nil. It reads on at once while it is behind, within the shard's
// limits, and rests for PollInterval at the end.
func (r *reading) poll(ctx context.Context) *chunk {
	s := r.s
	p, b := newPace(&s.t), backoff{t: &s.t}
	iterator := ""
	for {
		if iterator == "" {
			it, last := r.iterator(ctx)
			if it == "" {
				return last
			}
			iterator = it
		}
		if p.wait(ctx) != nil {
			return nil
		}
		guess, err := r.reserve(ctx)
		if err != nil {
			return nil
		}
		asked, started := s.o.Now(), time.Now()
		out, err := r.getRecords(ctx, iterator)
		if err != nil {
			s.budget.change(-guess)
			switch {
			case ctx.Err() != nil:
				return nil
			case throttled(err):
				s.metrics.throttles.WithLabelValues("GetRecords").Inc()
				p.throttle()
				continue
			case expired(err):
				s.metrics.iterators.Inc()
				p.read(started, 0) // it counts against the shard's limit
				iterator = ""
				continue
			case invalid(err), notFound(err):
				iterator = "" // whether the shard is gone turns out when another is asked for
				r.st.look()
			}
			r.trouble("GetRecords", err)
			if b.pause(ctx) != nil {
				return nil
			}
			continue
		}
		b.reset()
		n := dataBytes(out.Records)
		p.read(started, n)
		chunks, kept := r.take(out.Records)
		s.budget.change(kept - guess)
		behind := int64(-1)
		if out.MillisBehindLatest != nil {
			behind = *out.MillisBehindLatest
		}
		r.learn(n, behind, started)
		r.push(chunks, nil, position{}, behind, asked)
		if out.NextShardIterator == nil {
			return &chunk{r: r, end: true, childs: childShards(out.ChildShards)}
		}
		iterator = *out.NextShardIterator
		if behind == 0 {
			p.rest(started, s.o.PollInterval)
		}
	}
}

func (r *reading) getRecords(ctx context.Context, iterator string) (*kinesis.GetRecordsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, r.s.t.call)
	defer cancel()
	limit := int32(r.s.o.MaxRecords) //nolint:gosec // validated
	in := &kinesis.GetRecordsInput{ShardIterator: &iterator, Limit: &limit}
	_, in.StreamARN = r.st.names()
	return r.st.client.GetRecords(ctx, in)
}

func dataBytes(recs []types.Record) (n int) {
	for i := range recs {
		n += len(recs[i].Data)
	}
	return n
}
