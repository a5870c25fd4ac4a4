package client

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/twmb/franz-go/pkg/sasl"
	mskiam "github.com/twmb/franz-go/pkg/sasl/aws"
)

// mechanism signs with credentials that are found at the first connection and
// renewed as they expire. The region that is signed for comes from the broker's
// host name; for a host that does not tell it, from AWS_REGION.
func (a *AWS) mechanism() sasl.Mechanism {
	var (
		mu       sync.Mutex
		provider aws.CredentialsProvider
	)
	credentials := func(ctx context.Context) (aws.Credentials, error) {
		mu.Lock()
		defer mu.Unlock()
		if provider == nil {
			p, err := a.provider(ctx)
			if err != nil {
				return aws.Credentials{}, err
			}
			provider = p
		}
		return provider.Retrieve(ctx)
	}
	return mskiam.ManagedStreamingIAM(func(ctx context.Context) (mskiam.Auth, error) {
		c, err := credentials(ctx)
		if err != nil {
			return mskiam.Auth{}, fmt.Errorf("find AWS credentials for MSK: %w", err)
		}
		return mskiam.Auth{
			AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken, UserAgent: "trailtide",
		}, nil
	})
}

func (a *AWS) provider(ctx context.Context) (aws.CredentialsProvider, error) {
	var opts []func(*config.LoadOptions) error
	if a.Region != "" {
		opts = append(opts, config.WithRegion(a.Region))
	}
	if a.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(a.Profile))
	}
	conf, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, err
	}
	if a.RoleARN == "" {
		return conf.Credentials, nil
	}
	role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(conf), a.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "trailtide"
		if a.ExternalID != "" {
			o.ExternalID = &a.ExternalID
		}
	})
	return aws.NewCredentialsCache(role), nil
}
