package lease

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Table is what the coordinator calls of DynamoDB; *dynamodb.Client has it.
// The client's own retries should be few (RetryMaxAttempts 2): the coordinator
// retries with a view to its deadlines, and counts throttles.
type Table interface {
	CreateTable(ctx context.Context, in *dynamodb.CreateTableInput, opts ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(ctx context.Context, in *dynamodb.DescribeTableInput, opts ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	Scan(ctx context.Context, in *dynamodb.ScanInput, opts ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(ctx context.Context, in *dynamodb.PutItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Options of a Coordinator. The zero value of a field is its default.
type Options struct {
	// Table is the DynamoDB client. Required.
	Table Table
	// TableName is the lease table: in the KCL the application's name.
	// 3 to 255 of [a-zA-Z0-9_.-]. Required.
	TableName string
	// NoCreate makes Open fail where the table does not exist; else it is made
	// (on demand billing) and waited for.
	NoCreate bool
	// Worker names this worker to people; a random suffix makes it unique, so
	// that a restarted worker is another one. Default "trailtide".
	Worker string
	// FailoverTime is how long a lease's counter must stand still before others
	// take it; the same in all workers. Default 10 s, at least 1 s.
	FailoverTime time.Duration
	// RenewEvery is the interval of renewals, at most half of FailoverTime.
	// Default FailoverTime / 3.
	RenewEvery time.Duration
	// TakeEvery is the mean interval of the rounds in which the table is read
	// and leases are taken; each is jittered by a fifth. Default 2 s.
	TakeEvery time.Duration
	// SyncEvery is how often SyncWanted asks the leading worker to list the
	// shards, besides when there is a reason to. Default 1 m.
	SyncEvery time.Duration
	// HandOver is how long a holder has to drain a lease that another worker
	// asked for, or at the end of Run. Default 10 s.
	HandOver time.Duration
	// MaxLeases bounds what this worker holds. Default 0: no bound.
	MaxLeases int
	// Log defaults to silence, Registerer to a registry of its own.
	Log        *zap.Logger
	Registerer prometheus.Registerer
}

var tableNames = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

func (o Options) withDefaults() Options {
	setDefault(&o.Worker, "trailtide")
	setDefault(&o.FailoverTime, 10*time.Second)
	setDefault(&o.RenewEvery, o.FailoverTime/3)
	setDefault(&o.TakeEvery, 2*time.Second)
	setDefault(&o.SyncEvery, time.Minute)
	setDefault(&o.HandOver, 10*time.Second)
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	return o
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// validate reports all problems of options with defaults.
func (o Options) validate() error {
	var errs []error
	for _, check := range []struct {
		bad bool
		msg string
	}{
		{o.Table == nil, "Table is required"},
		{!tableNames.MatchString(o.TableName), fmt.Sprintf("TableName %q: want 3 to 255 of [a-zA-Z0-9_.-]", o.TableName)},
		{o.FailoverTime < time.Second, fmt.Sprintf("FailoverTime %v: want 1s at least", o.FailoverTime)},
		{o.RenewEvery <= 0 || o.RenewEvery > o.FailoverTime/2, fmt.Sprintf("RenewEvery %v: want more than 0 and at most half of FailoverTime (%v)", o.RenewEvery, o.FailoverTime/2)},
		{o.TakeEvery <= 0, fmt.Sprintf("TakeEvery %v: want more than 0", o.TakeEvery)},
		{o.SyncEvery <= 0, fmt.Sprintf("SyncEvery %v: want more than 0", o.SyncEvery)},
		{o.HandOver <= 0, fmt.Sprintf("HandOver %v: want more than 0", o.HandOver)},
		{o.MaxLeases < 0, fmt.Sprintf("MaxLeases %d: want 0 or more", o.MaxLeases)},
	} {
		if check.bad {
			errs = append(errs, errors.New("lease: "+check.msg))
		}
	}
	return errors.Join(errs...)
}
