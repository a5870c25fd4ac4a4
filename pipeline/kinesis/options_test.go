package kinesis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const trailARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/trail"

func TestOptionsFromYAML(t *testing.T) {
	src := `
streams: [trail, ` + trailARN + `]
region: us-east-1
fips: true
dual_stack: true
profile: security
role_arn: arn:aws:iam::123456789012:role/path/reader
external_id: x
start: 2026-01-02T15:04:05Z
mode: fan_out
consumer: c
register: false
max_records: 500
poll_interval: 2s
idle_after: 3m
list_interval: 1m
buffer_bytes: 1048576
leases: {table: app, create: false, region: us-west-2, worker: w, failover_time: 20s, renew_every: 10s, take_every: 3s, hand_over: 5s, max_leases: 7}
`
	dec := yaml.NewDecoder(strings.NewReader(src))
	dec.KnownFields(true)
	var o Options
	if err := dec.Decode(&o); err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if o.register() || o.startTime().Year() != 2026 || o.Leases.MaxLeases != 7 {
		t.Errorf("%+v", o)
	}
}

func TestOptionsDefaults(t *testing.T) {
	o := Options{Streams: []string{"trail"}}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	o.setDefaults()
	if o.Start != startHorizon || o.Mode != modePolling || o.MaxRecords != 10_000 || o.PollInterval != time.Second || !o.register() {
		t.Errorf("%+v", o)
	}
	if err := o.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestOptionsProblems(t *testing.T) {
	for want, o := range map[string]Options{
		"streams: name at least one stream":                           {},
		`streams: "a b" is no name of a stream`:                       {Streams: []string{"a b"}},
		`streams: "trail" is named twice`:                             {Streams: []string{"trail", "trail"}},
		`streams: "arn:aws:s3:::x" is not like arn:`:                  {Streams: []string{"arn:aws:s3:::x"}},
		`region: "nowhere" is no region`:                              {Region: "nowhere"},
		"endpoint: is not like https://HOST":                          {Endpoint: "kinesis.example.com"},
		"endpoint: cannot be set beside fips":                         {Endpoint: "https://x", FIPS: true},
		"role_arn: ":                                                  {RoleARN: "arn:aws:iam::1:user/x"},
		"external_id: needs role_arn":                                 {ExternalID: "x"},
		`start: "yesterday" is not`:                                   {Start: "yesterday"},
		`mode: "push" is not`:                                         {Mode: "push"},
		"are for mode fan_out":                                        {Consumer: "c"},
		"consumer: \"a b\" is no name":                                {Mode: modeFanOut, Consumer: "a b"},
		"consumer_arn: \"x\" is not like":                             {Mode: modeFanOut, ConsumerARN: "x"},
		"consumer and consumer_arn: set one":                          {Mode: modeFanOut, Consumer: "c", ConsumerARN: trailARN + "/consumer/c:1"},
		"consumer_arn: belongs to another":                            {Mode: modeFanOut, ConsumerARN: strings.Replace(trailARN, "trail", "other", 1) + "/consumer/c:1", Streams: []string{"trail"}},
		"consumer_arn: goes with exactly one":                         {Mode: modeFanOut, ConsumerARN: trailARN + "/consumer/c:1", Streams: []string{"trail", "b"}},
		"max_records: must be":                                        {MaxRecords: 10_001},
		"poll_interval: must be":                                      {PollInterval: time.Millisecond},
		"idle_after: must":                                            {IdleAfter: -1},
		"list_interval: must":                                         {ListInterval: time.Millisecond},
		"buffer_bytes: must":                                          {BufferBytes: 1},
		`leases.table: "" is no name`:                                 {Leases: &Leases{}},
		"leases.failover_time: must":                                  {Leases: &Leases{Table: "app", FailoverTime: time.Millisecond}},
		"leases.renew_every: must be at most half of failover_time (": {Leases: &Leases{Table: "app", RenewEvery: 6 * time.Second}},
		"leases.take_every: must":                                     {Leases: &Leases{Table: "app", TakeEvery: -1}},
		"leases.hand_over: must":                                      {Leases: &Leases{Table: "app", HandOver: -1}},
		"leases.max_leases: must":                                     {Leases: &Leases{Table: "app", MaxLeases: -1}},
		"leases.region: ":                                             {Leases: &Leases{Table: "app", Region: "x"}},
		"leases.endpoint: ":                                           {Leases: &Leases{Table: "app", Endpoint: "x"}},
	} {
		err := o.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
	all := Options{Streams: []string{"a b"}, Start: "x", Mode: "y", Leases: &Leases{}}
	if n := len(strings.Split(all.Validate().Error(), "\n")); n != 4 {
		t.Errorf("%d of 4 problems: %v", n, all.Validate())
	}
}

func TestLabels(t *testing.T) {
	other := strings.Replace(trailARN, "eu-west-1", "us-east-1", 1)
	for _, tt := range []struct{ streams, want []string }{
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{trailARN}, []string{"trail"}},
		{[]string{trailARN, "trail"}, []string{"123456789012:eu-west-1:trail", "trail"}},
		{[]string{trailARN, other}, []string{"trail", "123456789012:us-east-1:trail"}},
	} {
		targets, errs := parseTargets(tt.streams)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		var got []string
		for _, target := range targets {
			got = append(got, target.label)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.streams, got, tt.want)
		}
	}
}
