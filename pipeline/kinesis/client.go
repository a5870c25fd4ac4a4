package kinesis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// reloadAfter is how often the chain of credentials is gone through anew at most.
const reloadAfter = 10 * time.Second

// connector makes clients. It opens no connection.
type connector struct {
	o    *Options
	conf aws.Config
	base *reloading              // credentials of the chain
	role aws.CredentialsProvider // of the assumed role; nil: none
	kin  map[string]*kinesis.Client
}

func newConnector(ctx context.Context, o *Options) (*connector, error) {
	c := &connector{o: o, kin: make(map[string]*kinesis.Client)}
	var err error
	if c.conf, err = o.load(ctx); err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	c.conf.HTTPClient = wholeBodies(c.conf.HTTPClient)
	if o.Region != "" {
		c.conf.Region = o.Region
	}
	c.base = &reloading{current: c.conf.Credentials, now: o.Now, load: func(ctx context.Context) (aws.CredentialsProvider, error) {
		conf, err := o.load(ctx)
		return conf.Credentials, err
	}}
	c.conf.Credentials = c.base
	if o.RoleARN != "" {
		provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(c.conf), o.RoleARN, func(a *stscreds.AssumeRoleOptions) {
			a.RoleSessionName = "trailtide"
			if o.ExternalID != "" {
				a.ExternalID = &o.ExternalID
			}
		})
		c.role = aws.NewCredentialsCache(provider, func(cc *aws.CredentialsCacheOptions) { cc.ExpiryWindow = time.Minute })
	}
	return c, nil
}

// load goes through the SDK's default chain, unless Config replaces it.
func (o *Options) load(ctx context.Context) (aws.Config, error) {
	if o.Config != nil {
		return o.Config.Copy(), nil
	}
	var opts []func(*config.LoadOptions) error
	if o.Region != "" {
		opts = append(opts, config.WithRegion(o.Region))
	}
	if o.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(o.Profile))
	}
	if o.FIPS {
		opts = append(opts, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	if o.DualStack {
		opts = append(opts, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	}
	return config.LoadDefaultConfig(ctx, opts...)
}

// kinesis returns the client for a region, "" for that of the configuration.
// It does not retry: the readers do, who know what they lose by waiting.
func (c *connector) kinesis(region string) (*kinesis.Client, error) {
	if region == "" {
		region = c.conf.Region
	}
	if region == "" {
		return nil, errors.New("region: is not set, nor is AWS_REGION or the profile's")
	}
	if cl := c.kin[region]; cl != nil {
		return cl, nil
	}
	cl := kinesis.NewFromConfig(c.conf, func(o *kinesis.Options) {
		o.Region = region
		o.Retryer = aws.NopRetryer{}
		if c.o.Endpoint != "" {
			o.BaseEndpoint = &c.o.Endpoint
		}
		if c.role != nil {
			o.Credentials = c.role
		}
	})
	c.kin[region] = cl
	return cl, nil
}

// dynamo returns the client for the lease table.
func (c *connector) dynamo(l *Leases) *dynamodb.Client {
	return dynamodb.NewFromConfig(c.conf, func(o *dynamodb.Options) {
		if l.Region != "" {
			o.Region = l.Region
		}
		if l.Endpoint != "" {
			o.BaseEndpoint = &l.Endpoint
		}
		o.RetryMaxAttempts = 2
	})
}

// forget lets the credentials be found anew, after the service refused them.
func (c *connector) forget() {
	c.base.forget()
	if cache, ok := c.role.(*aws.CredentialsCache); ok {
		cache.Invalidate()
	}
}

// reloading are credentials of a chain that is gone through again when they
// turn out to be of no use any more: what a file or the environment of another
// tool says may have changed. Safe for concurrent use.
type reloading struct {
	load func(context.Context) (aws.CredentialsProvider, error)
	now  func() time.Time

	mu      sync.Mutex
	current aws.CredentialsProvider
	stale   bool
	loaded  time.Time // when it was last gone through again
}

// Retrieve returns the credentials.
func (r *reloading) Retrieve(ctx context.Context) (aws.Credentials, error) {
	r.mu.Lock()
	if now := r.now(); r.stale && now.Sub(r.loaded) >= reloadAfter {
		r.stale, r.loaded = false, now
		if p, err := r.load(ctx); err == nil && p != nil {
			r.current = p
		}
	}
	current := r.current
	r.mu.Unlock()
	if current == nil {
		return aws.Credentials{}, errors.New("no AWS credentials are configured")
	}
	return current.Retrieve(ctx)
}

func (r *reloading) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale = true
	if cache, ok := r.current.(*aws.CredentialsCache); ok {
		cache.Invalidate()
	}
}
