package kinesistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// Target is a Kinesis under contract.
type Target struct {
	Client *kinesis.Client
	Lacks  Lacks
}

// Lacks are the parts of the service that an implementation is known not to
// have or to get wrong; the zero value is the service itself.
type Lacks struct {
	StreamARN      bool // operations by ARN
	ChildShards    bool // ChildShards in the last GetRecords of a closed shard
	ShardCount     bool // UpdateShardCount
	StreamMode     bool // UpdateStreamMode
	FanOut         bool // consumers and SubscribeToShard
	Refusal        bool // a second subscription to a shard is not refused before its stream begins
	End            bool // a subscription does not end with its shard
	Behind         bool // MillisBehindLatest is always 0
	LateTimestamp  bool // AT_TIMESTAMP after the last record is never answered
	IteratorErrors bool // a broken iterator is answered with an error without a type
	SequenceCheck  bool // a sequence number of another shard is taken
	ListPages      bool // ListShards knows no MaxResults
	Filters        bool // ShardFilter
	TrimHorizon    bool // ShardFilter AT_TRIM_HORIZON lists later shards, too
	ClosedCheck    bool // a closed shard may be split
	Oversize       bool // records beyond the size limit take long to be refused
}

// contract is one run of the suite.
type contract struct {
	Target
	ctx context.Context // of one case: a peer may never answer
	n   int
}

// Contract checks that a Kinesis behaves as the source relies on. newTarget is
// called once for each case; streams of one target may still be there when the
// next is made, so their names differ.
func Contract(t *testing.T, newTarget func(t *testing.T) Target) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *contract)
	}{
		{"Streams", testStreams},
		{"PutAndRoute", testPutAndRoute},
		{"PutOrder", testPutOrder},
		{"Iterators", testIterators},
		{"Timestamps", testTimestamps},
		{"Pages", testPages},
		{"Binary", testBinary},
		{"Errors", testErrors},
		{"ByARN", testByARN},
		{"ListShards", testListShards},
		{"Split", testSplit},
		{"Merge", testMerge},
		{"Generations", testGenerations},
		{"ShardCount", testShardCount},
		{"StreamMode", testStreamMode},
		{"Retention", testRetention},
		{"Recreated", testRecreated},
		{"Consumers", testConsumers},
		{"Subscribe", testSubscribe},
		{"SubscribeToTheEnd", testSubscribeToTheEnd},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			c.run(t, &contract{Target: newTarget(t), ctx: ctx})
		})
	}
}

// skip ends a case that the target is known to fail.
func (c *contract) skip(t *testing.T, lacks bool) {
	t.Helper()
	if lacks {
		t.Skip("known to lack this")
	}
}

// stream makes a stream of n shards, waits for it and deletes it at the end.
func (c *contract) stream(t *testing.T, n int) string {
	t.Helper()
	c.n++
	name := strings.NewReplacer("/", "-", "#", "-").Replace(fmt.Sprintf("%s-%d-%d", t.Name(), c.n, time.Now().UnixNano()))
	c.create(t, name, n)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err := c.Client.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &name, EnforceConsumerDeletion: aws.Bool(true)})
		if err != nil && code(err) != ErrResourceNotFound && code(err) != ErrResourceInUse {
			t.Errorf("deleting %s: %v", name, err)
		}
	})
	return name
}

func (c *contract) create(t *testing.T, name string, n int) {
	t.Helper()
	if _, err := c.Client.CreateStream(c.ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(int32(n))}); err != nil {
		t.Fatal(err)
	}
	c.settle(t, name)
}

// settle waits until a stream is ACTIVE.
func (c *contract) settle(t *testing.T, name string) types.StreamDescriptionSummary {
	t.Helper()
	var d types.StreamDescriptionSummary
	eventually(t, "the stream is ACTIVE", func() bool {
		out, err := c.Client.DescribeStreamSummary(c.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		if err != nil {
			t.Fatal(err)
		}
		d = *out.StreamDescriptionSummary
		return d.StreamStatus == types.StreamStatusActive
	})
	return d
}

// eventually waits for a condition for at most half a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("waited in vain until " + what)
		}
	}
}

func (c *contract) put(t *testing.T, stream, key, data string) *kinesis.PutRecordOutput {
	t.Helper()
	out, err := c.Client.PutRecord(c.ctx, &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: &key, Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// shards lists all shards of a stream, page by page.
func (c *contract) shards(t *testing.T, stream string, page int32) []types.Shard {
	t.Helper()
	var out []types.Shard
	in := &kinesis.ListShardsInput{StreamName: &stream}
	for {
		if page > 0 {
			in.MaxResults = &page
		}
		list, err := c.Client.ListShards(c.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, list.Shards...)
		if list.NextToken == nil {
			return out
		}
		in = &kinesis.ListShardsInput{NextToken: list.NextToken}
	}
}

func (c *contract) iterator(t *testing.T, in *kinesis.GetShardIteratorInput) *string {
	t.Helper()
	out, err := c.Client.GetShardIterator(c.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.ShardIterator
}

func from(stream, shard string, kind types.ShardIteratorType) *kinesis.GetShardIteratorInput {
	return &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: &shard, ShardIteratorType: kind}
}

func fromSequence(stream, shard string, kind types.ShardIteratorType, seq *string) *kinesis.GetShardIteratorInput {
	in := from(stream, shard, kind)
	in.StartingSequenceNumber = seq
	return in
}

// read reads from an iterator until n records were seen, or to the end of the
// shard if n is negative.
func (c *contract) read(t *testing.T, iterator *string, n int) (data []string, last *kinesis.GetRecordsOutput) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for last == nil || (n < 0 || len(data) < n) && last.NextShardIterator != nil {
		if time.Now().After(deadline) {
			t.Fatalf("read %d of %d records", len(data), n)
		}
		out, err := c.Client.GetRecords(c.ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Records {
			data = append(data, string(r.Data))
		}
		last, iterator = out, out.NextShardIterator
	}
	return data, last
}

// code is the error code of an API error, "" for none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func wantCode(t *testing.T, what string, err error, codes ...string) {
	t.Helper()
	got := code(err)
	for _, want := range codes {
		if got == want {
			return
		}
	}
	t.Errorf("%s: %v, want %v", what, err, codes)
}
