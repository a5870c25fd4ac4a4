//go:build unix

package kinesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
	"github.com/trailtide/trailtide/test/chaos"
	"github.com/trailtide/trailtide/test/kinesispeers"
)

// A fleet on servers that are not ours: workers are killed while the stream is
// split and merged.
func TestFleetOnIndependentServers(t *testing.T) {
	kinesispeers.Need(t)
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	seed := chaos.Seed(t)
	chaos.Run(t, chaos.Options{
		Seed: seed, Brokers: broker.ListenAddrs(), Replication: 1, Workers: 2, Sources: 24, Repartition: 4,
		Input: newPeerStream(t, seed), Kills: 2, Events: 8000, Pace: 3 * time.Second, Halt: 5 * time.Second, Small: true,
	})
}

// peerStream is a stream of kinesalite with leases in dynalite: a chaos.Input.
type peerStream struct {
	url, tables string
	streams     *kinesis.Client
	leases      *dynamodb.Client

	mu   sync.Mutex
	last map[string]string // as of stream
}

func newPeerStream(t *testing.T, seed uint64) *peerStream {
	t.Helper()
	credentials(t)
	p := &peerStream{url: kinesispeers.Kinesalite(t), tables: kinesispeers.Dynalite(t)}
	p.streams = kinesis.NewFromConfig(kinesispeers.Config(p.url))
	p.leases = dynamodb.NewFromConfig(kinesispeers.Config(p.tables))
	if _, err := p.streams.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(streamName), ShardCount: aws.Int32(3)}); err != nil {
		t.Fatal(err)
	}
	if err := p.active(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peerStream) active(ctx context.Context) error {
	return kinesis.NewStreamExistsWaiter(p.streams, func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay, o.MaxDelay = 20*time.Millisecond, time.Second }).
		Wait(ctx, &kinesis.DescribeStreamInput{StreamName: aws.String(streamName)}, time.Minute)
}

// Section of every place is the same: kinesalite has no fan-out.
func (p *peerStream) Section(place int) string {
	return fmt.Sprintf("kinesis: {streams: [%s], region: us-east-1, endpoint: %q, poll_interval: 200ms, list_interval: 1s, idle_after: 1h, "+
		"leases: {table: %s, endpoint: %q, worker: place-%d, failover_time: 2s, take_every: 400ms, hand_over: 3s}}",
		streamName, p.url, leaseTable, p.tables, place)
}

// Fill splits a shard after a third, and merges two after two thirds.
func (p *peerStream) Fill(ctx context.Context, records []chaos.Record, over time.Duration) error {
	const steps = 100
	m := &mixer{r: rand.New(rand.NewPCG(1, 13)), put: func(key string, data []byte) error {
		_, err := p.streams.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String(streamName), PartitionKey: &key, Data: data})
		return err
	}}
	err := chaos.InSteps(ctx, steps, len(records), over, func(step, from, to int) error {
		var err error
		switch step {
		case steps / 3:
			err = p.split(ctx)
		case 2 * steps / 3:
			err = p.merge(ctx)
		}
		if err != nil {
			return err
		}
		return m.write(records[from:to])
	})
	if err != nil {
		return err
	}
	last, err := p.shards(ctx)
	if err != nil {
		return err
	}
	for id, from := range last {
		if from == "" {
			continue
		}
		out, err := p.streams.PutRecord(ctx, &kinesis.PutRecordInput{
			StreamName: aws.String(streamName), PartitionKey: aws.String("end"), ExplicitHashKey: &from, Data: records[len(records)-1].Value,
		})
		if err != nil {
			return err
		}
		last[id] = *out.SequenceNumber
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = last
	return nil
}

// shards are all shards, with where the hash keys of open ones begin.
func (p *peerStream) shards(ctx context.Context) (map[string]string, error) {
	out, err := p.streams.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String(streamName)})
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for _, sh := range out.Shards {
		all[*sh.ShardId] = ""
		if sh.SequenceNumberRange.EndingSequenceNumber == nil {
			all[*sh.ShardId] = *sh.HashKeyRange.StartingHashKey
		}
	}
	return all, nil
}

func (p *peerStream) split(ctx context.Context) error {
	_, err := p.streams.SplitShard(ctx, &kinesis.SplitShardInput{
		StreamName: aws.String(streamName), ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("1" + strings.Repeat("0", 37)),
	})
	if err != nil {
		return fmt.Errorf("split: %w", err)
	}
	return p.active(ctx)
}

func (p *peerStream) merge(ctx context.Context) error {
	_, err := p.streams.MergeShards(ctx, &kinesis.MergeShardsInput{
		StreamName: aws.String(streamName), ShardToMerge: aws.String("shardId-000000000001"), AdjacentShardToMerge: aws.String("shardId-000000000002"),
	})
	if err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	return p.active(ctx)
}

// Behind is that of stream.
func (p *peerStream) Behind(ctx context.Context) string {
	p.mu.Lock()
	last := p.last
	p.mu.Unlock()
	if last == nil {
		return "the stream is not filled"
	}
	out, err := p.leases.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(leaseTable)})
	if err != nil {
		return err.Error()
	}
	items := make(map[string]leasetest.Item)
	for _, item := range out.Items {
		if key, ok := item["leaseKey"].(*types.AttributeValueMemberS); ok {
			items[key.Value] = item
		}
	}
	for id, sequence := range last {
		if behind := leaseBehind(items[id], id, sequence); behind != "" {
			return behind
		}
	}
	return ""
}
