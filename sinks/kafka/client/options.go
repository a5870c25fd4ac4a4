// Package client holds how any Kafka client of the project reaches and
// convinces a cluster: brokers, TLS and SASL. The Kafka sink and the Kafka
// source and engine share it. It knows nothing of topics, groups or alerts.
package client

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/sinks/transport"
)

// TLS settings of a client.
type TLS = transport.TLS

// Options of the connection. The zero value of a field is its default.
type Options struct {
	// Brokers are the seed brokers, HOST or HOST:PORT (default port 9092). At
	// least one.
	Brokers []string `yaml:"brokers"`
	// ClientID is what the brokers log and meter the client by. Default
	// "trailtide".
	ClientID string `yaml:"client_id"`
	// Rack is where this process runs (in AWS the availability zone ID), so that
	// it reads from a replica near by. Default: unknown.
	Rack string `yaml:"rack"`
	// DialTimeout bounds one connection attempt, TLS handshake included.
	// Default 10 s.
	DialTimeout time.Duration `yaml:"dial_timeout"`
	TLS         TLS           `yaml:"tls"`
	SASL        SASL          `yaml:"sasl"`
}

// Validate reports every problem at once. It opens no file and no connection.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(o.Brokers) == 0 {
		bad("brokers: at least one is needed")
	}
	for _, b := range o.Brokers {
		if err := validateBroker(b); err != nil {
			bad("brokers: %q: %w", b, err)
		}
	}
	if o.DialTimeout < 0 {
		bad("dial_timeout: must not be negative")
	}
	o.SASL.validate(bad, o.TLS.Enabled)
	return errors.Join(append(errs, o.TLS.Validate())...)
}

func validateBroker(b string) error {
	if strings.TrimSpace(b) != b || b == "" {
		return errors.New("want HOST or HOST:PORT")
	}
	if strings.Contains(b, "://") {
		return errors.New("want HOST:PORT without a scheme; TLS is switched on by tls.enabled")
	}
	if !strings.Contains(b, ":") {
		return nil
	}
	host, port, err := net.SplitHostPort(b)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return errors.New("want HOST:PORT with a port from 1 to 65535")
	}
	return nil
}

// Warnings are what a careful operator should be told at every start: settings
// that work and that weaken the connection.
func (o *Options) Warnings() []string {
	var w []string
	if o.TLS.InsecureSkipVerify {
		w = append(w, transport.InsecureWarning)
	}
	if o.SASL.Mechanism == Plain && !o.TLS.Enabled {
		w = append(w, "sasl: PLAIN without TLS sends the password in clear text")
	}
	if o.SASL.Mechanism == OAuthBearer && !o.TLS.Enabled {
		w = append(w, "sasl: OAUTHBEARER without TLS sends the token in clear text")
	}
	return w
}

// KgoOpts validates o, reads the files that it names once to find mistakes
// early, and returns the client options. Client certificates, password and
// token files are read again for each connection, so that rotating them needs
// no restart.
func (o *Options) KgoOpts() ([]kgo.Opt, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	id := o.ClientID
	if id == "" {
		id = "trailtide"
	}
	timeout := o.DialTimeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...),
		kgo.ClientID(id),
		kgo.SoftwareNameAndVersion("trailtide", "1"),
		kgo.DialTimeout(timeout),
	}
	if o.Rack != "" {
		opts = append(opts, kgo.Rack(o.Rack))
	}
	if o.TLS.Enabled {
		conf, err := o.TLS.Config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(conf))
	}
	mechanism, err := o.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts, nil
}
