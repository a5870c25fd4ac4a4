package kinesistest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"
)

const (
	shard0 = "shardId-000000000000"
	shard1 = "shardId-000000000001"
)

// A record goes to the shard whose range holds its key's MD5, or its explicit
// hash key, and PutRecords answers in the order of its input.
func testPutAndRoute(t *testing.T, c *contract) {
	name := c.stream(t, 3)
	shards := c.shards(t, name, 0)
	owner := func(hash *big.Int) string {
		for _, sh := range shards {
			start, _ := new(big.Int).SetString(*sh.HashKeyRange.StartingHashKey, 10)
			end, _ := new(big.Int).SetString(*sh.HashKeyRange.EndingHashKey, 10)
			if hash.Cmp(start) >= 0 && hash.Cmp(end) <= 0 {
				return *sh.ShardId
			}
		}
		t.Fatalf("nobody owns %v", hash)
		return ""
	}
	var entries []types.PutRecordsRequestEntry
	var want []string
	for i := range 20 {
		key := fmt.Sprintf("key-%d", i)
		entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: &key, Data: []byte(key)})
		want = append(want, owner(hashOf(key).big()))
	}
	for _, sh := range shards {
		for _, hash := range []*string{sh.HashKeyRange.StartingHashKey, sh.HashKeyRange.EndingHashKey} {
			entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: aws.String("same"), ExplicitHashKey: hash, Data: []byte("x")})
			want = append(want, *sh.ShardId)
		}
	}
	out, err := c.Client.PutRecords(c.ctx, &kinesis.PutRecordsInput{StreamName: &name, Records: entries})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	newest := make(map[string]string)
	for _, r := range out.Records {
		got = append(got, aws.ToString(r.ShardId))
		if seq := aws.ToString(r.SequenceNumber); seq <= newest[*r.ShardId] {
			t.Errorf("sequence number %s after %s", seq, newest[*r.ShardId])
		}
		newest[*r.ShardId] = *r.SequenceNumber
	}
	if diff := cmp.Diff(want, got); diff != "" || aws.ToInt32(out.FailedRecordCount) != 0 {
		t.Errorf("shards (-want +got):\n%s", diff)
	}
	if got, want := c.put(t, name, "key-0", "y"), owner(hashOf("key-0").big()); *got.ShardId != want {
		t.Errorf("PutRecord: %s, want %s", *got.ShardId, want)
	}
}

// Records come in the order in which they were put, with the keys, data and
// sequence numbers that the puts had; arrival times do not run back.
func testPutOrder(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	var want []string
	var previous *string
	for i := range 8 {
		data := fmt.Sprint(i)
		out, err := c.Client.PutRecord(c.ctx, &kinesis.PutRecordInput{
			StreamName: &name, PartitionKey: aws.String("k" + data), Data: []byte(data), SequenceNumberForOrdering: previous,
		})
		if err != nil {
			t.Fatal(err)
		}
		previous = out.SequenceNumber
		want = append(want, "k"+data+" "+data+" "+*out.SequenceNumber)
	}
	var entries []types.PutRecordsRequestEntry
	for i := range 8 {
		data := fmt.Sprint(i + 8)
		entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: aws.String("k" + data), Data: []byte(data)})
	}
	out, err := c.Client.PutRecords(c.ctx, &kinesis.PutRecordsInput{StreamName: &name, Records: entries})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range out.Records {
		want = append(want, *entries[i].PartitionKey+" "+string(entries[i].Data)+" "+*r.SequenceNumber)
	}
	var got, numbers []string
	var arrived time.Time
	iterator := c.iterator(t, from(name, shard0, types.ShardIteratorTypeTrimHorizon))
	eventually(t, "all records were read", func() bool {
		out, err := c.Client.GetRecords(c.ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Records {
			got = append(got, *r.PartitionKey+" "+string(r.Data)+" "+*r.SequenceNumber)
			numbers = append(numbers, *r.SequenceNumber)
			if r.ApproximateArrivalTimestamp.Before(arrived) || time.Since(*r.ApproximateArrivalTimestamp).Abs() > time.Minute {
				t.Errorf("arrived at %v after %v", r.ApproximateArrivalTimestamp, arrived)
			}
			arrived = *r.ApproximateArrivalTimestamp
		}
		iterator = out.NextShardIterator
		return len(got) >= len(want)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-put +got):\n%s", diff)
	}
	if !slices.IsSorted(numbers) || len(numbers[0]) != 56 || numbers[0] <= *c.shards(t, name, 0)[0].SequenceNumberRange.StartingSequenceNumber {
		t.Errorf("sequence numbers %v", numbers)
	}
}

// Each iterator type begins where it says.
func testIterators(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	start := c.shards(t, name, 0)[0].SequenceNumberRange.StartingSequenceNumber
	early := c.iterator(t, from(name, shard0, types.ShardIteratorTypeLatest))
	var seqs []*string
	for i := range 5 {
		seqs = append(seqs, c.put(t, name, "k", fmt.Sprint(i)).SequenceNumber)
	}
	late := c.iterator(t, from(name, shard0, types.ShardIteratorTypeLatest))
	after := c.iterator(t, fromSequence(name, shard0, types.ShardIteratorTypeAfterSequenceNumber, seqs[4]))
	c.put(t, name, "k", "5")
	for _, tt := range []struct {
		name     string
		iterator *string
		want     string
	}{
		{"TRIM_HORIZON", c.iterator(t, from(name, shard0, types.ShardIteratorTypeTrimHorizon)), "012345"},
		{"LATEST before", early, "012345"},
		{"LATEST after", late, "5"},
		{"AT_SEQUENCE_NUMBER", c.iterator(t, fromSequence(name, shard0, types.ShardIteratorTypeAtSequenceNumber, seqs[2])), "2345"},
		{"AFTER_SEQUENCE_NUMBER", c.iterator(t, fromSequence(name, shard0, types.ShardIteratorTypeAfterSequenceNumber, seqs[2])), "345"},
		{"AFTER_SEQUENCE_NUMBER of the last", after, "5"},
		{"AT_SEQUENCE_NUMBER of the shard's start", c.iterator(t, fromSequence(name, shard0, types.ShardIteratorTypeAtSequenceNumber, start)), "012345"},
	} {
		got, last := c.read(t, tt.iterator, len(tt.want))
		if strings.Join(got, "") != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
		more, last := c.read(t, last.NextShardIterator, 0)
		if len(more) > 0 || last.NextShardIterator == nil || aws.ToInt64(last.MillisBehindLatest) != 0 {
			t.Errorf("%s: at the end there is %v, %+v", tt.name, more, last)
		}
	}
	// An iterator may be used again.
	for range 2 {
		if got, _ := c.read(t, late, 1); len(got) != 1 || got[0] != "5" {
			t.Errorf("the iterator again: %v", got)
		}
	}
}

// AT_TIMESTAMP begins with the first record that arrived then or later.
func testTimestamps(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	var arrived []time.Time
	for i := range 3 {
		c.put(t, name, "k", fmt.Sprint(i))
		iterator := c.iterator(t, from(name, shard0, types.ShardIteratorTypeTrimHorizon))
		out, err := c.Client.GetRecords(c.ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			t.Fatal(err)
		}
		at := *out.Records[i].ApproximateArrivalTimestamp
		arrived = append(arrived, at)
		eventually(t, "the next has a later time", func() bool { return time.Since(at) > 30*time.Millisecond })
	}
	at := func(at time.Time) *kinesis.GetShardIteratorInput {
		in := from(name, shard0, types.ShardIteratorTypeAtTimestamp)
		in.Timestamp = &at
		return in
	}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{arrived[0].Add(-time.Hour), "012"},
		{arrived[0], "012"},
		{arrived[1], "12"},
		{arrived[1].Add(10 * time.Millisecond), "2"},
	} {
		if got, _ := c.read(t, c.iterator(t, at(tt.at)), len(tt.want)); strings.Join(got, "") != tt.want {
			t.Errorf("at %v: %v, want %s", tt.at, got, tt.want)
		}
	}
	if !c.Lacks.LateTimestamp {
		late := c.iterator(t, at(arrived[2].Add(10*time.Millisecond)))
		c.put(t, name, "k", "3")
		if got, _ := c.read(t, late, 1); strings.Join(got, "") != "3" {
			t.Errorf("after the last: %v, want 3", got)
		}
	}
	_, err := c.Client.GetShardIterator(c.ctx, at(time.Now().Add(time.Hour)))
	wantCode(t, "AT_TIMESTAMP in the future", err, ErrInvalidArgument)
}

// Limit makes pages; MillisBehindLatest is positive until the last of them.
func testPages(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	for i := range 5 {
		c.put(t, name, "k", fmt.Sprint(i))
	}
	iterator := c.iterator(t, from(name, shard0, types.ShardIteratorTypeTrimHorizon))
	var pages []string
	for range 3 {
		out, err := c.Client.GetRecords(c.ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(2)})
		if err != nil {
			t.Fatal(err)
		}
		var page string
		for _, r := range out.Records {
			page += string(r.Data)
		}
		pages = append(pages, page)
		if behind := aws.ToInt64(out.MillisBehindLatest); !c.Lacks.Behind && (behind > 0) != (len(pages) < 3) {
			t.Errorf("page %d is %d ms behind", len(pages), behind)
		}
		iterator = out.NextShardIterator
	}
	if diff := cmp.Diff([]string{"01", "23", "4"}, pages); diff != "" {
		t.Error(diff)
	}
}

// Data comes back as it was put, whatever bytes it has, up to the limit.
func testBinary(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	big := bytes.Repeat(all, 400)
	for _, data := range [][]byte{{}, all, big} {
		if _, err := c.Client.PutRecord(c.ctx, &kinesis.PutRecordInput{StreamName: &name, PartitionKey: aws.String("ключ \"\\\n"), Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	iterator := c.iterator(t, from(name, shard0, types.ShardIteratorTypeTrimHorizon))
	var got [][]byte
	eventually(t, "all records were read", func() bool {
		out, err := c.Client.GetRecords(c.ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Records {
			got = append(got, r.Data)
			if *r.PartitionKey != "ключ \"\\\n" {
				t.Errorf("key %q", *r.PartitionKey)
			}
		}
		iterator = out.NextShardIterator
		return len(got) >= 3
	})
	for i, want := range [][]byte{{}, all, big} {
		if !bytes.Equal(got[i], want) {
			t.Errorf("%d bytes (%x) of %d", len(got[i]), sha256.Sum256(got[i]), len(want))
		}
	}
	if !c.Lacks.Oversize {
		_, err := c.Client.PutRecord(c.ctx, &kinesis.PutRecordInput{StreamName: &name, PartitionKey: aws.String("k"), Data: make([]byte, 11<<20)})
		wantCode(t, "a record of 11 MiB", err, ErrValidation, ErrInvalidArgument)
	}
}

// What does not exist or makes no sense is refused with the error that says so.
func testErrors(t *testing.T, c *contract) {
	name := c.stream(t, 2)
	put := c.put(t, name, "k", "x")
	_, err := c.Client.GetShardIterator(c.ctx, from(name+"x", shard0, types.ShardIteratorTypeLatest))
	wantCode(t, "iterator of an unknown stream", err, ErrResourceNotFound)
	_, err = c.Client.GetShardIterator(c.ctx, from(name, "shardId-000000000007", types.ShardIteratorTypeLatest))
	wantCode(t, "iterator of an unknown shard", err, ErrResourceNotFound)
	_, err = c.Client.ListShards(c.ctx, &kinesis.ListShardsInput{StreamName: aws.String(name + "x")})
	wantCode(t, "shards of an unknown stream", err, ErrResourceNotFound)
	_, err = c.Client.PutRecord(c.ctx, &kinesis.PutRecordInput{StreamName: aws.String(name + "x"), PartitionKey: aws.String("k"), Data: []byte("x")})
	wantCode(t, "put into an unknown stream", err, ErrResourceNotFound)
	if !c.Lacks.SequenceCheck {
		wrong := shard0
		if *put.ShardId == shard0 {
			wrong = shard1
		}
		_, err = c.Client.GetShardIterator(c.ctx, fromSequence(name, wrong, types.ShardIteratorTypeAtSequenceNumber, put.SequenceNumber))
		wantCode(t, "iterator at a number of another shard", err, ErrInvalidArgument)
	}
	if !c.Lacks.IteratorErrors {
		_, err = c.Client.GetRecords(c.ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAAAAAAAAGgoEeNk")})
		wantCode(t, "a broken iterator", err, ErrInvalidArgument)
	}
}

// Operations take the stream's ARN in place of its name.
func testByARN(t *testing.T, c *contract) {
	c.skip(t, c.Lacks.StreamARN)
	name := c.stream(t, 1)
	arn := c.settle(t, name).StreamARN
	if _, err := c.Client.PutRecord(c.ctx, &kinesis.PutRecordInput{StreamARN: arn, PartitionKey: aws.String("k"), Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	list, err := c.Client.ListShards(c.ctx, &kinesis.ListShardsInput{StreamARN: arn})
	if err != nil || len(list.Shards) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	iterator := c.iterator(t, &kinesis.GetShardIteratorInput{StreamARN: arn, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	out, err := c.Client.GetRecords(c.ctx, &kinesis.GetRecordsInput{StreamARN: arn, ShardIterator: iterator})
	if err != nil || len(out.Records) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
}
