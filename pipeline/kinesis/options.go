// Package kinesis is the Source that reads CloudTrail records from Amazon
// Kinesis data streams, by polling or by enhanced fan-out.
//
// The engine's positions decide where reading starts. A shard is read when its
// parents are read to their ends, so that records of one partition key come in
// the order in which they were written, however the stream is resharded.
//
// Semantics: Amazon Kinesis Data Streams API Reference, version 2013-12-02.
package kinesis

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Words of Options.Start and Options.Mode.
const (
	startHorizon = "trim_horizon"
	startLatest  = "latest"
	modePolling  = "polling"
	modeFanOut   = "fan_out"
)

// Options of a Source. The zero value of a field is its default.
type Options struct {
	// Streams to read, each a name or an ARN; an ARN's region and account count.
	Streams []string `yaml:"streams"`
	// Region of streams that are only named. Default: that of the SDK's chain
	// (AWS_REGION, the profile).
	Region string `yaml:"region"`
	// Endpoint replaces the service's address, for a VPC endpoint or a test.
	Endpoint string `yaml:"endpoint"`
	// FIPS and DualStack choose the service's endpoints of that kind.
	FIPS      bool `yaml:"fips"`
	DualStack bool `yaml:"dual_stack"`
	// Profile of the shared configuration files. Default: AWS_PROFILE.
	Profile string `yaml:"profile"`
	// RoleARN is assumed before anything is called, and again before its
	// credentials expire; ExternalID is what the role's trust asks for. Leases
	// are kept with the credentials before that.
	RoleARN    string `yaml:"role_arn"`
	ExternalID string `yaml:"external_id"`
	// Start is where a stream begins that was never read: "trim_horizon"
	// (default), "latest", or an RFC 3339 time: the first record that arrived then
	// or later. Shards that are made while it is read begin at their start.
	Start string `yaml:"start"`
	// Mode is "polling" (default) or "fan_out" (a registered consumer with a
	// throughput of its own).
	Mode string `yaml:"mode"`
	// Consumer is the name of the fan-out consumer. Default "trailtide".
	Consumer string `yaml:"consumer"`
	// ConsumerARN is a consumer that is registered already, of the one stream.
	ConsumerARN string `yaml:"consumer_arn"`
	// Register says whether a consumer that is missing is registered. Default true.
	Register *bool `yaml:"register"`
	// MaxRecords bounds one GetRecords: 1 to 10,000, the default.
	MaxRecords int `yaml:"max_records"`
	// PollInterval is the pause of a reader that stands at its shard's end.
	// Default 1 s, 200 ms at least: five reads a second is a shard's limit.
	PollInterval time.Duration `yaml:"poll_interval"`
	// IdleAfter is how long a shard's reader must stand at its end before the wall
	// clock counts as its time. Default 1 m.
	IdleAfter time.Duration `yaml:"idle_after"`
	// ListInterval is how often the streams are looked at: their shards, and
	// whether they are still the same. Default 30 s.
	ListInterval time.Duration `yaml:"list_interval"`
	// BufferBytes bounds what is read ahead and not yet matched, of all shards
	// together. One response (10 MiB at most) may exceed it. A reader that is behind
	// sets a whole one aside before it asks. Default 64 MiB.
	BufferBytes int `yaml:"buffer_bytes"`
	// Leases share the shards among many workers; nil: this worker reads all.
	Leases *Leases `yaml:"leases"`

	// Config is used in place of the SDK's default chain; Region, Endpoint and
	// the role still apply.
	Config     *aws.Config           `yaml:"-"`
	Log        *zap.Logger           `yaml:"-"` // nil: none
	Registerer prometheus.Registerer `yaml:"-"` // nil: metrics are not exposed
	Now        func() time.Time      `yaml:"-"` // nil: time.Now
}

// Leases are rows of a DynamoDB table in the layout of the Kinesis Client Library.
type Leases struct {
	// Table is its name: the library's application name.
	Table string `yaml:"table"`
	// Create says whether a table that is missing is made. Default true.
	Create *bool `yaml:"create"`
	// Region and Endpoint of DynamoDB. Default: Options.Region, and the region's endpoint.
	Region   string `yaml:"region"`
	Endpoint string `yaml:"endpoint"`
	// Worker names this worker in the table, with a random suffix. Default "trailtide".
	Worker string `yaml:"worker"`
	// FailoverTime is how long a lease must not be renewed before others take it.
	// Default 10 s, 1 s at least.
	FailoverTime time.Duration `yaml:"failover_time"`
	// RenewEvery is the interval of renewals, half of FailoverTime at most. Default a third.
	RenewEvery time.Duration `yaml:"renew_every"`
	// TakeEvery is the interval of the rounds that balance leases. Default 2 s.
	TakeEvery time.Duration `yaml:"take_every"`
	// HandOver bounds how long a lease that another worker asked for is kept
	// until what was read is committed. Default 10 s.
	HandOver time.Duration `yaml:"hand_over"`
	// MaxLeases bounds what this worker holds. Default 0: no bound.
	MaxLeases int `yaml:"max_leases"`
}

func (o *Options) setDefaults() {
	def(&o.Start, startHorizon)
	def(&o.Mode, modePolling)
	if o.Mode == modeFanOut && o.ConsumerARN == "" {
		def(&o.Consumer, "trailtide")
	}
	def(&o.MaxRecords, 10_000)
	def(&o.PollInterval, time.Second)
	def(&o.IdleAfter, time.Minute)
	def(&o.ListInterval, 30*time.Second)
	def(&o.BufferBytes, 64<<20)
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// register says whether a missing consumer is registered.
func (o *Options) register() bool { return o.Register == nil || *o.Register }

// startTime is the time of Start, zero if it is a word. It is validated.
func (o *Options) startTime() time.Time {
	t, err := time.Parse(time.RFC3339, o.Start)
	if err != nil {
		return time.Time{}
	}
	return t
}

var (
	regionName   = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+-\d+$`)
	consumerName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)
	tableName    = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)
)

// Validate reports every problem at once. It opens no connection.
func (o *Options) Validate() error {
	v := &problems{}
	if len(o.Streams) == 0 {
		v.bad("streams: name at least one stream")
	}
	_, errs := parseTargets(o.Streams)
	for _, err := range errs {
		v.bad("streams: %w", err)
	}
	v.region("region", o.Region)
	v.endpoint("endpoint", o.Endpoint)
	if o.Endpoint != "" && (o.FIPS || o.DualStack) {
		v.bad("endpoint: cannot be set beside fips or dual_stack")
	}
	if a, err := arn.Parse(o.RoleARN); o.RoleARN != "" && (err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/")) {
		v.bad("role_arn: %q is not like arn:aws:iam::ACCOUNT:role/NAME", o.RoleARN)
	}
	if o.ExternalID != "" && o.RoleARN == "" {
		v.bad("external_id: needs role_arn")
	}
	switch o.Start {
	case "", startHorizon, startLatest:
	default:
		if o.startTime().IsZero() {
			v.bad("start: %q is not trim_horizon, latest or a time like 2026-01-02T15:04:05Z", o.Start)
		}
	}
	o.validateMode(v)
	o.validateLimits(v)
	if o.Leases != nil {
		o.Leases.validate(v)
	}
	return errors.Join(v.errs...)
}

func (o *Options) validateMode(v *problems) {
	switch o.Mode {
	case "", modePolling, modeFanOut:
	default:
		v.bad("mode: %q is not polling or fan_out", o.Mode)
	}
	if o.Mode != modeFanOut && (o.Consumer != "" || o.ConsumerARN != "" || o.Register != nil) {
		v.bad("consumer, consumer_arn, register: are for mode fan_out")
	}
	if o.Consumer != "" && !consumerName.MatchString(o.Consumer) {
		v.bad("consumer: %q is no name of a consumer", o.Consumer)
	}
	if o.ConsumerARN == "" {
		return
	}
	stream := consumerStream(o.ConsumerARN)
	switch {
	case stream == "":
		v.bad("consumer_arn: %q is not like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME/consumer/NAME:NUMBER", o.ConsumerARN)
	case o.Consumer != "":
		v.bad("consumer and consumer_arn: set one of them")
	case len(o.Streams) != 1:
		v.bad("consumer_arn: goes with exactly one stream; use consumer")
	default:
		want, _ := parseTarget(stream) // consumerStream parsed it
		have, err := parseTarget(o.Streams[0])
		if err == nil && (have.name != want.name || have.arn != "" && have.arn != want.arn) {
			v.bad("consumer_arn: belongs to another stream than %s", o.Streams[0])
		}
	}
}

func (o *Options) validateLimits(v *problems) {
	if o.MaxRecords < 0 || o.MaxRecords > 10_000 {
		v.bad("max_records: must be from 1 to 10000")
	}
	if o.PollInterval != 0 && (o.PollInterval < 200*time.Millisecond || o.PollInterval > 4*time.Minute) {
		v.bad("poll_interval: must be from 200ms to 4m")
	}
	if o.IdleAfter < 0 {
		v.bad("idle_after: must not be negative")
	}
	if o.ListInterval != 0 && o.ListInterval < time.Second {
		v.bad("list_interval: must be 1s at least")
	}
	if o.BufferBytes != 0 && o.BufferBytes < 1<<20 {
		v.bad("buffer_bytes: must be 1048576 at least")
	}
}

func (l *Leases) validate(v *problems) {
	if !tableName.MatchString(l.Table) {
		v.bad("leases.table: %q is no name of a table", l.Table)
	}
	v.region("leases.region", l.Region)
	v.endpoint("leases.endpoint", l.Endpoint)
	if l.FailoverTime != 0 && l.FailoverTime < time.Second {
		v.bad("leases.failover_time: must be 1s at least")
	}
	failover := l.FailoverTime
	def(&failover, 10*time.Second)
	if l.RenewEvery < 0 || l.RenewEvery > failover/2 {
		v.bad("leases.renew_every: must be at most half of failover_time (%v)", failover/2)
	}
	if l.TakeEvery < 0 {
		v.bad("leases.take_every: must not be negative")
	}
	if l.HandOver < 0 {
		v.bad("leases.hand_over: must not be negative")
	}
	if l.MaxLeases < 0 {
		v.bad("leases.max_leases: must not be negative")
	}
}

// problems are those found so far.
type problems struct{ errs []error }

func (v *problems) bad(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

func (v *problems) region(key, region string) {
	if region != "" && !regionName.MatchString(region) {
		v.bad("%s: %q is no region", key, region)
	}
}

func (v *problems) endpoint(key, endpoint string) {
	if endpoint == "" {
		return
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		v.bad("%s: is not like https://HOST", key)
	}
}
