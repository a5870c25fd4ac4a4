//go:build unix

package leasetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trailtide/trailtide/pipeline/kinesis/lease"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
	"github.com/trailtide/trailtide/test/kinesispeers"
)

// peers runs a test against the double in the process, the double over HTTP,
// and an independent server (make test-kinesis; TRAILTIDE_DYNAMODB_ENDPOINT names another): so the double cannot drift.
func peers(t *testing.T, f func(t *testing.T, table lease.Table)) {
	t.Helper()
	t.Run("client", func(t *testing.T) { f(t, leasetest.New().Client(nil)) })
	t.Run("http", func(t *testing.T) {
		server := httptest.NewServer(leasetest.New().Handler(nil))
		defer server.Close()
		f(t, sdk(server.URL))
	})
	t.Run("independent", func(t *testing.T) {
		endpoint := os.Getenv("TRAILTIDE_DYNAMODB_ENDPOINT")
		if endpoint == "" {
			endpoint = kinesispeers.Dynalite(t)
		}
		f(t, sdk(endpoint))
	})
}

func sdk(endpoint string, change ...func(*dynamodb.Options)) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "eu-west-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 2,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	}, change...)
}

func tableName(t *testing.T) string {
	t.Helper()
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%.80s-%d", clean, time.Now().UnixNano())
}

func makeTable(t *testing.T, c lease.Table) string {
	t.Helper()
	name := tableName(t)
	in := &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("leaseKey"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("leaseKey"), KeyType: types.KeyTypeHash}},
	}
	if _, err := c.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateTable(t.Context(), in)
	var inUse *types.ResourceInUseException
	if !errors.As(err, &inUse) {
		t.Errorf("made twice: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := c.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if out.Table.TableStatus == types.TableStatusActive {
			return name
		}
		<-tick.C
	}
}

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
func n(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }

var values = cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberSS{})

func TestMissingTableIsNotFound(t *testing.T) {
	peers(t, func(t *testing.T, c lease.Table) {
		name := tableName(t)
		key := leasetest.Item{"leaseKey": s("a")}
		calls := map[string]error{}
		_, calls["DescribeTable"] = c.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &name})
		_, calls["Scan"] = c.Scan(t.Context(), &dynamodb.ScanInput{TableName: &name})
		_, calls["GetItem"] = c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &name, Key: key})
		_, calls["PutItem"] = c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: key})
		_, calls["DeleteItem"] = c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &name, Key: key})
		for op, err := range calls {
			var missing *types.ResourceNotFoundException
			if !errors.As(err, &missing) {
				t.Errorf("%s: %v", op, err)
			}
		}
	})
}

func TestWritesAreConditional(t *testing.T) {
	peers(t, func(t *testing.T, c lease.Table) {
		name := makeTable(t, c)
		key := leasetest.Item{"leaseKey": s("a")}
		whole := leasetest.Item{
			"leaseKey": s("a"), "leaseCounter": n("1"), "leaseOwner": s("me"), "unknown": s("kept"),
			"parentShardId": &types.AttributeValueMemberSS{Value: []string{"p", "q"}},
		}
		put := &dynamodb.PutItemInput{
			TableName: &name, Item: whole, ConditionExpression: aws.String("attribute_not_exists(#k)"),
			ExpressionAttributeNames: map[string]string{"#k": "leaseKey"},
		}
		if _, err := c.PutItem(t.Context(), put); err != nil {
			t.Fatal(err)
		}
		_, err := c.PutItem(t.Context(), put)
		refused(t, "second put", err)

		update := func(owner, counter string) (*dynamodb.UpdateItemOutput, error) {
			return c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: &name, Key: key, ReturnValues: types.ReturnValueAllNew,
				UpdateExpression:    aws.String("SET #c = #c + :one, #x = if_not_exists(#x, :owner) REMOVE #o, #none"),
				ConditionExpression: aws.String("#o = :owner AND #c = :counter AND attribute_exists(#k) AND NOT (#c > :counter OR attribute_not_exists(#c))"),
				ExpressionAttributeNames: map[string]string{
					"#c": "leaseCounter", "#o": "leaseOwner", "#x": "new", "#k": "leaseKey", "#none": "absent",
				},
				ExpressionAttributeValues: leasetest.Item{":one": n("1"), ":owner": s(owner), ":counter": n(counter)},
			})
		}
		_, err = update("other", "1")
		refused(t, "another owner", err)
		_, err = update("me", "2")
		refused(t, "another counter", err)
		out, err := update("me", "1")
		if err != nil {
			t.Fatal(err)
		}
		want := leasetest.Item{
			"leaseKey": s("a"), "leaseCounter": n("2"), "unknown": s("kept"), "new": s("me"),
			"parentShardId": &types.AttributeValueMemberSS{Value: []string{"p", "q"}},
		}
		if diff := cmp.Diff(want, out.Attributes, values); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		got, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &name, Key: key, ConsistentRead: aws.Bool(true)})
		if diff := cmp.Diff(want, got.Item, values); diff != "" || err != nil {
			t.Errorf("%v, -want +got:\n%s", err, diff)
		}

		remove := func(counter string) error {
			_, err := c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
				TableName: &name, Key: key, ConditionExpression: aws.String("leaseCounter = :c"),
				ExpressionAttributeValues: leasetest.Item{":c": n(counter)},
			})
			return err
		}
		refused(t, "delete", remove("1"))
		if err := remove("2"); err != nil {
			t.Error(err)
		}
		if got, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &name, Key: key}); err != nil || len(got.Item) != 0 {
			t.Errorf("deleted item: %v, %v", got, err)
		}
		_, err = update("me", "2")
		refused(t, "update of what is gone", err)
	})
}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) {
		t.Errorf("%s: %v; want the condition to fail", what, err)
	}
}

func TestWrongExpressionsAreInvalid(t *testing.T) {
	peers(t, func(t *testing.T, c lease.Table) {
		name := makeTable(t, c)
		for what, in := range map[string]dynamodb.UpdateItemInput{
			"unused value":    {UpdateExpression: aws.String("SET a = :a"), ExpressionAttributeValues: leasetest.Item{":a": n("1"), ":b": n("1")}},
			"unused name":     {UpdateExpression: aws.String("REMOVE a"), ExpressionAttributeNames: map[string]string{"#b": "b"}},
			"undefined value": {UpdateExpression: aws.String("SET a = :a")},
			"undefined name":  {UpdateExpression: aws.String("REMOVE #a")},
			"key":             {UpdateExpression: aws.String("SET leaseKey = :a"), ExpressionAttributeValues: leasetest.Item{":a": s("b")}},
			"twice":           {UpdateExpression: aws.String("SET a = :a REMOVE a"), ExpressionAttributeValues: leasetest.Item{":a": s("b")}},
			"no clause":       {UpdateExpression: aws.String("LET a = :a"), ExpressionAttributeValues: leasetest.Item{":a": s("b")}},
			"half a condition": {
				UpdateExpression: aws.String("REMOVE a"), ConditionExpression: aws.String("b ="),
			},
		} {
			in.TableName, in.Key = &name, leasetest.Item{"leaseKey": s("a")}
			_, err := c.UpdateItem(t.Context(), &in)
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != "ValidationException" {
				t.Errorf("%s: %v; want a ValidationException", what, err)
			}
		}
		_, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: leasetest.Item{
			"leaseKey": s("a"), "set": &types.AttributeValueMemberSS{Value: []string{}},
		}})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "ValidationException" {
			t.Errorf("empty set: %v; want a ValidationException", err)
		}
	})
}

func TestScanPages(t *testing.T) {
	peers(t, func(t *testing.T, c lease.Table) {
		name := makeTable(t, c)
		var want []string
		for i := range 25 {
			key := fmt.Sprintf("shardId-%012d", i)
			want = append(want, key)
			if _, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: leasetest.Item{"leaseKey": s(key)}}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		var start leasetest.Item
		for {
			out, err := c.Scan(t.Context(), &dynamodb.ScanInput{TableName: &name, Limit: aws.Int32(4), ExclusiveStartKey: start, ConsistentRead: aws.Bool(true)})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Items) > 4 || int(out.Count) != len(out.Items) {
				t.Errorf("a page of %d items, count %d", len(out.Items), out.Count)
			}
			for _, i := range out.Items {
				got = append(got, i["leaseKey"].(*types.AttributeValueMemberS).Value)
			}
			if start = out.LastEvaluatedKey; start == nil {
				break
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestCoordinatorsShareLeases is the coordinator's own use of the server: leases are
// made, shared, checkpointed, finished, handed over and given up.
func TestCoordinatorsShareLeases(t *testing.T) {
	peers(t, func(t *testing.T, c lease.Table) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		name := tableName(t)
		listing := lease.Listing{Stream: "111122223333:trail:1", Shards: []lease.Shard{
			{ID: "P", Closed: true, StartingHashKey: "0", EndingHashKey: "9"},
			{ID: "A", Parents: []string{"P"}, StartingHashKey: "0", EndingHashKey: "4"},
			{ID: "B", Parents: []string{"P"}, StartingHashKey: "5", EndingHashKey: "9"},
			{ID: "C", StartingHashKey: "10", EndingHashKey: "19"},
			{ID: "D", StartingHashKey: "20", EndingHashKey: "29"},
		}}
		serve := func(ctx context.Context, l *lease.Lease) {
			if l.Shard() == "P" {
				l.Finish(listing.Shards[1], listing.Shards[2])
				return
			}
			if got := l.Start(); l.Shard() == "A" && !got.Sentinel() && got.SubSequence != 7 {
				t.Errorf("starts at %v", got)
			}
			l.Checkpoint("49590338271490256608559692538361571095921575989136588898", 7)
			select {
			case <-ctx.Done():
			case <-l.Draining():
			}
		}
		var running []*lease.Coordinator
		start := func() func() {
			k, err := lease.Open(ctx, lease.Options{
				Table: c, TableName: name, FailoverTime: 3 * time.Second, TakeEvery: 200 * time.Millisecond, SyncEvery: 500 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			own, stop := context.WithCancel(ctx)
			done := make(chan error, 2)
			go func() { done <- k.Run(own, serve) }()
			go func() {
				for {
					select {
					case <-own.Done():
						done <- nil
						return
					case <-k.SyncWanted(listing.Stream):
						if err := k.Sync(own, listing); err != nil && own.Err() == nil {
							t.Error(err)
						}
					}
				}
			}()
			running = append(running, k)
			return func() {
				stop()
				for range 2 {
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
			}
		}
		eventually := func(what string, holds func() bool) {
			t.Helper()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for !holds() {
				select {
				case <-ctx.Done():
					t.Fatalf("never: %s; held %v", what, held(running))
				case <-tick.C:
				}
			}
		}
		stopFirst := start()
		eventually("all children's leases", func() bool { return cmp.Equal(held(running), []int{4}) })
		stopSecond := start()
		defer stopSecond()
		eventually("two each", func() bool { return cmp.Equal(held(running), []int{2, 2}) })
		stopFirst()
		eventually("all at the second", func() bool { return cmp.Equal(held(running), []int{0, 4}) })
		eventually("the parent's lease gone", func() bool {
			out, err := c.Scan(ctx, &dynamodb.ScanInput{TableName: &name})
			return err == nil && len(out.Items) == 4
		})
		for _, h := range running[1].Held() {
			if h.Checkpoint.SubSequence != 7 || h.Stream != listing.Stream {
				t.Errorf("held %+v", h)
			}
		}
	})
}

func held(running []*lease.Coordinator) []int {
	var counts []int
	for _, k := range running {
		counts = append(counts, len(k.Held()))
	}
	return counts
}

func TestFaultsReachTheSDK(t *testing.T) {
	var fault leasetest.Fault
	db := leasetest.New()
	server := httptest.NewServer(db.Handler(func(leasetest.Call) leasetest.Fault { return fault }))
	defer server.Close()
	c := sdk(server.URL, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	name := makeTable(t, c)
	put := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := c.PutItem(ctx, &dynamodb.PutItemInput{TableName: &name, Item: leasetest.Item{"leaseKey": s("a")}})
		return err
	}
	fault = leasetest.Fault{Err: leasetest.Throttle()}
	var throttled *types.ProvisionedThroughputExceededException
	if err := put(); !errors.As(err, &throttled) {
		t.Errorf("throttled: %v", err)
	}
	if len(db.Items(name)) != 0 {
		t.Error("a throttled call was applied")
	}
	fault = leasetest.Fault{Lost: errors.New("lost")}
	if err := put(); err == nil {
		t.Error("a lost answer came")
	}
	if len(db.Items(name)) != 1 {
		t.Error("the call whose answer was lost was not applied")
	}
}
