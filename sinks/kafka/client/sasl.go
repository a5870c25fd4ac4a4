package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/trailtide/trailtide/sinks"
)

// Mechanism names how a client says who it is.
type Mechanism string

// The mechanisms. The empty one is no SASL.
const (
	Plain       Mechanism = "PLAIN"
	Scram256    Mechanism = "SCRAM-SHA-256"
	Scram512    Mechanism = "SCRAM-SHA-512"
	OAuthBearer Mechanism = "OAUTHBEARER"
	AWSMSKIAM   Mechanism = "AWS_MSK_IAM"
)

// SASL settings of a client.
type SASL struct {
	Mechanism Mechanism `yaml:"mechanism"`
	// Username, and Password or PasswordFile, are for PLAIN and SCRAM. The file
	// is read for each connection; one line break at its end is cut off.
	Username     string       `yaml:"username"`
	Password     sinks.Secret `yaml:"password"`
	PasswordFile string       `yaml:"password_file"`
	OAuth        OAuth        `yaml:"oauth"` // for OAUTHBEARER
	AWS          AWS          `yaml:"aws"`   // for AWS_MSK_IAM
}

// OAuth says where an OAUTHBEARER token comes from: exactly one of TokenFile,
// TokenCommand and TokenURL.
type OAuth struct {
	// TokenFile holds the token and is read for each connection.
	TokenFile string `yaml:"token_file"`
	// TokenCommand prints the token; it runs for each connection, without a
	// shell, for 10 s at most.
	TokenCommand []string `yaml:"token_command"`
	// TokenURL is the token endpoint of the client credentials grant. It must be
	// https, or on the loopback. A token is kept until shortly before it expires.
	TokenURL     string       `yaml:"token_url"`
	ClientID     string       `yaml:"client_id"`
	ClientSecret sinks.Secret `yaml:"client_secret"`
	Scopes       []string     `yaml:"scopes"`
	Audience     string       `yaml:"audience"`
	// Extensions are sent to the broker beside the token (Confluent Cloud:
	// logicalCluster, identityPoolId).
	Extensions map[string]string `yaml:"extensions"`
}

// AWS says which identity signs for AWS_MSK_IAM. Empty: the SDK's default
// chain (environment, shared files, web identity, instance role).
type AWS struct {
	Region  string `yaml:"region"`
	Profile string `yaml:"profile"`
	// RoleARN is a role to assume first, with ExternalID if its trust asks for one.
	RoleARN    string `yaml:"role_arn"`
	ExternalID string `yaml:"external_id"`
}

func (s *SASL) validate(bad func(format string, args ...any), withTLS bool) {
	used := map[string]bool{
		"username, password": s.Username != "" || s.Password != "" || s.PasswordFile != "",
		"oauth":              s.OAuth.used(),
		"aws":                s.AWS != (AWS{}),
	}
	own := ""
	switch s.Mechanism {
	case "":
	case Plain, Scram256, Scram512:
		own = "username, password"
		if s.Username == "" {
			bad("sasl.username: is needed for %s", s.Mechanism)
		}
		if (s.Password == "") == (s.PasswordFile == "") {
			bad("sasl: %s needs either password or password_file", s.Mechanism)
		}
	case OAuthBearer:
		own = "oauth"
		s.OAuth.validate(bad)
	case AWSMSKIAM:
		own = "aws"
		if !withTLS {
			bad("sasl: AWS_MSK_IAM works over TLS only, set tls.enabled")
		}
		if s.AWS.ExternalID != "" && s.AWS.RoleARN == "" {
			bad("sasl.aws.external_id: belongs to role_arn")
		}
	default:
		bad("sasl.mechanism: %q is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, AWS_MSK_IAM", s.Mechanism)
		return
	}
	for _, name := range []string{"aws", "oauth", "username, password"} {
		if used[name] && name != own {
			bad("sasl.%s: is not used by mechanism %q", name, s.Mechanism)
		}
	}
}

func (o *OAuth) used() bool {
	return o.TokenFile != "" || len(o.TokenCommand) > 0 || o.TokenURL != "" || o.ClientID != "" ||
		o.ClientSecret != "" || len(o.Scopes) > 0 || o.Audience != "" || len(o.Extensions) > 0
}

func (o *OAuth) validate(bad func(format string, args ...any)) {
	ways := 0
	for _, set := range []bool{o.TokenFile != "", len(o.TokenCommand) > 0, o.TokenURL != ""} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		bad("sasl.oauth: needs exactly one of token_file, token_command and token_url")
	}
	if o.TokenURL == "" {
		return
	}
	u, err := url.Parse(o.TokenURL)
	switch {
	case err != nil || u.Host == "":
		bad("sasl.oauth.token_url: %q is not a URL", o.TokenURL)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		bad("sasl.oauth.token_url: must be https")
	}
	if o.ClientID == "" || o.ClientSecret == "" {
		bad("sasl.oauth: token_url needs client_id and client_secret")
	}
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "":
		return nil, nil //nolint:nilnil // no mechanism is a valid answer
	case Plain, Scram256, Scram512:
		if _, err := s.password(); err != nil {
			return nil, err
		}
		return s.passwordMechanism(), nil
	case OAuthBearer:
		return s.OAuth.mechanism()
	case AWSMSKIAM:
		return s.AWS.mechanism(), nil
	}
	return nil, fmt.Errorf("unknown SASL mechanism %q", s.Mechanism)
}

func (s *SASL) passwordMechanism() sasl.Mechanism {
	if s.Mechanism == Plain {
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := s.password()
			return plain.Auth{User: s.Username, Pass: pass}, err
		})
	}
	auth := func(context.Context) (scram.Auth, error) {
		pass, err := s.password()
		return scram.Auth{User: s.Username, Pass: pass}, err
	}
	if s.Mechanism == Scram256 {
		return scram.Sha256(auth)
	}
	return scram.Sha512(auth)
}

func (s *SASL) password() (string, error) {
	if s.PasswordFile == "" {
		return s.Password.Reveal(), nil
	}
	return readSecret("sasl.password_file", s.PasswordFile)
}

func (o *OAuth) mechanism() (sasl.Mechanism, error) {
	var token func(context.Context) (string, error)
	switch {
	case o.TokenFile != "":
		token = func(context.Context) (string, error) { return readSecret("sasl.oauth.token_file", o.TokenFile) }
		if _, err := token(context.Background()); err != nil {
			return nil, err
		}
	case len(o.TokenCommand) > 0:
		command := slices.Clone(o.TokenCommand)
		token = func(ctx context.Context) (string, error) { return runTokenCommand(ctx, command) }
	default:
		token = newTokenSource(o).Token
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		t, err := token(ctx)
		return oauth.Auth{Token: t, Extensions: o.Extensions}, err
	}), nil
}

// readSecret never puts what the file holds into an error.
func readSecret(option, file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", option, err)
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if s == "" {
		return "", fmt.Errorf("read %s %s: %w", option, file, errEmptySecret)
	}
	return s, nil
}

var errEmptySecret = errors.New("the file is empty")
