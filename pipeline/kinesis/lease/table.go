package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// tablePoll is how often a table that is being made is looked at.
const tablePoll = 250 * time.Millisecond

// open waits until the table can be used, and makes it if it may.
func (s *store) open(ctx context.Context, create bool) error {
	made := false
	for attempt := 0; ; attempt++ {
		out, err := s.table.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &s.name})
		var missing *types.ResourceNotFoundException
		switch {
		case errors.As(err, &missing) && made: // not yet known everywhere
		case errors.As(err, &missing) && !create:
			return fmt.Errorf("opening lease table %s: it does not exist, and making it is switched off; make it with the string %s as its only key", s.name, attrKey)
		case errors.As(err, &missing):
			if err := s.createTable(ctx); err != nil {
				return err
			}
			made = true
		case err != nil && attempt == 4:
			return fmt.Errorf("opening lease table %s: %w", s.name, err)
		case err != nil: // tried again
		default:
			if err := checkKey(out.Table); err != nil {
				return fmt.Errorf("opening lease table %s: %w", s.name, err)
			}
			if st := out.Table.TableStatus; st == types.TableStatusActive || st == types.TableStatusUpdating {
				return nil
			}
			attempt = 0
		}
		if !sleep(ctx, tablePoll) {
			return fmt.Errorf("waiting for lease table %s: %w", s.name, ctx.Err())
		}
	}
}

func (s *store) createTable(ctx context.Context) error {
	_, err := s.table.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            &s.name,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(attrKey), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(attrKey), KeyType: types.KeyTypeHash}},
	})
	var another *types.ResourceInUseException
	if err != nil && !errors.As(err, &another) {
		return fmt.Errorf("making lease table %s: %w", s.name, err)
	}
	return nil
}

func checkKey(t *types.TableDescription) error {
	if len(t.KeySchema) == 1 && aws.ToString(t.KeySchema[0].AttributeName) == attrKey {
		for _, a := range t.AttributeDefinitions {
			if aws.ToString(a.AttributeName) == attrKey && a.AttributeType == types.ScalarAttributeTypeS {
				return nil
			}
		}
	}
	return fmt.Errorf("it is no lease table: its key is not the string %s alone", attrKey)
}
