package kinesistest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"
)

// A stream is made, described, listed and deleted.
func testStreams(t *testing.T, c *contract) {
	name := c.stream(t, 3)
	d := c.settle(t, name)
	if *d.StreamName != name || aws.ToInt32(d.OpenShardCount) != 3 || aws.ToInt32(d.RetentionPeriodHours) != 24 || nameOfARN(*d.StreamARN) != name {
		t.Errorf("described as %+v", d)
	}
	_, err := c.Client.CreateStream(c.ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(1)})
	wantCode(t, "creating it again", err, ErrResourceInUse)
	list, err := c.Client.ListStreams(c.ctx, &kinesis.ListStreamsInput{Limit: aws.Int32(10_000)})
	if err != nil || !slices.Contains(list.StreamNames, name) {
		t.Errorf("not listed: %v, %v", list, err)
	}
	var ids []string
	in := &kinesis.DescribeStreamInput{StreamName: &name, Limit: aws.Int32(2)}
	for {
		out, err := c.Client.DescribeStream(c.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, sh := range out.StreamDescription.Shards {
			ids = append(ids, *sh.ShardId)
		}
		if !*out.StreamDescription.HasMoreShards {
			break
		}
		in.ExclusiveStartShardId = &ids[len(ids)-1]
	}
	if diff := cmp.Diff([]string{shard0, shard1, "shardId-000000000002"}, ids); diff != "" {
		t.Error(diff)
	}
	c.remove(t, name)
}

// remove deletes a stream and waits until it is gone.
func (c *contract) remove(t *testing.T, name string) {
	t.Helper()
	if _, err := c.Client.DeleteStream(c.ctx, &kinesis.DeleteStreamInput{StreamName: &name}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is gone", func() bool {
		_, err := c.Client.DescribeStreamSummary(c.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		return code(err) == ErrResourceNotFound
	})
}

// ListShards pages, starts after a shard, and filters.
func testListShards(t *testing.T, c *contract) {
	name := c.stream(t, 5)
	all := c.shards(t, name, 0)
	if len(all) != 5 || *all[0].HashKeyRange.StartingHashKey != "0" || *all[4].HashKeyRange.EndingHashKey != maxHash.String() {
		t.Errorf("shards: %v", family(all))
	}
	for i := range all[1:] {
		if from, err := parseHash(*all[i+1].HashKeyRange.StartingHashKey); err != nil || from.prev().String() != *all[i].HashKeyRange.EndingHashKey {
			t.Errorf("shard %d ends at %s, the next begins at %v (%v)", i, *all[i].HashKeyRange.EndingHashKey, from, err)
		}
	}
	if diff := cmp.Diff(family(all), family(c.shards(t, name, 2))); diff != "" {
		t.Errorf("in pages (-whole +pages):\n%s", diff)
	}
	page, err := c.Client.ListShards(c.ctx, &kinesis.ListShardsInput{StreamName: &name, MaxResults: aws.Int32(2)})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Lacks.ListPages {
		if len(page.Shards) != 2 || page.NextToken == nil {
			t.Fatalf("a page: %v, next %v", family(page.Shards), page.NextToken)
		}
		_, err = c.Client.ListShards(c.ctx, &kinesis.ListShardsInput{StreamName: &name, NextToken: page.NextToken})
		wantCode(t, "NextToken with StreamName", err, ErrInvalidArgument)
		_, err = c.Client.ListShards(c.ctx, &kinesis.ListShardsInput{NextToken: aws.String("AAAA")})
		wantCode(t, "a broken NextToken", err, ErrInvalidArgument)
	}
	rest, err := c.Client.ListShards(c.ctx, &kinesis.ListShardsInput{StreamName: &name, ExclusiveStartShardId: aws.String(shard1)})
	if err != nil || cmp.Diff(family(all[2:]), family(rest.Shards)) != "" {
		t.Errorf("after a shard: %v, %v", rest, err)
	}
	c.split(t, name, all[0])
	for _, tt := range []struct {
		kind types.ShardFilterType
		want string
	}{
		{types.ShardFilterTypeAtLatest, "1 2 3 4 5 6"},
		{types.ShardFilterTypeAtTrimHorizon, "0 1 2 3 4"},
		{types.ShardFilterTypeFromTrimHorizon, "0 1 2 3 4 5 6"},
		{types.ShardFilterTypeAfterShardId, "2 3 4 5 6"},
	} {
		if c.Lacks.Filters || c.Lacks.TrimHorizon && tt.kind == types.ShardFilterTypeAtTrimHorizon {
			continue
		}
		filter := &types.ShardFilter{Type: tt.kind}
		if tt.kind == types.ShardFilterTypeAfterShardId {
			filter.ShardId = aws.String(shard1)
		}
		out, err := c.Client.ListShards(c.ctx, &kinesis.ListShardsInput{StreamName: &name, ShardFilter: filter})
		if err != nil {
			t.Errorf("%s: %v", tt.kind, err)
			continue
		}
		var got []string
		for _, sh := range out.Shards {
			got = append(got, (*sh.ShardId)[len(*sh.ShardId)-1:])
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.kind, got, tt.want)
		}
	}
}

// family writes shards with what a listing tells of their place.
func family(shards []types.Shard) []string {
	var out []string
	for _, sh := range shards {
		state := "open"
		if sh.SequenceNumberRange.EndingSequenceNumber != nil {
			state = "closed"
		}
		out = append(out, fmt.Sprintf("%s parent=%s adjacent=%s %s-%s %s", *sh.ShardId, aws.ToString(sh.ParentShardId), aws.ToString(sh.AdjacentParentShardId),
			*sh.HashKeyRange.StartingHashKey, *sh.HashKeyRange.EndingHashKey, state))
	}
	return out
}

// split divides a shard in the middle.
func (c *contract) split(t *testing.T, name string, sh types.Shard) {
	t.Helper()
	from, err1 := parseHash(*sh.HashKeyRange.StartingHashKey)
	to, err2 := parseHash(*sh.HashKeyRange.EndingHashKey)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	at := from.middle(to).next().String()
	if _, err := c.Client.SplitShard(c.ctx, &kinesis.SplitShardInput{StreamName: &name, ShardToSplit: sh.ShardId, NewStartingHashKey: &at}); err != nil {
		t.Fatal(err)
	}
	c.settle(t, name)
}

func (c *contract) merge(t *testing.T, name, a, b string) {
	t.Helper()
	if _, err := c.Client.MergeShards(c.ctx, &kinesis.MergeShardsInput{StreamName: &name, ShardToMerge: &a, AdjacentShardToMerge: &b}); err != nil {
		t.Fatal(err)
	}
	c.settle(t, name)
}

// A split shard is read to its end, which tells of its children; what is put
// afterwards is in them, with greater sequence numbers.
func testSplit(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	before := c.put(t, name, "k", "before")
	latest := c.iterator(t, from(name, shard0, types.ShardIteratorTypeLatest))
	c.split(t, name, c.shards(t, name, 0)[0])

	shards := c.shards(t, name, 0)
	middle := u128{1 << 63, 0}
	want := []string{
		"shardId-000000000000 parent= adjacent= 0-" + maxHash.String() + " closed",
		"shardId-000000000001 parent=shardId-000000000000 adjacent= 0-" + middle.prev().String() + " open",
		"shardId-000000000002 parent=shardId-000000000000 adjacent= " + middle.String() + "-" + maxHash.String() + " open",
	}
	if diff := cmp.Diff(want, family(shards)); diff != "" {
		t.Fatalf("shards (-want +got):\n%s", diff)
	}
	after := c.put(t, name, "k", "after")
	if *after.ShardId == shard0 || *after.SequenceNumber <= *before.SequenceNumber {
		t.Errorf("put into %s as %s after %s", *after.ShardId, *after.SequenceNumber, *before.SequenceNumber)
	}
	if end := *shards[0].SequenceNumberRange.EndingSequenceNumber; end < *before.SequenceNumber {
		t.Errorf("it ends at %s, before %s", end, *before.SequenceNumber)
	}
	got, last := c.read(t, c.iterator(t, from(name, shard0, types.ShardIteratorTypeTrimHorizon)), -1)
	if diff := cmp.Diff([]string{"before"}, got); diff != "" {
		t.Errorf("the parent's records:\n%s", diff)
	}
	if got, _ := c.read(t, latest, -1); len(got) > 0 {
		t.Errorf("LATEST of before the split: %v", got)
	}
	if got, _ := c.read(t, c.iterator(t, fromSequence(name, shard0, types.ShardIteratorTypeAfterSequenceNumber, before.SequenceNumber)), -1); len(got) > 0 {
		t.Errorf("after the last of a closed shard: %v", got)
	}
	if got, _ := c.read(t, c.iterator(t, from(name, *after.ShardId, types.ShardIteratorTypeTrimHorizon)), 1); got[0] != "after" {
		t.Errorf("the child's records: %v", got)
	}
	if !c.Lacks.ChildShards {
		checkChildren(t, last.ChildShards, map[string][]string{shard1: {shard0}, "shardId-000000000002": {shard0}})
	}
	_, err := c.Client.MergeShards(c.ctx, &kinesis.MergeShardsInput{StreamName: &name, ShardToMerge: aws.String(shard0), AdjacentShardToMerge: aws.String(shard1)})
	wantCode(t, "merging a closed shard", err, ErrInvalidArgument, ErrResourceInUse)
	if !c.Lacks.ClosedCheck {
		_, err := c.Client.SplitShard(c.ctx, &kinesis.SplitShardInput{StreamName: &name, ShardToSplit: aws.String(shard0), NewStartingHashKey: aws.String("7")})
		wantCode(t, "splitting a closed shard", err, ErrInvalidArgument, ErrResourceInUse)
	}
}

func checkChildren(t *testing.T, children []types.ChildShard, want map[string][]string) {
	t.Helper()
	got := make(map[string][]string)
	for _, ch := range children {
		got[*ch.ShardId] = slices.Sorted(slices.Values(ch.ParentShards))
		if ch.HashKeyRange == nil || ch.HashKeyRange.StartingHashKey == nil {
			t.Errorf("child %s has no range", *ch.ShardId)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("children (-want +got):\n%s", diff)
	}
}

// Two shards merge into one that names both as its parents.
func testMerge(t *testing.T, c *contract) {
	name := c.stream(t, 3)
	_, err := c.Client.MergeShards(c.ctx, &kinesis.MergeShardsInput{StreamName: &name, ShardToMerge: aws.String(shard0), AdjacentShardToMerge: aws.String("shardId-000000000002")})
	wantCode(t, "merging shards that do not touch", err, ErrInvalidArgument)
	c.merge(t, name, shard0, shard1)
	shards := c.shards(t, name, 0)
	child := shards[3]
	if *child.ParentShardId != shard0 || aws.ToString(child.AdjacentParentShardId) != shard1 ||
		*child.HashKeyRange.StartingHashKey != "0" || *child.HashKeyRange.EndingHashKey != *shards[1].HashKeyRange.EndingHashKey {
		t.Errorf("the child: %v", family(shards))
	}
	for _, parent := range []string{shard0, shard1} {
		_, last := c.read(t, c.iterator(t, from(name, parent, types.ShardIteratorTypeTrimHorizon)), -1)
		if !c.Lacks.ChildShards {
			checkChildren(t, last.ChildShards, map[string][]string{*child.ShardId: {shard0, shard1}})
		}
	}
}

// Records of one key are in order along the generations of their shards.
func testGenerations(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	var want []string
	put := func() {
		for range 2 {
			data := fmt.Sprint(len(want))
			want = append(want, *c.put(t, name, "k", data).ShardId+" "+data)
		}
	}
	put()
	c.split(t, name, c.shards(t, name, 0)[0])
	put()
	c.merge(t, name, shard1, "shardId-000000000002")
	put()
	c.split(t, name, c.shards(t, name, 0)[3])
	put()
	var got []string
	for _, sh := range c.shards(t, name, 0) { // IDs order parents before children
		n := -1
		if sh.SequenceNumberRange.EndingSequenceNumber == nil {
			n = 0
			for _, w := range want {
				if strings.HasPrefix(w, *sh.ShardId) {
					n++
				}
			}
		}
		data, _ := c.read(t, c.iterator(t, from(name, *sh.ShardId, types.ShardIteratorTypeTrimHorizon)), n)
		for _, d := range data {
			got = append(got, *sh.ShardId+" "+d)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-put +got):\n%s", diff)
	}
}

// UpdateShardCount splits and merges to equal shards.
func testShardCount(t *testing.T, c *contract) {
	c.skip(t, c.Lacks.ShardCount)
	name := c.stream(t, 2)
	for _, n := range []int{4, 3, 2} {
		if _, err := c.Client.UpdateShardCount(c.ctx, &kinesis.UpdateShardCountInput{
			StreamName: &name, TargetShardCount: aws.Int32(int32(n)), ScalingType: types.ScalingTypeUniformScaling,
		}); err != nil {
			t.Fatal(err)
		}
		c.settle(t, name)
		open := slices.DeleteFunc(c.shards(t, name, 0), func(sh types.Shard) bool { return sh.SequenceNumberRange.EndingSequenceNumber != nil })
		if len(open) != n {
			t.Fatalf("%d open shards, want %d: %v", len(open), n, family(open))
		}
		for _, sh := range open {
			if sh.ParentShardId == nil {
				t.Errorf("%s has no parent", *sh.ShardId)
			}
		}
	}
	_, err := c.Client.UpdateShardCount(c.ctx, &kinesis.UpdateShardCountInput{StreamName: &name, TargetShardCount: aws.Int32(5), ScalingType: types.ScalingTypeUniformScaling})
	wantCode(t, "more than double", err, ErrInvalidArgument, ErrLimitExceeded)
}

// A stream goes to on-demand and back with its shards.
func testStreamMode(t *testing.T, c *contract) {
	c.skip(t, c.Lacks.StreamMode)
	name := c.stream(t, 2)
	arn := c.settle(t, name).StreamARN
	for _, mode := range []types.StreamMode{types.StreamModeOnDemand, types.StreamModeProvisioned} {
		if _, err := c.Client.UpdateStreamMode(c.ctx, &kinesis.UpdateStreamModeInput{StreamARN: arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: mode}}); err != nil {
			t.Fatal(err)
		}
		if d := c.settle(t, name); d.StreamModeDetails.StreamMode != mode || *d.OpenShardCount != 2 {
			t.Errorf("%+v, want %s", d, mode)
		}
	}
}

// The retention can be raised and lowered within its bounds.
func testRetention(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	if _, err := c.Client.IncreaseStreamRetentionPeriod(c.ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &name, RetentionPeriodHours: aws.Int32(48)}); err != nil {
		t.Fatal(err)
	}
	if d := c.settle(t, name); *d.RetentionPeriodHours != 48 {
		t.Errorf("%d h", *d.RetentionPeriodHours)
	}
	_, err := c.Client.IncreaseStreamRetentionPeriod(c.ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &name, RetentionPeriodHours: aws.Int32(25)})
	wantCode(t, "increasing to less", err, ErrInvalidArgument)
	if _, err := c.Client.DecreaseStreamRetentionPeriod(c.ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: &name, RetentionPeriodHours: aws.Int32(24)}); err != nil {
		t.Fatal(err)
	}
	if d := c.settle(t, name); *d.RetentionPeriodHours != 24 {
		t.Errorf("%d h", *d.RetentionPeriodHours)
	}
}

// A stream that is deleted and made again under its name is another one: old
// iterators and sequence numbers do not fit, and no old record is seen.
func testRecreated(t *testing.T, c *contract) {
	name := c.stream(t, 1)
	old := c.put(t, name, "k", "old")
	iterator := c.iterator(t, from(name, shard0, types.ShardIteratorTypeTrimHorizon))
	c.remove(t, name)
	_, err := c.Client.GetRecords(c.ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
	wantCode(t, "reading a deleted stream", err, ErrResourceNotFound)
	second := time.Now().Unix() // sequence numbers tell streams apart by the second
	eventually(t, "the next second", func() bool { return time.Now().Unix() > second })
	c.create(t, name, 1)
	c.settle(t, name)
	fresh := c.put(t, name, "k", "new")
	if !c.Lacks.SequenceCheck {
		_, err = c.Client.GetShardIterator(c.ctx, fromSequence(name, shard0, types.ShardIteratorTypeAfterSequenceNumber, old.SequenceNumber))
		wantCode(t, "iterator at a number of the old stream", err, ErrInvalidArgument)
	}
	if got, _ := c.read(t, c.iterator(t, from(name, shard0, types.ShardIteratorTypeTrimHorizon)), 1); got[0] != "new" {
		t.Errorf("read %v", got)
	}
	if *fresh.SequenceNumber <= *old.SequenceNumber {
		t.Errorf("sequence numbers: %s after %s", *fresh.SequenceNumber, *old.SequenceNumber)
	}
}
