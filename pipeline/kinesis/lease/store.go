package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"go.uber.org/zap"
)

// errRefused: the row is not what the write expected.
var errRefused = errors.New("the lease was changed by another")

// store is the table as rows. Each write is one conditional call.
type store struct {
	table   Table
	name    string
	metrics *metrics
	log     *zap.Logger
}

// change is what a write of a held lease does besides raising its counter.
type change struct {
	checkpoint *Checkpoint // nil: as it is
	children   []string
	release    bool // nobody owns it any more
	unreserve  bool // forget who asked for it
}

func (s *store) scan(ctx context.Context) ([]row, error) {
	var rows []row
	var start item
	for {
		var out *dynamodb.ScanOutput
		// Consistent: leases made a moment ago must not look missing.
		err := s.retry(ctx, 3, func() (err error) {
			out, err = s.table.Scan(ctx, &dynamodb.ScanInput{TableName: &s.name, ExclusiveStartKey: start, ConsistentRead: aws.Bool(true)})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("scanning lease table %s: %w", s.name, err)
		}
		for _, i := range out.Items {
			r, is, err := parseRow(i)
			if err != nil {
				s.log.Error("a lease cannot be read and is left alone", zap.Error(err))
			}
			if is && err == nil {
				rows = append(rows, r)
			}
		}
		if start = out.LastEvaluatedKey; len(start) == 0 {
			return rows, nil
		}
	}
}

// get reads a row; false: there is none.
func (s *store) get(ctx context.Context, key string) (row, bool, error) {
	out, err := s.table.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.name, Key: item{attrKey: str(key)}, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return row{}, false, s.classify(fmt.Errorf("reading lease %s: %w", key, err))
	}
	return parseRow(out.Item)
}

// create answers false where the lease exists. One of the stream old, which is
// no more, is replaced.
func (s *store) create(ctx context.Context, r row, old identity) (bool, error) {
	u := newUpdate(r.key)
	if old.known() {
		u.is(attrOf, str(old.String()))
	} else {
		u.absent(attrKey)
	}
	in := &dynamodb.PutItemInput{
		TableName: &s.name, Item: r.item(),
		ConditionExpression: aws.String(strings.Join(u.conditions, " AND ")), ExpressionAttributeNames: u.names,
	}
	if len(u.values) > 0 {
		in.ExpressionAttributeValues = u.values
	}
	_, err := s.table.PutItem(ctx, in)
	err = s.classify(err)
	if errors.Is(err, errRefused) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("making lease %s: %w", r.key, err)
	}
	return true, nil
}

// take makes me the owner of the row as it was seen.
func (s *store) take(ctx context.Context, r row, me string) error {
	u := newUpdate(r.key)
	u.isCounter(r.counter)
	u.isOwner(r.owner)
	u.isOf(r.of)
	u.set(attrOwner, str(me))
	u.set(attrCounter, num(r.counter+1))
	if r.owner != me {
		u.set(attrSwitches, num(r.switches+1))
	}
	u.remove(attrHandOver)
	return s.update(ctx, "taking", u)
}

// write renews or releases a lease that I hold with that counter.
func (s *store) write(ctx context.Context, key, me string, counter int64, c change) error {
	u := newUpdate(key)
	u.isOwner(me)
	u.isCounter(counter)
	u.set(attrCounter, num(counter+1))
	if c.checkpoint != nil {
		u.set(attrCheckpoint, str(c.checkpoint.Sequence))
		u.set(attrSubSequence, num(c.checkpoint.SubSequence))
		u.set(attrSwitches, num(0))
		for _, name := range pendingAttributes {
			u.remove(name)
		}
	}
	if len(c.children) > 0 {
		u.set(attrChildren, &types.AttributeValueMemberSS{Value: c.children})
	}
	if c.release {
		u.remove(attrOwner)
	}
	if c.unreserve {
		u.remove(attrHandOver)
	}
	return s.update(ctx, "writing", u)
}

// ask tells a lease's owner that I want it. The counter stays: the owner's writes go on.
func (s *store) ask(ctx context.Context, r row, me string) error {
	u := newUpdate(r.key)
	u.isOwner(r.owner)
	u.absent(attrHandOver)
	u.set(attrHandOver, str(me))
	return s.update(ctx, "asking for", u)
}

// remove deletes a finished lease as it was seen.
func (s *store) remove(ctx context.Context, r row) error {
	u := newUpdate(r.key)
	u.isCounter(r.counter)
	u.is(attrCheckpoint, str(ShardEnd))
	return s.delete(ctx, u)
}

// discard deletes a lease of a stream that is no more.
func (s *store) discard(ctx context.Context, r row) error {
	u := newUpdate(r.key)
	u.isOf(r.of)
	return s.delete(ctx, u)
}

// sign writes to a lease that does not say so which stream it is of, and what
// LATEST means for it unless since is 0.
func (s *store) sign(ctx context.Context, r row, of identity, since int64) error {
	u := newUpdate(r.key)
	u.is(attrCheckpoint, str(r.checkpoint.Sequence))
	if !r.of.known() && of.known() {
		u.absent(attrOf)
		u.set(attrOf, str(of.String()))
	}
	if since != 0 {
		u.absent(attrSince)
		u.set(attrSince, num(since))
	}
	return s.update(ctx, "signing", u)
}

func (s *store) delete(ctx context.Context, u *update) error {
	in := &dynamodb.DeleteItemInput{TableName: &s.name, Key: item{attrKey: str(u.key)}}
	if len(u.conditions) > 0 {
		in.ConditionExpression = aws.String(strings.Join(u.conditions, " AND "))
		in.ExpressionAttributeNames, in.ExpressionAttributeValues = u.names, u.values
	}
	if _, err := s.table.DeleteItem(ctx, in); err != nil {
		return s.classify(fmt.Errorf("deleting lease %s: %w", u.key, err))
	}
	return nil
}

func (s *store) update(ctx context.Context, doing string, u *update) error {
	expression := "SET " + strings.Join(u.sets, ", ")
	if len(u.removes) > 0 {
		expression += " REMOVE " + strings.Join(u.removes, ", ")
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &s.name, Key: item{attrKey: str(u.key)}, UpdateExpression: &expression,
		ConditionExpression:      aws.String(strings.Join(u.conditions, " AND ")),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
	}
	if _, err := s.table.UpdateItem(ctx, in); err != nil {
		return s.classify(fmt.Errorf("%s lease %s: %w", doing, u.key, err))
	}
	return nil
}

// classify counts throttles, and marks refused conditions with errRefused.
func (s *store) classify(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode() {
	case "ConditionalCheckFailedException":
		return fmt.Errorf("%w: %w", errRefused, err)
	case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "LimitExceededException":
		s.metrics.throttles.Inc()
	}
	return err
}

// retry tries f n times at most, with growing random waits.
func (s *store) retry(ctx context.Context, n int, f func() error) error {
	for attempt := range n {
		err := s.classify(f())
		if err == nil || attempt == n-1 || errors.Is(err, errRefused) {
			return err
		}
		if !sleep(ctx, backoff(attempt)) {
			return err
		}
	}
	return nil
}

// backoff is random, up to 100 ms doubled by each attempt, 3.2 s at most.
func backoff(attempt int) time.Duration {
	most := 100 * time.Millisecond << min(attempt, 5)
	return most/4 + rand.N(most*3/4)
}

// sleep answers false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
