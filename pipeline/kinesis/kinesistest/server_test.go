package kinesistest

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server for the length of a test.
func start(t testing.TB, opts Options) *Server {
	t.Helper()
	s := New(opts)
	t.Cleanup(s.Close)
	return s
}

func TestPutAndGetOverTLS(t *testing.T) {
	s := start(t, Options{})
	c := kinesis.NewFromConfig(s.Config())
	s.CreateStream("a", 1)
	for i := range 3 {
		if _, err := c.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("a"), PartitionKey: aws.String("k\"é"), Data: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	it, err := c.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("a"), ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Records) != 3 || string(out.Records[2].Data) != "2" || *out.Records[0].PartitionKey != "k\"é" || out.NextShardIterator == nil {
		t.Fatalf("got %+v", out)
	}
}
