package leasetest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// request has the fields of all requests that are known, response those of all answers.
// Semantics: Amazon DynamoDB API Reference, low-level API (JSON 1.0).
type request struct {
	TableName                 string
	AttributeDefinitions      []types.AttributeDefinition
	KeySchema                 []types.KeySchemaElement
	BillingMode               types.BillingMode
	Key, Item                 wireItem
	ConditionExpression       *string
	UpdateExpression          *string
	FilterExpression          *string
	ProjectionExpression      *string
	IndexName                 *string
	Segment                   *int32
	Limit                     *int32
	ExclusiveStartKey         wireItem
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues wireItem
	ReturnValues              types.ReturnValue
	ConsistentRead            bool
}

type response struct {
	TableDescription *description `json:",omitempty"`
	Table            *description `json:",omitempty"`
	Item             wireItem     `json:",omitempty"`
	Attributes       wireItem     `json:",omitempty"`
	Items            *[]wireItem  `json:",omitempty"`
	Count            *int32       `json:",omitempty"`
	LastEvaluatedKey wireItem     `json:",omitempty"`
}

type description struct {
	TableName            *string
	TableStatus          types.TableStatus
	KeySchema            []types.KeySchemaElement    `json:",omitempty"`
	AttributeDefinitions []types.AttributeDefinition `json:",omitempty"`
}

const maxRequestBytes = 1 << 20

// Handler serves the DB over HTTP. fault, if not nil, is asked about every
// call; Fault.Lost closes the connection without an answer.
func (db *DB) Handler(fault func(Call) Fault) http.Handler {
	client := db.Client(fault)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		var in request
		var out response
		if err := json.Unmarshal(body, &in); err != nil {
			writeError(w, &smithy.GenericAPIError{Code: "SerializationException", Message: err.Error()})
			return
		}
		out, err = call(r.Context(), client, r.Header.Get("X-Amz-Target"), in)
		var api smithy.APIError
		switch {
		case err == nil:
			_ = json.NewEncoder(w).Encode(out) // the peer is gone: nobody to tell
		case errors.As(err, &api):
			writeError(w, api)
		default:
			panic(http.ErrAbortHandler)
		}
	})
}

func writeError(w http.ResponseWriter, err smithy.APIError) {
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{ // as above
		"__type": "com.amazonaws.dynamodb.v20120810#" + err.ErrorCode(), "message": err.ErrorMessage(),
	})
}

func call(ctx context.Context, c *Client, target string, in request) (out response, err error) {
	switch strings.TrimPrefix(target, "DynamoDB_20120810.") {
	case "CreateTable":
		o, err := c.CreateTable(ctx, &dynamodb.CreateTableInput{
			TableName: &in.TableName, AttributeDefinitions: in.AttributeDefinitions, KeySchema: in.KeySchema, BillingMode: in.BillingMode,
		})
		if err == nil {
			out.TableDescription = describe(o.TableDescription)
		}
		return out, err
	case "DescribeTable":
		o, err := c.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &in.TableName})
		if err == nil {
			out.Table = describe(o.Table)
		}
		return out, err
	case "Scan":
		o, err := c.Scan(ctx, &dynamodb.ScanInput{
			TableName: &in.TableName, Limit: in.Limit, ExclusiveStartKey: Item(in.ExclusiveStartKey),
			FilterExpression: in.FilterExpression, ProjectionExpression: in.ProjectionExpression, IndexName: in.IndexName, Segment: in.Segment,
		})
		if err == nil {
			items := make([]wireItem, len(o.Items))
			for i, item := range o.Items {
				items[i] = item
			}
			out.Items, out.Count, out.LastEvaluatedKey = &items, &o.Count, o.LastEvaluatedKey
		}
		return out, err
	case "GetItem":
		o, err := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: &in.TableName, Key: Item(in.Key)})
		if err == nil {
			out.Item = o.Item
		}
		return out, err
	case "PutItem":
		_, err := c.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &in.TableName, Item: Item(in.Item), ConditionExpression: in.ConditionExpression,
			ExpressionAttributeNames: in.ExpressionAttributeNames, ExpressionAttributeValues: Item(in.ExpressionAttributeValues),
		})
		return out, err
	case "UpdateItem":
		o, err := c.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &in.TableName, Key: Item(in.Key), ConditionExpression: in.ConditionExpression, UpdateExpression: in.UpdateExpression,
			ExpressionAttributeNames: in.ExpressionAttributeNames, ExpressionAttributeValues: Item(in.ExpressionAttributeValues),
			ReturnValues: in.ReturnValues,
		})
		if err == nil {
			out.Attributes = o.Attributes
		}
		return out, err
	case "DeleteItem":
		_, err := c.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &in.TableName, Key: Item(in.Key), ConditionExpression: in.ConditionExpression,
			ExpressionAttributeNames: in.ExpressionAttributeNames, ExpressionAttributeValues: Item(in.ExpressionAttributeValues),
		})
		return out, err
	}
	return out, &smithy.GenericAPIError{Code: "UnknownOperationException", Message: target}
}

func describe(t *types.TableDescription) *description {
	return &description{TableName: t.TableName, TableStatus: t.TableStatus, KeySchema: t.KeySchema, AttributeDefinitions: t.AttributeDefinitions}
}

// wireItem is an item in DynamoDB's JSON: {"name": {"S": "text"}}.
type wireItem Item

type wireValue struct {
	S    *string  `json:",omitempty"`
	N    *string  `json:",omitempty"`
	B    []byte   `json:",omitempty"`
	BOOL *bool    `json:",omitempty"`
	NULL *bool    `json:",omitempty"`
	SS   []string `json:",omitempty"`
}

// MarshalJSON writes the types that lease tables have.
func (w wireItem) MarshalJSON() ([]byte, error) {
	m := make(map[string]wireValue, len(w))
	for name, v := range w {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			m[name] = wireValue{S: &v.Value}
		case *types.AttributeValueMemberN:
			m[name] = wireValue{N: &v.Value}
		case *types.AttributeValueMemberB:
			m[name] = wireValue{B: v.Value}
		case *types.AttributeValueMemberBOOL:
			m[name] = wireValue{BOOL: &v.Value}
		case *types.AttributeValueMemberNULL:
			m[name] = wireValue{NULL: &v.Value}
		case *types.AttributeValueMemberSS:
			m[name] = wireValue{SS: v.Value}
		default:
			return nil, errors.New("attribute of an unknown type: " + name)
		}
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads them.
func (w *wireItem) UnmarshalJSON(b []byte) error {
	var m map[string]wireValue
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	if m == nil {
		return nil
	}
	*w = make(wireItem, len(m))
	for name, v := range m {
		switch {
		case v.S != nil:
			(*w)[name] = &types.AttributeValueMemberS{Value: *v.S}
		case v.N != nil:
			(*w)[name] = &types.AttributeValueMemberN{Value: *v.N}
		case v.B != nil:
			(*w)[name] = &types.AttributeValueMemberB{Value: v.B}
		case v.BOOL != nil:
			(*w)[name] = &types.AttributeValueMemberBOOL{Value: *v.BOOL}
		case v.NULL != nil:
			(*w)[name] = &types.AttributeValueMemberNULL{Value: *v.NULL}
		case v.SS != nil:
			(*w)[name] = &types.AttributeValueMemberSS{Value: v.SS}
		default:
			return errors.New("attribute of an unknown type: " + name)
		}
	}
	return nil
}
