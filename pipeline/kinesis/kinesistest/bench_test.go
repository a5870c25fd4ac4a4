package kinesistest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// An operation is a record of 1.5 KB, in batches over plain HTTP.
func BenchmarkPutRecords(b *testing.B) {
	s := start(b, Options{ShardBytes: 8 << 20})
	s.CreateStream("a", 4)
	c := kinesis.NewFromConfig(s.PlainConfig())
	var entries []types.PutRecordsRequestEntry
	for i := range 500 {
		entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(i)), Data: bytes.Repeat([]byte("x"), 1500)})
	}
	b.SetBytes(1500)
	for i := 0; i < b.N; i += len(entries) {
		if _, err := c.PutRecords(context.Background(), &kinesis.PutRecordsInput{StreamName: aws.String("a"), Records: entries}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkPut(b *testing.B) {
	s := start(b, Options{ShardBytes: 8 << 20})
	s.CreateStream("a", 4)
	data := bytes.Repeat([]byte("x"), 1500)
	b.SetBytes(1500)
	for b.Loop() {
		s.Put("a", "key", data)
	}
}

func BenchmarkGetRecords(b *testing.B) {
	s := start(b, Options{})
	s.CreateStream("a", 1)
	for range 2000 {
		s.Put("a", "key", bytes.Repeat([]byte("x"), 1500))
	}
	c := kinesis.NewFromConfig(s.PlainConfig())
	it, err := c.GetShardIterator(context.Background(), from("a", shard0, types.ShardIteratorTypeTrimHorizon))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1500)
	for i := 0; i < b.N; i += 1000 {
		out, err := c.GetRecords(context.Background(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator, Limit: aws.Int32(1000)})
		if err != nil || len(out.Records) != 1000 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
