package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serverCertificate returns a certificate for 127.0.0.1 and the file of the
// authority that signed it.
func serverCertificate(t *testing.T) (conf *tls.Config, caFile, certFile, keyFile string) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	cert := srv.TLS.Certificates[0]
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile = write("cert.pem", "CERTIFICATE", cert.Certificate[0])
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		certFile, certFile, write("key.pem", "PRIVATE KEY", key)
}

func ping(t *testing.T, o client.Options) error {
	t.Helper()
	opts, err := o.KgoOpts()
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.MetadataMinAge(50*time.Millisecond), kgo.RequestRetries(1))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	return cl.Ping(t.Context())
}

func cluster(t *testing.T, opts ...kfake.Opt) []string {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

func TestConnects(t *testing.T) {
	conf, ca, certFile, keyFile := serverCertificate(t)
	passFile := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(passFile, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	users := []kfake.Opt{
		kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "p", "s3cret"),
		kfake.Superuser("SCRAM-SHA-256", "s256", "s3cret"),
		kfake.Superuser("SCRAM-SHA-512", "s512", "s3cret"),
	}
	clear := cluster(t, users...)
	open := cluster(t)
	secured := cluster(t, append(users, kfake.TLS(conf))...)
	mutual := conf.Clone()
	mutual.ClientAuth = tls.RequireAnyClientCert
	mtls := cluster(t, kfake.TLS(mutual))

	tests := []struct {
		name string
		o    client.Options
		ok   bool
	}{
		{"plain text", client.Options{Brokers: open}, true},
		{"SASL missing", client.Options{Brokers: clear}, false},
		{"PLAIN", client.Options{Brokers: clear, SASL: client.SASL{Mechanism: client.Plain, Username: "p", Password: "s3cret"}}, true},
		{"PLAIN from a file", client.Options{Brokers: clear, SASL: client.SASL{Mechanism: client.Plain, Username: "p", PasswordFile: passFile}}, true},
		{"PLAIN, wrong password", client.Options{Brokers: clear, SASL: client.SASL{Mechanism: client.Plain, Username: "p", Password: "x"}}, false},
		{"SCRAM-SHA-256", client.Options{Brokers: clear, SASL: client.SASL{Mechanism: client.Scram256, Username: "s256", Password: "s3cret"}}, true},
		{"SCRAM-SHA-512 over TLS", client.Options{
			Brokers: secured, TLS: client.TLS{Enabled: true, CAFile: ca},
			SASL: client.SASL{Mechanism: client.Scram512, Username: "s512", PasswordFile: passFile},
		}, true},
		{"TLS, unknown authority", client.Options{
			Brokers: secured, TLS: client.TLS{Enabled: true},
			SASL: client.SASL{Mechanism: client.Plain, Username: "p", Password: "s3cret"},
		}, false},
		{"TLS, wrong name", client.Options{
			Brokers: secured, TLS: client.TLS{Enabled: true, CAFile: ca, ServerName: "kafka.example.org"},
			SASL: client.SASL{Mechanism: client.Plain, Username: "p", Password: "s3cret"},
		}, false},
		{"TLS, not verified", client.Options{
			Brokers: secured, TLS: client.TLS{Enabled: true, InsecureSkipVerify: true},
			SASL: client.SASL{Mechanism: client.Plain, Username: "p", Password: "s3cret"},
		}, true},
		{"mutual TLS", client.Options{Brokers: mtls, TLS: client.TLS{Enabled: true, CAFile: ca, CertFile: certFile, KeyFile: keyFile}}, true},
		{"mutual TLS without a certificate", client.Options{Brokers: mtls, TLS: client.TLS{Enabled: true, CAFile: ca}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := ping(t, tt.o); (err == nil) != tt.ok {
				t.Errorf("ping: %v, want success %v", err, tt.ok)
			} else if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestFilesAreReadEarly(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one := []string{"localhost"}
	tests := []struct {
		o    client.Options
		want string
	}{
		{client.Options{Brokers: one, TLS: client.TLS{Enabled: true, CAFile: broken + "x"}}, "tls.ca_file"},
		{client.Options{Brokers: one, TLS: client.TLS{Enabled: true, CAFile: broken}}, "no PEM certificate"},
		{client.Options{Brokers: one, TLS: client.TLS{Enabled: true, CertFile: broken, KeyFile: broken}}, "tls.cert_file"},
		{client.Options{Brokers: one, SASL: client.SASL{Mechanism: client.Plain, Username: "u", PasswordFile: broken}}, "empty"},
		{client.Options{Brokers: one, SASL: client.SASL{
			Mechanism: client.OAuthBearer, OAuth: client.OAuth{TokenFile: broken + "x"},
		}}, "token_file"},
	}
	for _, tt := range tests {
		if _, err := tt.o.KgoOpts(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v does not tell %q", err, tt.want)
		}
	}
}

func TestValidate(t *testing.T) {
	good := []client.Options{
		{Brokers: []string{"a", "b:9092", "[::1]:9092"}},
		{Brokers: []string{"a"}, TLS: client.TLS{Enabled: true}, SASL: client.SASL{Mechanism: client.AWSMSKIAM, AWS: client.AWS{RoleARN: "r", ExternalID: "e"}}},
		{Brokers: []string{"a"}, SASL: client.SASL{Mechanism: client.OAuthBearer, OAuth: client.OAuth{TokenCommand: []string{"token"}}}},
		{Brokers: []string{"a"}, SASL: client.SASL{Mechanism: client.OAuthBearer, OAuth: client.OAuth{
			TokenURL: "http://127.0.0.1:1/token", ClientID: "c", ClientSecret: "s",
		}}},
	}
	for i, o := range good {
		if err := o.Validate(); err != nil {
			t.Errorf("good options %d are refused: %v", i, err)
		}
	}

	bad := client.Options{
		Brokers:     []string{"", "http://a:1", "a:b", "a:0", ":9092"},
		DialTimeout: -1,
		TLS:         client.TLS{CertFile: "c"},
		SASL:        client.SASL{Mechanism: client.Scram256, AWS: client.AWS{Region: "r"}},
	}
	tests := []struct {
		o    client.Options
		want []string
	}{
		{client.Options{}, []string{"brokers: at least one"}},
		{bad, []string{
			`""`, "without a scheme", `"a:b"`, `"a:0"`, `":9092"`, "dial_timeout", "belong together", "enabled is not true",
			"sasl.username", "password or password_file", "sasl.aws",
		}},
		{client.Options{Brokers: []string{"a"}, SASL: client.SASL{Mechanism: "GSSAPI"}}, []string{"not one of PLAIN"}},
		{client.Options{Brokers: []string{"a"}, SASL: client.SASL{Mechanism: client.AWSMSKIAM, AWS: client.AWS{ExternalID: "e"}, Username: "u"}}, []string{
			"over TLS only", "external_id", "username, password",
		}},
		{client.Options{Brokers: []string{"a"}, SASL: client.SASL{Mechanism: client.OAuthBearer, OAuth: client.OAuth{
			TokenURL: "http://idp.example.org/token", TokenFile: "f",
		}}}, []string{"exactly one", "must be https", "client_id and client_secret"}},
		{client.Options{Brokers: []string{"a"}, SASL: client.SASL{Password: "x"}}, []string{"not used"}},
	}
	for _, tt := range tests {
		err := tt.o.Validate()
		if err == nil || strings.Count(err.Error(), "\n")+1 != len(tt.want) {
			t.Errorf("want %d problems, have: %v", len(tt.want), err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not told: %v", want, err)
			}
		}
	}
}

func TestSecretsAndWarnings(t *testing.T) {
	o := client.Options{
		TLS: client.TLS{Enabled: true, InsecureSkipVerify: true},
		SASL: client.SASL{
			Mechanism: client.Plain, Password: sinks.Secret("hunter2"), OAuth: client.OAuth{ClientSecret: "hunter2"},
		},
	}
	if s := fmt.Sprintf("%v %+v %#v", o, o, o); strings.Contains(s, "hunter2") {
		t.Errorf("a secret is printed: %s", s)
	}
	if w := o.Warnings(); len(w) != 1 || !strings.Contains(w[0], "NOT verified") {
		t.Errorf("warnings %q", w)
	}
	o.TLS = client.TLS{}
	if w := o.Warnings(); len(w) != 1 || !strings.Contains(w[0], "clear text") {
		t.Errorf("warnings %q", w)
	}
}
