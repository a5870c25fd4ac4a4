package kafka

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	saslplain "github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// certificate returns a server's TLS settings for 127.0.0.1, and the file of
// the authority that signed its certificate.
func certificate(t *testing.T) (conf *tls.Config, caFile string) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	cert := srv.TLS.Certificates[0]
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	if err := os.WriteFile(caFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, caFile
}

func TestSecurity(t *testing.T) {
	conf, ca := certificate(t)
	users := []kfake.Opt{
		kfake.EnableSASL(), kfake.Superuser("PLAIN", "p", "s3cret"),
		kfake.Superuser("SCRAM-SHA-256", "s256", "s3cret"), kfake.Superuser("SCRAM-SHA-512", "s512", "s3cret"),
	}
	auth := kgo.SASL(saslplain.Auth{User: "p", Pass: "s3cret"}.AsMechanism())
	trusted := conf.Clone()
	trusted.InsecureSkipVerify = true
	for _, tt := range []struct {
		name   string
		server []kfake.Opt
		writer []kgo.Opt
		o      client.Options
	}{
		{"TLS", []kfake.Opt{kfake.TLS(conf)}, []kgo.Opt{kgo.DialTLSConfig(trusted)}, client.Options{TLS: client.TLS{Enabled: true, CAFile: ca}}},
		{"PLAIN", users, []kgo.Opt{auth}, client.Options{SASL: client.SASL{Mechanism: client.Plain, Username: "p", Password: "s3cret"}}},
		{"SCRAM-SHA-256", users, []kgo.Opt{auth}, client.Options{SASL: client.SASL{Mechanism: client.Scram256, Username: "s256", Password: "s3cret"}}},
		{
			"SCRAM-SHA-512 over TLS", append(users[:len(users):len(users)], kfake.TLS(conf)),
			[]kgo.Opt{auth, kgo.DialTLSConfig(trusted)},
			client.Options{
				TLS:  client.TLS{Enabled: true, CAFile: ca},
				SASL: client.SASL{Mechanism: client.Scram512, Username: "s512", Password: "s3cret"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cluster(t, append(tt.server, kfake.SeedTopics(1, "a"))...)
			produce(t, kclient(t, c, tt.writer...), "a", 0, 0, 9)
			o := options(c, "a")
			o.Client = tt.o
			o.Client.Brokers = c.ListenAddrs()
			r := open(t, o, nil)
			r.untilCount(10)
			r.want("a", 0, 0, 9)
			r.until("health", func() bool { return r.s.Health() == nil })
		})
	}
}

func TestWrongPassword(t *testing.T) {
	c := cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "p", "s3cret"), kfake.SeedTopics(1, "a"))
	file := filepath.Join(t.TempDir(), "password")
	write := func(pass string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(pass+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("wr0ng")
	o := options(c, "a")
	o.Client.SASL = client.SASL{Mechanism: client.Plain, Username: "p", PasswordFile: file}
	r := open(t, o, nil)
	r.until("the refusal to be told", func() bool {
		err := r.s.Health()
		return err != nil && !strings.Contains(err.Error(), "no broker has answered")
	})
	if err := r.s.Health(); strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("health tells the password: %v", err)
	}
	write("s3cret") // rotated: no restart is needed
	produce(t, kclient(t, c, kgo.SASL(saslplain.Auth{User: "p", Pass: "s3cret"}.AsMechanism())), "a", 0, 0, 9)
	r.untilCount(10)
	r.until("health", func() bool { return r.s.Health() == nil })
}

// handshakes has a cluster accept any SASL exchange with an answer, and returns what clients
// sent: mechanisms and first messages.
func handshakes(c *kfake.Cluster, answer string) func() (mechanisms, messages []string) {
	var mu sync.Mutex
	var mechanisms, messages []string
	c.ControlKey(int16(kmsg.SASLHandshake), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req, resp := kreq.(*kmsg.SASLHandshakeRequest), kreq.ResponseKind().(*kmsg.SASLHandshakeResponse)
		mu.Lock()
		defer mu.Unlock()
		mechanisms = append(mechanisms, req.Mechanism)
		resp.SupportedMechanisms = []string{req.Mechanism}
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req, resp := kreq.(*kmsg.SASLAuthenticateRequest), kreq.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		mu.Lock()
		defer mu.Unlock()
		messages = append(messages, string(req.SASLAuthBytes))
		resp.SASLAuthBytes = []byte(answer)
		return resp, nil, true
	})
	return func() ([]string, []string) {
		mu.Lock()
		defer mu.Unlock()
		return mechanisms, messages
	}
}

func TestOAuthBearer(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "a"))
	produce(t, kclient(t, c), "a", 0, 0, 9)
	seen := handshakes(c, "")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(c, "a")
	o.Client.SASL = client.SASL{Mechanism: client.OAuthBearer, OAuth: client.OAuth{
		TokenFile: file, Extensions: map[string]string{"logicalCluster": "lkc-1"},
	}}
	r := open(t, o, nil)
	r.untilCount(10)
	mechanisms, messages := seen()
	if len(mechanisms) == 0 || mechanisms[0] != "OAUTHBEARER" {
		t.Errorf("mechanisms %q", mechanisms)
	}
	// Semantics: RFC 7628 §3.1, initial client response.
	if want := "n,,\x01auth=Bearer t0ken\x01logicalCluster=lkc-1\x01\x01"; len(messages) == 0 || messages[0] != want {
		t.Errorf("messages %q, want %q", messages, want)
	}
}

func TestMSKIAM(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
	t.Setenv("AWS_SESSION_TOKEN", "")
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	conf, ca := certificate(t)
	trusted := conf.Clone()
	trusted.InsecureSkipVerify = true
	c := cluster(t, kfake.TLS(conf), kfake.SeedTopics(1, "a"))
	produce(t, kclient(t, c, kgo.DialTLSConfig(trusted)), "a", 0, 0, 9)
	seen := handshakes(c, "{}")
	o := options(c, "a")
	o.Client.SASL = client.SASL{Mechanism: client.AWSMSKIAM}
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "tls.enabled") {
		t.Errorf("without TLS: %v", err)
	}
	o.Client.TLS = client.TLS{Enabled: true, CAFile: ca}
	r := open(t, o, nil)
	r.untilCount(10)
	mechanisms, messages := seen()
	if len(mechanisms) == 0 || mechanisms[0] != "AWS_MSK_IAM" {
		t.Fatalf("mechanisms %q", mechanisms)
	}
	var signed map[string]string
	if err := json.Unmarshal([]byte(messages[0]), &signed); err != nil {
		t.Fatal(err)
	}
	if signed["action"] != "kafka-cluster:Connect" || signed["host"] != "127.0.0.1" || signed["x-amz-signature"] == "" ||
		!strings.Contains(signed["x-amz-credential"], "AKIDEXAMPLE/") || !strings.Contains(signed["x-amz-credential"], "/eu-west-1/kafka-cluster/") {
		t.Errorf("signed request %v", signed)
	}
	if strings.Contains(messages[0], "s3cret") {
		t.Error("the secret key is sent")
	}
}
