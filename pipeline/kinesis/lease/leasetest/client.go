package leasetest

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Call is one request.
type Call struct {
	Op  string // "UpdateItem", …
	Key string // of an item; "" of others
	// Update and Condition are the expressions, if any.
	Update, Condition string
}

// Fault is what becomes of a call. The zero value: nothing.
type Fault struct {
	// Before delays the call before it is applied, After its answer. A caller
	// whose context ends in Before does not keep the call from being applied.
	Before, After time.Duration
	// Err is answered and the call is not applied.
	Err error
	// Lost is answered though the call was applied.
	Lost error
}

// Throttle is what DynamoDB answers above a table's capacity.
func Throttle() error {
	return &types.ProvisionedThroughputExceededException{Message: aws.String("The level of configured provisioned throughput for the table was exceeded")}
}

// Client calls a DB in the same process with the methods of the AWS SDK's client.
type Client struct {
	db    *DB
	fault func(Call) Fault
}

// Client makes a client. fault, if not nil, is asked about every call, by many goroutines.
func (db *DB) Client(fault func(Call) Fault) *Client {
	if fault == nil {
		fault = func(Call) Fault { return Fault{} }
	}
	return &Client{db: db, fault: fault}
}

// do applies a call with its fault. The call goes its way in a goroutine where it
// is delayed, as on a network: its caller may be gone when it arrives.
func do[T any](ctx context.Context, c *Client, call Call, apply func() (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	f := c.fault(call)
	if f.Before == 0 && f.After == 0 {
		return answer(f, apply)
	}
	type result struct {
		out T
		err error
	}
	done := make(chan result, 1)
	go func() {
		time.Sleep(f.Before)
		out, err := answer(f, apply)
		time.Sleep(f.After)
		done <- result{out, err}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func answer[T any](f Fault, apply func() (T, error)) (T, error) {
	var none T
	if f.Err != nil {
		return none, f.Err
	}
	out, err := apply()
	if f.Lost != nil {
		return none, f.Lost
	}
	return out, err
}

// CreateTable makes a table with a hash key.
func (c *Client) CreateTable(ctx context.Context, in *dynamodb.CreateTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error) {
	return do(ctx, c, Call{Op: "CreateTable"}, func() (*dynamodb.CreateTableOutput, error) {
		if len(in.KeySchema) != 1 || len(in.AttributeDefinitions) != 1 || in.BillingMode != types.BillingModePayPerRequest ||
			in.AttributeDefinitions[0].AttributeType != types.ScalarAttributeTypeS {
			return nil, invalid("only tables with a string as hash key and PAY_PER_REQUEST are known")
		}
		err := c.db.createTable(aws.ToString(in.TableName), aws.ToString(in.KeySchema[0].AttributeName))
		if err != nil {
			return nil, err
		}
		return &dynamodb.CreateTableOutput{TableDescription: &types.TableDescription{
			TableName: in.TableName, TableStatus: types.TableStatusCreating,
		}}, nil
	})
}

// DescribeTable tells a table's key and status.
func (c *Client) DescribeTable(ctx context.Context, in *dynamodb.DescribeTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	return do(ctx, c, Call{Op: "DescribeTable"}, func() (*dynamodb.DescribeTableOutput, error) {
		key, status, err := c.db.describe(aws.ToString(in.TableName))
		if err != nil {
			return nil, err
		}
		return &dynamodb.DescribeTableOutput{Table: &types.TableDescription{
			TableName: in.TableName, TableStatus: status,
			KeySchema:            []types.KeySchemaElement{{AttributeName: &key, KeyType: types.KeyTypeHash}},
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &key, AttributeType: types.ScalarAttributeTypeS}},
		}}, nil
	})
}

// Scan returns one page.
func (c *Client) Scan(ctx context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	return do(ctx, c, Call{Op: "Scan"}, func() (*dynamodb.ScanOutput, error) {
		if in.FilterExpression != nil || in.ProjectionExpression != nil || in.IndexName != nil || in.Segment != nil {
			return nil, invalid("only plain scans are known")
		}
		items, last, err := c.db.scan(aws.ToString(in.TableName), in.ExclusiveStartKey, int(aws.ToInt32(in.Limit)))
		if err != nil {
			return nil, err
		}
		return &dynamodb.ScanOutput{Items: items, Count: int32(len(items)), LastEvaluatedKey: last}, nil
	})
}

// GetItem returns one item, if there is one.
func (c *Client) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return do(ctx, c, Call{Op: "GetItem", Key: keyString(in.Key)}, func() (*dynamodb.GetItemOutput, error) {
		item, err := c.db.get(aws.ToString(in.TableName), in.Key)
		return &dynamodb.GetItemOutput{Item: item}, err
	})
}

// PutItem replaces an item.
func (c *Client) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	condition := aws.ToString(in.ConditionExpression)
	key, err := c.db.keyOf(aws.ToString(in.TableName), in.Item)
	if err != nil {
		return nil, err
	}
	return do(ctx, c, Call{Op: "PutItem", Key: keyString(key), Condition: condition}, func() (*dynamodb.PutItemOutput, error) {
		for name, v := range in.Item {
			if set, ok := v.(*types.AttributeValueMemberSS); ok && len(set.Value) == 0 {
				return nil, invalid("One or more parameter values were invalid: An string set may not be empty: %s", name)
			}
		}
		e := newExpression(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
		if err := e.check(condition, "", ""); err != nil {
			return nil, err
		}
		_, err := c.db.write("PutItem", aws.ToString(in.TableName), key, condition, e,
			func(Item) (Item, error) { return maps.Clone(in.Item), nil })
		return &dynamodb.PutItemOutput{}, err
	})
}

// UpdateItem changes an item, and makes it where there is none and the condition allows it.
func (c *Client) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	condition, update := aws.ToString(in.ConditionExpression), aws.ToString(in.UpdateExpression)
	call := Call{Op: "UpdateItem", Key: keyString(in.Key), Condition: condition, Update: update}
	return do(ctx, c, call, func() (*dynamodb.UpdateItemOutput, error) {
		e := newExpression(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
		var key string
		for name := range in.Key {
			key = name
		}
		if err := e.check(condition, update, key); err != nil {
			return nil, err
		}
		change, err := e.update(update, key)
		if err != nil {
			return nil, err
		}
		after, err := c.db.write("UpdateItem", aws.ToString(in.TableName), in.Key, condition, e, func(before Item) (Item, error) {
			if before == nil {
				before = maps.Clone(in.Key)
			}
			return change(before)
		})
		out := &dynamodb.UpdateItemOutput{}
		if in.ReturnValues == types.ReturnValueAllNew {
			out.Attributes = after
		}
		return out, err
	})
}

// DeleteItem deletes an item, if there is one.
func (c *Client) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	condition := aws.ToString(in.ConditionExpression)
	return do(ctx, c, Call{Op: "DeleteItem", Key: keyString(in.Key), Condition: condition}, func() (*dynamodb.DeleteItemOutput, error) {
		e := newExpression(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
		if err := e.check(condition, "", ""); err != nil {
			return nil, err
		}
		_, err := c.db.write("DeleteItem", aws.ToString(in.TableName), in.Key, condition, e,
			func(Item) (Item, error) { return nil, nil })
		return &dynamodb.DeleteItemOutput{}, err
	})
}

// check compiles all expressions of a request to see whether each name and value is used.
func (e expression) check(condition, update, key string) error {
	if _, err := e.condition(condition); err != nil {
		return err
	}
	if update != "" {
		if _, err := e.update(update, key); err != nil {
			return err
		}
	}
	return e.unused()
}

func keyString(key Item) string {
	var parts []string
	for _, v := range key {
		if s, ok := v.(*types.AttributeValueMemberS); ok {
			parts = append(parts, s.Value)
		}
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return ""
	}
	return parts[0]
}
