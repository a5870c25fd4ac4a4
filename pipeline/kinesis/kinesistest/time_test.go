package kinesistest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Iterators and tokens expire, records and closed shards go with their retention.
func TestAges(t *testing.T) {
	cl := newClock()
	b := newBench(t, Options{Now: cl.now, MaxSkew: -1})
	b.CreateStream("b", 3)
	b.Put("a", "k", []byte("0"))
	it := b.horizon(t)
	page, err := b.Client.ListShards(b.ctx, &kinesis.ListShardsInput{StreamName: aws.String("b"), MaxResults: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	cl.advance(5 * time.Minute)
	out, err := b.get(it)
	if err != nil {
		t.Fatalf("at five minutes: %v", err)
	}
	cl.advance(time.Second)
	_, err = b.get(it)
	wantCode(t, "an old iterator", err, ErrExpiredIterator)
	if _, err := b.get(out.NextShardIterator); err != nil {
		t.Errorf("the next iterator is as old: %v", err)
	}
	_, err = b.Client.ListShards(b.ctx, &kinesis.ListShardsInput{NextToken: page.NextToken})
	wantCode(t, "an old token", err, ErrExpiredNextToken)

	_, seq := b.Put("a", "k", []byte("1"))
	b.Split("a", shard0)
	cl.advance(24*time.Hour - 5*time.Minute) // the first is older than a day now, the second is not
	if got, _ := b.contract.read(t, b.horizon(t), -1); len(got) != 1 || got[0] != "1" {
		t.Errorf("records %v", got)
	}
	cl.advance(10 * time.Minute)
	if shards := b.shards(t, "a", 0); len(shards) != 2 {
		t.Errorf("shards %v", family(shards))
	}
	_, err = b.Client.GetShardIterator(b.ctx, fromSequence("a", shard0, types.ShardIteratorTypeAfterSequenceNumber, &seq))
	wantCode(t, "an expired shard", err, ErrResourceNotFound)
}

// What was trimmed before it was read is skipped: the iterator goes on at the
// oldest record that is left.
func TestTrimmedUnderTheReader(t *testing.T) {
	b := newBench(t, Options{ShardBytes: 30})
	it := b.horizon(t)
	for i := range 5 {
		b.Put("a", "k", fmt.Appendf(nil, "%010d", i))
	}
	if got, _ := b.contract.read(t, it, 3); len(got) != 3 || got[0] != "0000000002" {
		t.Errorf("records %v", got)
	}
	b.SetRetention("a", time.Nanosecond)
	eventually(t, "all records are gone", func() bool {
		out, err := b.get(b.horizon(t))
		return err == nil && len(out.Records) == 0
	})
}

// One read brings at most 10,000 records and about 10 MiB.
func TestReadLimits(t *testing.T) {
	b := newBench(t, Options{MaxRecord: 10 << 20})
	for range 10_001 {
		b.Put("a", "k", nil)
	}
	out, err := b.get(b.horizon(t))
	if err != nil || len(out.Records) != 10_000 || *out.MillisBehindLatest == 0 {
		t.Fatalf("%d records, %v", len(out.Records), err)
	}
	large := bytes.Repeat([]byte("x"), 9<<20)
	b.CreateStream("large", 1)
	for range 2 {
		if _, err := b.Client.PutRecord(b.ctx, &kinesis.PutRecordInput{StreamName: aws.String("large"), PartitionKey: aws.String("k"), Data: large}); err != nil {
			t.Fatal(err)
		}
	}
	out, err = b.get(b.iterator(t, from("large", shard0, types.ShardIteratorTypeTrimHorizon)))
	if err != nil || len(out.Records) != 1 || !bytes.Equal(out.Records[0].Data, large) {
		t.Fatalf("%d large records, %v", len(out.Records), err)
	}
	if out, err = b.get(out.NextShardIterator); err != nil || len(out.Records) != 1 || *out.MillisBehindLatest != 0 {
		t.Errorf("%d large records, %v", len(out.Records), err)
	}
}

// A stream takes records of 1 MiB until it is told to take more.
func TestRecordSize(t *testing.T) {
	b := newBench(t, Options{})
	put := func() error {
		_, err := b.Client.PutRecord(b.ctx, &kinesis.PutRecordInput{StreamName: aws.String("a"), PartitionKey: aws.String("k"), Data: make([]byte, 1<<20)})
		return err
	}
	wantCode(t, "1 MiB and its key", put(), ErrValidation)
	if _, err := b.Client.UpdateMaxRecordSize(b.ctx, &kinesis.UpdateMaxRecordSizeInput{StreamARN: b.settle(t, "a").StreamARN, MaxRecordSizeInKiB: aws.Int32(10240)}); err != nil {
		t.Fatal(err)
	}
	if err := put(); err != nil {
		t.Error(err)
	}
}

// The limits of a shard: five reads a second, 2 MiB a second read, 1 MiB and
// 1000 records a second written.
func TestLimits(t *testing.T) {
	cl := newClock()
	b := newBench(t, Options{Now: cl.now, MaxSkew: -1, MaxRecord: 10 << 20})
	b.Put("a", "k", make([]byte, 8<<20))
	b.SetLimits(AWSLimits())
	it := b.horizon(t)
	out, err := b.get(it)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.get(out.NextShardIterator)
	wantCode(t, "after 8 MiB", err, ErrThroughput)
	cl.advance(3100 * time.Millisecond)
	it = out.NextShardIterator
	cl.at.Store(cl.now().Truncate(time.Second).Add(time.Second).UnixMilli())
	for i := range 6 {
		_, err := b.get(it)
		if i < 5 && err != nil {
			t.Fatalf("read %d: %v", i, err)
		}
		if i == 5 {
			wantCode(t, "the sixth read", err, ErrThroughput)
		}
	}
	cl.advance(time.Second)
	if _, err := b.get(it); err != nil {
		t.Error(err)
	}
	var entries []types.PutRecordsRequestEntry
	for range 500 {
		entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: []byte("x")})
	}
	for i, want := range []int32{0, 0, 500} {
		out, err := b.Client.PutRecords(b.ctx, &kinesis.PutRecordsInput{StreamName: aws.String("a"), Records: entries})
		if err != nil || *out.FailedRecordCount != want {
			t.Fatalf("batch %d: %+v, %v", i, out, err)
		}
		if want > 0 && *out.Records[0].ErrorCode != ErrThroughput {
			t.Errorf("refused with %s", *out.Records[0].ErrorCode)
		}
	}
	_, err = b.Client.PutRecord(b.ctx, &kinesis.PutRecordInput{StreamName: aws.String("a"), PartitionKey: aws.String("k"), Data: []byte("x")})
	wantCode(t, "one more", err, ErrThroughput)
}
