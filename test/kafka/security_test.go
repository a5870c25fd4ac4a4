//go:build unix

package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/trailtide/trailtide/test/kafkabroker"
)

// by is how a worker connects by a listener.
func by(c *kafkabroker.Cluster, l kafkabroker.Listener, rest string) string {
	return fmt.Sprintf("brokers: [%s], %s", strings.Join(c.Addrs(l), ", "), rest)
}

func sasl(mechanism string) string {
	return fmt.Sprintf("sasl: {mechanism: %s, username: %s, password: %s}", mechanism, user, password)
}

// acls are the permissions that a worker needs.
func (b *bench) acls(principal string) []*kadm.ACLBuilder {
	allow := func() *kadm.ACLBuilder {
		return kadm.NewACLs().Allow(principal).AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral)
	}
	return []*kadm.ACLBuilder{
		allow().Topics(b.topic).Operations(kadm.OpRead, kadm.OpDescribe),
		allow().Groups(b.group()).Operations(kadm.OpRead),
		allow().Topics(b.alerts).Operations(kadm.OpWrite, kadm.OpDescribe),
	}
}

func (b *bench) group() string { return b.topic + "-group" }

func grant(t *testing.T, adm *kadm.Client, acls ...*kadm.ACLBuilder) {
	t.Helper()
	for _, acl := range acls {
		made, err := adm.CreateACLs(t.Context(), acl)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range made {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
}

// Every way of connecting that a real broker offers, with no more rights than
// the worker needs.
func TestListenersAndACLs(t *testing.T) {
	c := shared(t)
	adm := admin(t, c)
	tls := fmt.Sprintf("tls: {enabled: true, ca_file: %q}", c.CAFile())
	cert, key := c.ClientCertificate()
	for _, tt := range []struct{ name, principal, connect string }{
		{"SCRAM-SHA-256", "User:" + user, by(c, kafkabroker.SASL, sasl("SCRAM-SHA-256"))},
		{"SCRAM-SHA-512 over TLS", "User:" + user, by(c, kafkabroker.SASLTLS, tls+", "+sasl("SCRAM-SHA-512"))},
		{"mutual TLS", "User:CN=client", by(c, kafkabroker.TLS,
			fmt.Sprintf("tls: {enabled: true, ca_file: %q, cert_file: %q, key_file: %q}", c.CAFile(), cert, key))},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			b := newBench(t, c)
			b.connect = tt.connect
			grant(t, adm, b.acls(tt.principal)...)
			b.fill(t, numbered(0, 100), 0)()
			w := b.start(t, b.group())
			b.untilSent(t, w, 100)
			b.untilReady(t, w, "")
			w.Stop(t)
		})
	}
}

// Rights that are missing, given, taken away and given again: the worker waits,
// says which, and goes on where it stood.
func TestAuthorisationLostAndReturned(t *testing.T) {
	c := shared(t)
	b := newBench(t, c)
	b.connect = by(c, kafkabroker.SASLTLS, fmt.Sprintf("tls: {enabled: true, ca_file: %q}, ", c.CAFile())+sasl("SCRAM-SHA-512"))
	adm := admin(t, c)
	acls := b.acls("User:" + user)
	b.fill(t, numbered(0, 100), 0)()
	w := b.start(t, b.group())
	b.untilReady(t, w, "AUTHORIZATION")
	grant(t, adm, acls...)
	b.untilSent(t, w, 100)
	b.untilReady(t, w, "")
	for i, acl := range acls {
		if _, err := adm.DeleteACLs(t.Context(), acl); err != nil {
			t.Fatal(err)
		}
		b.fill(t, numbered(100+100*i, 200+100*i), 0)()
		if i < 2 { // what a sink may not write is its own trouble
			b.untilReady(t, w, "AUTHORIZATION")
		}
		grant(t, adm, acl)
		b.untilSent(t, w, 200+100*i)
		b.untilReady(t, w, "")
	}
	w.Stop(t)
}
