package kinesistest

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

var horizon = &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}

func (b bench) fan(t *testing.T) string {
	t.Helper()
	return b.consumer(t, "a", "reader")
}

// drain counts the events of a subscription until it ends.
func drain(t *testing.T, sub *subscribed) (events int) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case _, ok := <-sub.Events():
			if !ok {
				return events
			}
			events++
		case <-deadline.C:
			t.Fatal("the subscription does not end")
		}
	}
}

// A subscription ends when its time is up, and the next goes on from its
// continuation, although no record came.
func TestSubscriptionTime(t *testing.T) {
	b := newBench(t, Options{SubscriptionTime: 60 * time.Millisecond, Heartbeat: 10 * time.Millisecond, ResubscribeAfter: -1})
	arn := b.fan(t)
	b.Put("a", "k", []byte("0"))
	sub := b.subscribe(t, arn, shard0, &types.StartingPosition{Type: types.ShardIteratorTypeLatest})
	if got := sub.read(t, -1); len(got) != 0 || sub.continuation == nil {
		t.Fatalf("%v, goes on at %v", got, sub.continuation)
	}
	b.Put("a", "k", []byte("1"))
	for _, kind := range []types.ShardIteratorType{types.ShardIteratorTypeAfterSequenceNumber, types.ShardIteratorTypeAtSequenceNumber} {
		sub := b.subscribe(t, arn, shard0, &types.StartingPosition{Type: kind, SequenceNumber: sub.continuation})
		if got := strings.Join(sub.read(t, 1), ""); got != "1" {
			t.Errorf("%s goes on with %s", kind, got)
		}
		_ = sub.Close()
	}
}

// After ResubscribeAfter a new subscription ends the one before it.
func TestSubscriptionReplaced(t *testing.T) {
	b := newBench(t, Options{ResubscribeAfter: -1})
	arn := b.fan(t)
	old := b.subscribe(t, arn, shard0, horizon)
	fresh := b.subscribe(t, arn, shard0, horizon)
	drain(t, old)
	if err := old.Err(); err != nil {
		t.Errorf("the old one ended with %v", err)
	}
	b.Put("a", "k", []byte("0"))
	if got := fresh.read(t, 1); got[0] != "0" {
		t.Errorf("the new one: %v", got)
	}
}

// Subscriptions are cut, ended and refused by faults, after as many events as
// asked for.
func TestSubscriptionFaults(t *testing.T) {
	for _, tt := range []struct {
		fault Fault
		ok    func(error) bool
	}{
		{Fault{Events: 2, End: true}, func(err error) bool { return err == nil }},
		{Fault{Events: 2, Cut: true}, func(err error) bool { return err != nil && code(err) == "" }},
		{Fault{Events: 2, StreamCode: ErrInternalFailure}, func(err error) bool { return code(err) == ErrInternalFailure }},
		{Fault{Events: 2, StreamCode: ErrKMSThrottling}, func(err error) bool { return code(err) == ErrKMSThrottling }},
	} {
		b := newBench(t, Options{ResubscribeAfter: -1, Heartbeat: 5 * time.Millisecond})
		arn := b.fan(t)
		tt.fault.Op, tt.fault.Count = "SubscribeToShard", 1
		b.Inject(tt.fault)
		sub := b.subscribe(t, arn, shard0, horizon)
		if n := drain(t, sub); n != 2 || !tt.ok(sub.Err()) {
			t.Errorf("%+v: %d events, then %v", tt.fault, n, sub.Err())
		}
		b.Put("a", "k", []byte("0"))
		if got := b.subscribe(t, arn, shard0, horizon).read(t, 1); len(got) != 1 {
			t.Errorf("%+v: then %v", tt.fault, got)
		}
	}
}

// A subscription ends with its consumer and with its stream.
func TestSubscriptionOfWhatIsGone(t *testing.T) {
	b := newBench(t, Options{ResubscribeAfter: -1})
	arn := b.fan(t)
	sub := b.subscribe(t, arn, shard0, horizon)
	if _, err := b.Client.DeregisterStreamConsumer(b.ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &arn}); err != nil {
		t.Fatal(err)
	}
	drain(t, sub)
	wantCode(t, "the consumer is gone", sub.Err(), ErrResourceNotFound)
	_, err := b.Client.SubscribeToShard(b.ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &arn, ShardId: aws.String(shard0), StartingPosition: horizon})
	wantCode(t, "a subscription of it", err, ErrResourceNotFound)

	sub = b.subscribe(t, b.fan(t), shard0, horizon)
	b.DeleteStream("a")
	drain(t, sub)
	wantCode(t, "the stream is gone", sub.Err(), ErrResourceNotFound)
}

// Subscriptions come over HTTP/2, many over one connection.
func TestManySubscriptionsOverHTTP2(t *testing.T) {
	const shards = 300
	b := newBench(t, Options{})
	b.CreateStream("many", shards)
	arn := b.consumer(t, "many", "reader")
	var subs []*subscribed
	for i := range shards {
		subs = append(subs, b.subscribe(t, arn, fmt.Sprintf("shardId-%012d", i), horizon))
		b.PutTo("many", fmt.Sprintf("shardId-%012d", i), "k", fmt.Append(nil, i))
	}
	for i, sub := range subs {
		if got := sub.read(t, 1); got[0] != fmt.Sprint(i) {
			t.Errorf("shard %d: %v", i, got)
		}
	}
	resp, err := b.tls.Client().Get(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.ProtoMajor != 2 {
		t.Errorf("it speaks %s", resp.Proto)
	}
}
