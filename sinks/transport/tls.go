// Package transport holds what the network sinks share of TLS.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS settings of a client.
type TLS struct {
	Enabled bool `yaml:"enabled"`
	// CAFile is a PEM file of the authorities to trust. Default: the system's.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile are the client's own PEM certificate and key, for
	// mutual TLS. Both or neither. Read again for each connection.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ServerName is the name to verify. Default: the host that is dialled.
	ServerName string `yaml:"server_name"`
	// InsecureSkipVerify accepts any certificate. For tests only; whoever builds
	// the sink shows InsecureWarning at every start.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// InsecureWarning is what to tell the operator who set InsecureSkipVerify.
const InsecureWarning = "tls.insecure_skip_verify: the certificate is NOT verified, anybody on the way can read and change the traffic"

// Validate reports every problem at once. It opens no file.
func (t *TLS) Validate() error {
	var errs []error
	if (t.CertFile == "") != (t.KeyFile == "") {
		errs = append(errs, errors.New("tls: cert_file and key_file belong together"))
	}
	if !t.Enabled && *t != (TLS{}) {
		errs = append(errs, errors.New("tls: has settings, but enabled is not true"))
	}
	return errors.Join(errs...)
}

// Config reads the files and returns the configuration, TLS 1.2 at least.
func (t *TLS) Config() (*tls.Config, error) {
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: t.ServerName,
		//nolint:gosec // asked for by name, and warned of at every start
		InsecureSkipVerify: t.InsecureSkipVerify,
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls.ca_file %s: no PEM certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("load tls.cert_file and tls.key_file: %w", err)
			}
			return &cert, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return conf, nil
}
