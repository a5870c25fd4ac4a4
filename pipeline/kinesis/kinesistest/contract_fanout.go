package kinesistest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"
)

// consumer registers a consumer and waits until it is ACTIVE.
func (c *contract) consumer(t *testing.T, stream, name string) string {
	t.Helper()
	arn := c.settle(t, stream).StreamARN
	out, err := c.Client.RegisterStreamConsumer(c.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: &name})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the consumer is ACTIVE", func() bool {
		d, err := c.Client.DescribeStreamConsumer(c.ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: arn, ConsumerName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if *d.ConsumerDescription.ConsumerARN != *out.Consumer.ConsumerARN || *d.ConsumerDescription.StreamARN != *arn {
			t.Fatalf("described as %+v", d.ConsumerDescription)
		}
		return d.ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive
	})
	return *out.Consumer.ConsumerARN
}

// Consumers are registered, described, listed and removed.
func testConsumers(t *testing.T, c *contract) {
	c.skip(t, c.Lacks.FanOut)
	stream := c.stream(t, 1)
	arn := c.settle(t, stream).StreamARN
	first := c.consumer(t, stream, "one")
	second := c.consumer(t, stream, "two")
	_, err := c.Client.RegisterStreamConsumer(c.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String("one")})
	wantCode(t, "registering it again", err, ErrResourceInUse)
	if d, err := c.Client.DescribeStreamConsumer(c.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: &second}); err != nil || *d.ConsumerDescription.ConsumerName != "two" {
		t.Errorf("by ARN: %+v, %v", d, err)
	}
	list, err := c.Client.ListStreamConsumers(c.ctx, &kinesis.ListStreamConsumersInput{StreamARN: arn})
	if err != nil || len(list.Consumers) != 2 {
		t.Errorf("listed %+v, %v", list, err)
	}
	if _, err := c.Client.DeregisterStreamConsumer(c.ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &first}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool {
		_, err := c.Client.DescribeStreamConsumer(c.ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String("one")})
		return code(err) == ErrResourceNotFound
	})
}

// subscribed is an open subscription.
type subscribed struct {
	*kinesis.SubscribeToShardEventStream
	first        types.SubscribeToShardEventStream // read already
	continuation *string
	children     []types.ChildShard
}

// subscribe begins a subscription, waiting for one before it to be let go.
func (c *contract) subscribe(t *testing.T, consumer, shard string, at *types.StartingPosition) *subscribed {
	t.Helper()
	sub := &subscribed{}
	eventually(t, "a subscription is let in", func() bool {
		out, err := c.Client.SubscribeToShard(c.ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: &shard, StartingPosition: at}, OwnProtocol)
		if err != nil && code(err) != ErrResourceInUse {
			t.Fatal(err)
		}
		if err != nil {
			return false
		}
		sub.SubscribeToShardEventStream = out.GetStream()
		if !c.Lacks.Refusal {
			return true
		}
		sub.first = <-sub.Events()
		if sub.first == nil && code(sub.Err()) != ErrResourceInUse {
			t.Fatal(sub.Err())
		}
		return sub.first != nil
	})
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

// read collects n records, or all to the end of the shard if n is negative.
func (s *subscribed) read(t *testing.T, n int) []string {
	t.Helper()
	var got []string
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	events := make(chan types.SubscribeToShardEventStream, 1)
	for n < 0 || len(got) < n {
		from := s.Events()
		if s.first != nil {
			events <- s.first
			from, s.first = events, nil
		}
		select {
		case e, ok := <-from:
			if !ok {
				if n >= 0 || s.Err() != nil {
					t.Fatalf("the subscription ended after %v: %v", got, s.Err())
				}
				return got
			}
			event, ok := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
			if !ok {
				t.Fatalf("event %T", e)
			}
			for _, r := range event.Value.Records {
				got = append(got, string(r.Data))
			}
			s.continuation = event.Value.ContinuationSequenceNumber
			s.children = append(s.children, event.Value.ChildShards...)
		case <-deadline.C:
			t.Fatalf("got %v of %d records", got, n)
		}
	}
	return got
}

// A subscription brings what is there and what is put then; from its
// continuation the next goes on without a gap or a repeat.
func testSubscribe(t *testing.T, c *contract) {
	c.skip(t, c.Lacks.FanOut)
	stream := c.stream(t, 1)
	consumer := c.consumer(t, stream, "reader")
	c.put(t, stream, "k", "0")
	sub := c.subscribe(t, consumer, shard0, &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon})
	if !c.Lacks.Refusal {
		_, err := c.Client.SubscribeToShard(c.ctx, &kinesis.SubscribeToShardInput{
			ConsumerARN: &consumer, ShardId: aws.String(shard0), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest},
		})
		wantCode(t, "a second subscription at once", err, ErrResourceInUse)
	}
	got := sub.read(t, 1)
	for i := range 3 {
		c.put(t, stream, "k", fmt.Sprint(i+1))
	}
	got = append(got, sub.read(t, 3)...)
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	for i := range 2 {
		c.put(t, stream, "k", fmt.Sprint(i+4))
	}
	if sub.continuation == nil {
		t.Fatal("no ContinuationSequenceNumber")
	}
	next := c.subscribe(t, consumer, shard0, &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: sub.continuation})
	got = append(got, next.read(t, 2)...)
	if strings.Join(got, "") != "012345" {
		t.Errorf("records %v", got)
	}
}

// A subscription to a shard that is split ends after its last record, and
// tells of the children.
func testSubscribeToTheEnd(t *testing.T, c *contract) {
	c.skip(t, c.Lacks.FanOut || c.Lacks.End)
	stream := c.stream(t, 1)
	consumer := c.consumer(t, stream, "reader")
	sub := c.subscribe(t, consumer, shard0, &types.StartingPosition{Type: types.ShardIteratorTypeLatest})
	c.put(t, stream, "k", "0")
	got := sub.read(t, 1)
	c.put(t, stream, "k", "1")
	c.split(t, stream, c.shards(t, stream, 0)[0])
	got = append(got, sub.read(t, -1)...)
	if diff := cmp.Diff([]string{"0", "1"}, got); diff != "" {
		t.Error(diff)
	}
	checkChildren(t, sub.children, map[string][]string{shard1: {shard0}, "shardId-000000000002": {shard0}})
	if sub.continuation != nil {
		t.Errorf("it goes on at %s", *sub.continuation)
	}
}
