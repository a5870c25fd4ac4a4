package kinesistest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// clock is a clock that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().UnixMilli())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(d.Milliseconds()) }

// bench is a server with one stream of one shard, and a client.
type bench struct {
	*Server
	*contract
	ctx context.Context
}

func newBench(t *testing.T, opts Options) bench {
	t.Helper()
	s := start(t, opts)
	s.CreateStream("a", 1)
	return bench{s, &contract{Target: Target{Client: kinesis.NewFromConfig(s.Config())}, ctx: t.Context()}, t.Context()}
}

func (b bench) horizon(t *testing.T) *string {
	t.Helper()
	return b.iterator(t, from("a", shard0, types.ShardIteratorTypeTrimHorizon))
}

func (b bench) get(it *string) (*kinesis.GetRecordsOutput, error) {
	return b.Client.GetRecords(b.ctx, &kinesis.GetRecordsInput{ShardIterator: it})
}

// Every error code reaches the SDK's caller as what it is.
func TestErrorCodes(t *testing.T) {
	b := newBench(t, Options{})
	it := b.horizon(t)
	for _, want := range []string{
		ErrThroughput, ErrExpiredIterator, ErrKMSThrottling, ErrKMSAccessDenied, ErrKMSDisabled, ErrKMSInvalidState, ErrKMSNotFound,
		ErrAccessDenied, ErrExpiredToken, ErrUnrecognizedToken, ErrInternalFailure, ErrUnavailable, ErrLimitExceeded, ErrResourceNotFound,
	} {
		f := b.Inject(Fault{Op: "GetRecords", Code: want, Count: 1})
		_, err := b.get(it)
		wantCode(t, "injected", err, want)
		if f.Hits() != 1 {
			t.Errorf("%s struck %d times", want, f.Hits())
		}
		if _, err := b.get(it); err != nil {
			t.Errorf("after %s: %v", want, err)
		}
		f.Remove()
	}
}

// A fault strikes the requests that it is for, and as often as it says.
func TestFaultsChoose(t *testing.T) {
	b := newBench(t, Options{})
	b.CreateStream("b", 2)
	f := b.Inject(Fault{Op: "GetRecords", Stream: "b", Shard: shard1, Skip: 1, Every: 2, Count: 2, Code: ErrThroughput})
	var got string
	for range 7 {
		for _, in := range []*kinesis.GetShardIteratorInput{
			from("a", shard0, types.ShardIteratorTypeLatest), from("b", shard0, types.ShardIteratorTypeLatest), from("b", shard1, types.ShardIteratorTypeLatest),
		} {
			_, err := b.get(b.iterator(t, in))
			switch {
			case err != nil && *in.StreamName == "b" && *in.ShardId == shard1:
				got += "x"
			case err != nil:
				t.Fatal(err)
			case *in.StreamName == "b" && *in.ShardId == shard1:
				got += "."
			}
		}
	}
	if got != "..x.x.." || f.Hits() != 2 {
		t.Errorf("struck %s, %d", got, f.Hits())
	}
	if calls := b.Calls(); calls["GetRecords"] != 21 || calls["GetShardIterator"] != 21 {
		t.Errorf("calls %v", calls)
	}
	b.Inject(Fault{Code: ErrInternalFailure})
	b.ClearFaults()
	if _, err := b.get(b.horizon(t)); err != nil {
		t.Error(err)
	}
}

// A connection is dropped before a put is carried out, or after.
func TestDrops(t *testing.T) {
	for _, tt := range []struct {
		fault Fault
		kept  int
	}{
		{Fault{Op: "PutRecord", DropBefore: true}, 0},
		{Fault{Op: "PutRecord", DropAfter: true}, 1},
	} {
		b := newBench(t, Options{})
		b.Inject(tt.fault)
		_, err := b.Client.PutRecord(b.ctx, &kinesis.PutRecordInput{StreamName: aws.String("a"), PartitionKey: aws.String("k"), Data: []byte("x")})
		if err == nil || code(err) != "" {
			t.Errorf("%+v: %v", tt.fault, err)
		}
		if kept := len(b.Records("a")); kept != tt.kept {
			t.Errorf("%+v: %d records", tt.fault, kept)
		}
	}
}

// A slow request waits, and goes when its client does.
func TestDelay(t *testing.T) {
	b := newBench(t, Options{})
	it := b.horizon(t)
	f := b.Inject(Fault{Op: "GetRecords", Delay: 30 * time.Millisecond})
	began := time.Now()
	if _, err := b.get(it); err != nil || time.Since(began) < 30*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	f.Remove()
	b.Inject(Fault{Op: "GetRecords", Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := b.Client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it}); err == nil {
		t.Error("no error")
	}
}

// Listings are spoilt as asked.
func TestListings(t *testing.T) {
	b := newBench(t, Options{})
	b.Split("a", shard0)
	ids := func() string {
		var out []string
		for _, sh := range b.shards(t, "a", 0) {
			out = append(out, (*sh.ShardId)[len(*sh.ShardId)-1:])
		}
		return strings.Join(out, "")
	}
	for _, tt := range []struct {
		fault Fault
		want  string
	}{
		{Fault{}, "012"},
		{Fault{Duplicate: true}, "012012"},
		{Fault{HideChildren: true}, "0"},
		{Fault{HideParents: true}, "12"},
	} {
		f := b.Inject(tt.fault)
		if got := ids(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.fault, got, tt.want)
		}
		f.Remove()
	}
	b.Inject(Fault{Shuffle: true})
	eventually(t, "the listing is out of order", func() bool {
		got := ids()
		if len(got) != 3 || !strings.Contains(got, "0") || !strings.Contains(got, "1") || !strings.Contains(got, "2") {
			t.Fatalf("listed %s", got)
		}
		return got != "012"
	})
}

// An empty answer is not the end: the next one goes on at the same place.
func TestEmpty(t *testing.T) {
	b := newBench(t, Options{})
	b.Put("a", "k", []byte("x"))
	b.Inject(Fault{Op: "GetRecords", Empty: true, Count: 1})
	out, err := b.get(b.horizon(t))
	if err != nil || len(out.Records) != 0 || *out.MillisBehindLatest == 0 || out.NextShardIterator == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if out, err = b.get(out.NextShardIterator); err != nil || len(out.Records) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}

// A key's credentials end for its requests alone; a signature is needed, of
// the right region and time.
func TestSignatures(t *testing.T) {
	cl := newClock()
	b := newBench(t, Options{Now: cl.now})
	list := func(change func(*kinesis.Options)) error {
		_, err := b.Client.ListStreams(b.ctx, &kinesis.ListStreamsInput{}, change)
		return err
	}
	key := func(id string) func(*kinesis.Options) {
		return func(o *kinesis.Options) { o.Credentials = credentials.NewStaticCredentialsProvider(id, "s", "t") }
	}
	b.Inject(Fault{AccessKey: "OLD", Code: ErrExpiredToken})
	wantCode(t, "old credentials", list(key("OLD")), ErrExpiredToken)
	if err := list(key("NEW")); err != nil {
		t.Error(err)
	}
	wantCode(t, "an unsigned request", list(func(o *kinesis.Options) { o.HTTPClient = unsigned{o.HTTPClient} }), ErrMissingToken)
	wantCode(t, "another region", list(func(o *kinesis.Options) { o.Region = "eu-west-1" }), ErrInvalidSignature)
	cl.advance(10 * time.Minute)
	wantCode(t, "a wrong clock", list(func(*kinesis.Options) {}), ErrInvalidSignature)
	if err := list(func(o *kinesis.Options) { o.RetryMaxAttempts = 2 }); err != nil {
		t.Errorf("the SDK does not find its clock's error: %v", err)
	}
}

// unsigned takes the signature off requests.
type unsigned struct{ kinesis.HTTPClient }

func (u unsigned) Do(r *http.Request) (*http.Response, error) {
	r.Header.Del("Authorization")
	return u.HTTPClient.Do(r)
}

// What is no operation or no JSON is refused and breaks nothing.
func FuzzRequest(f *testing.F) {
	s := New(Options{})
	f.Cleanup(s.Close)
	s.CreateStream("a", 2)
	s.Put("a", "k", []byte("x"))
	f.Add("GetRecords", fmt.Sprintf(`{"ShardIterator":%q}`, iterator{"a", 1, shard0, 0, time.Now().UnixMilli()}.token()))
	f.Add("PutRecords", `{"StreamName":"a","Records":[{"Data":"eA==","PartitionKey":"k"}]}`)
	f.Add("ListShards", `{"StreamName":"a","ShardFilter":{"Type":"FROM_TIMESTAMP","Timestamp":1.5}}`)
	f.Add("SplitShard", `{"StreamName":"a","ShardToSplit":"shardId-000000000001","NewStartingHashKey":"300000000000000000000000000000000000000"}`)
	f.Add("UpdateShardCount", `{"StreamName":"a","TargetShardCount":3,"ScalingType":"UNIFORM_SCALING"}`)
	f.Add("DescribeStream", `{"StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/a","Limit":-1}`)
	f.Fuzz(func(t *testing.T, name, body string) {
		op := operations[name]
		if op == nil {
			return
		}
		_, run, err := op(s, []byte(body))
		if err != nil {
			return
		}
		if _, err := run(&plan{}); err != nil && !isAPI(err) {
			t.Errorf("%s %s: %v has no code", name, body, err)
		}
	})
}

func isAPI(err error) bool {
	var e *apiError
	return errors.As(err, &e)
}
