//go:build unix

package kafkabroker

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Every way in works, and with ACLs only the Plaintext one opens everything.
func TestListeners(t *testing.T) {
	c := Start(t, Options{
		Listeners: []Listener{TLS, SASL, SASLTLS}, Users: map[string]string{"app": "s3cret"}, ACLs: true,
	})
	if _, err := kadm.NewClient(client(t, c)).CreateTopic(t.Context(), 1, 1, nil, "a"); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(c.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	own, err := tls.LoadX509KeyPair(c.ClientCertificate())
	if err != nil {
		t.Fatal(err)
	}
	over := kgo.DialTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	mutual := kgo.DialTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}})
	user := scram.Auth{User: "app", Pass: "s3cret"}
	for _, tt := range []struct {
		name     string
		listener Listener
		opts     []kgo.Opt
		allowed  bool
	}{
		{"plain text", Plaintext, nil, true},
		{"TLS", TLS, []kgo.Opt{over}, true}, // without a certificate it is the superuser, too
		{"mutual TLS", TLS, []kgo.Opt{mutual}, false},
		{"SCRAM-SHA-256", SASL, []kgo.Opt{kgo.SASL(user.AsSha256Mechanism())}, false},
		{"SCRAM-SHA-512 over TLS", SASLTLS, []kgo.Opt{over, kgo.SASL(user.AsSha512Mechanism())}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cl := client(t, c, append(tt.opts, kgo.SeedBrokers(c.Addrs(tt.listener)...))...)
			if err := cl.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			topics, err := kadm.NewClient(cl).ListTopics(t.Context())
			if err != nil || topics.Has("a") != tt.allowed {
				t.Errorf("the topic is seen: %t (%v)", topics.Has("a"), err)
			}
		})
	}
}

// Three nodes: with one of them dead, records that need two replicas are taken.
func TestThreeNodes(t *testing.T) {
	c := Start(t, Options{Nodes: 3})
	cl := client(t, c)
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, -1, nil, "a"); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes() {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := ends(t, cl); got != 3 {
		t.Errorf("%d records of 3", got)
	}
}
