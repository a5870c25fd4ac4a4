//go:build unix

// Package kafkabroker runs real Apache Kafka for tests: one node or three, in
// KRaft mode, as processes on this machine that can be killed, stopped, paused
// and started again. It needs Java 17 or newer, and Maven for the first run.
// The product does not import it.
package kafkabroker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Listener is a way into the brokers.
type Listener string

// The listeners. Plaintext is always there; it is also the brokers' own, and
// who comes by it is a superuser when there are ACLs.
const (
	Plaintext Listener = "PLAINTEXT"
	TLS       Listener = "SSL"            // a client's certificate is asked for and not needed
	SASL      Listener = "SASL_PLAINTEXT" // SCRAM-SHA-256, SCRAM-SHA-512
	SASLTLS   Listener = "SASL_SSL"       // the same over TLS
)

// patience bounds the start and the orderly stop of a node, when no context does.
const patience = 90 * time.Second

// Options of a cluster. The zero value is one node without any security.
type Options struct {
	// Nodes is 1 (default) or 3. Each is broker and controller. With three,
	// topics have three replicas, of which two must have a record.
	Nodes int
	// Dir is where data and logs go. Default: a directory of its own that goes
	// when the cluster is closed, or when this process dies. A given one stays.
	Dir string
	// Config is added to each node's server.properties and wins over what the
	// package writes there.
	Config map[string]string
	// Listeners beside Plaintext.
	Listeners []Listener
	// Users are SCRAM users and their passwords.
	Users map[string]string
	// ACLs switches on the StandardAuthorizer: who does not come by Plaintext
	// may do what an ACL allows, and nothing else.
	ACLs bool
	// MaxHeap is a node's heap as -Xmx takes it. Default 512m.
	MaxHeap string
	// JVM are more options of Java, after the package's own, which are chosen for
	// a quick start. "-XX:TieredStopAtLevel=4" makes a broker that runs for long cheaper.
	JVM []string

	archive string // writes what Java has loaded to this file when it ends
	jars    string // found by Jars
}

// Cluster is a running cluster. Its methods are safe for concurrent use.
type Cluster struct {
	o      Options
	dir    string
	certs  certificates
	nodes  []*Node
	reaper *reaper // nil: the directory is the caller's

	closing sync.Once
	err     error
}

// Wanted says whether tests shall use a real broker: TRAILTIDE_KAFKA is "real".
func Wanted() bool { return os.Getenv("TRAILTIDE_KAFKA") == "real" }

// Need skips a test when no real broker is wanted.
func Need(tb testing.TB) {
	tb.Helper()
	if !Wanted() {
		tb.Skip("needs a real Kafka: set TRAILTIDE_KAFKA=real, or run make test-kafka")
	}
}

// Start is New for a test: it skips the test when no real broker is wanted,
// fails it when there can be none, and closes the cluster at the test's end.
// The logs of a failed test's brokers are shown.
func Start(tb testing.TB, o Options) *Cluster {
	tb.Helper()
	Need(tb)
	c, err := New(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			for _, n := range c.nodes {
				tb.Logf("the end of node %d's log:\n%s", n.id, n.Log())
			}
		}
		if err := c.Close(); err != nil {
			tb.Errorf("close the cluster: %v", err)
		}
	})
	return c
}

// New starts a cluster and returns when every node answers. The context bounds
// the start only. The caller closes the cluster.
func New(ctx context.Context, o Options) (c *Cluster, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.Nodes != 1 && o.Nodes != 3 {
		return nil, fmt.Errorf("a cluster of %d nodes: 1 or 3 can be had", o.Nodes)
	}
	if o.jars == "" {
		if o.jars, err = Jars(ctx); err != nil {
			return nil, err
		}
	}
	c = &Cluster{o: o, dir: o.Dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			c = nil
		}
	}()
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "trailtide-kafka-"); err != nil {
			return nil, err
		}
		if c.reaper, err = startReaper(ctx, c.dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(c.dir))
		}
	}
	if c.certs, err = makeCertificates(filepath.Join(c.dir, "tls")); err != nil {
		return nil, err
	}
	listeners := append([]Listener{Plaintext, controller}, o.Listeners...)
	ports, err := FreePorts(ctx, o.Nodes*len(listeners))
	if err != nil {
		return nil, err
	}
	for id := 1; id <= o.Nodes; id++ {
		n := &Node{c: c, id: id, dir: filepath.Join(c.dir, fmt.Sprintf("node-%d", id)), addrs: make(map[Listener]string)}
		for _, l := range listeners {
			n.addrs[l], ports = fmt.Sprintf("127.0.0.1:%d", ports[0]), ports[1:]
		}
		c.nodes = append(c.nodes, n)
	}
	return c, c.each(func(n *Node) error {
		if err := n.format(ctx); err != nil {
			return err
		}
		return n.start(ctx, o.Nodes)
	})
}

// each does something with all nodes at once.
func (c *Cluster) each(do func(*Node) error) error {
	errs := make([]error, len(c.nodes))
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		wg.Go(func() {
			if err := do(n); err != nil {
				errs[i] = fmt.Errorf("node %d: %w", n.id, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Brokers are the addresses of all nodes' Plaintext listeners.
func (c *Cluster) Brokers() []string { return c.Addrs(Plaintext) }

// Addrs are the addresses of all nodes' listeners of one kind.
func (c *Cluster) Addrs(l Listener) []string {
	var all []string
	for _, n := range c.nodes {
		if a := n.addrs[l]; a != "" {
			all = append(all, a)
		}
	}
	return all
}

// Node returns a node by its ID, from 1 on. It is the broker's ID, too.
func (c *Cluster) Node(id int) *Node { return c.nodes[id-1] }

// Nodes returns all nodes in the order of their IDs.
func (c *Cluster) Nodes() []*Node { return slices.Clone(c.nodes) }

// CAFile is the PEM file of the authority behind the TLS listeners.
func (c *Cluster) CAFile() string { return c.certs.ca }

// ClientCertificate names the PEM files of a certificate that the authority
// gave to a client. On the TLS listener its principal is User:CN=client.
func (c *Cluster) ClientCertificate() (certFile, keyFile string) {
	return c.certs.client, c.certs.clientKey
}

// Client connects by the Plaintext listener. The caller closes it.
func (c *Cluster) Client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Brokers()...), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
}

// Close kills what runs and removes what was written, unless Options.Dir was
// given. It says so when a node had ended without being asked to. Later calls
// return what the first did.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		c.err = c.each(func(n *Node) error {
			died := n.died()
			return errors.Join(died, n.Kill())
		})
		if c.reaper != nil {
			c.err = errors.Join(c.err, os.RemoveAll(c.dir), c.reaper.dismiss())
		}
	})
	return c.err
}

// config is a node's server.properties.
func (c *Cluster) config(n *Node) map[string]string {
	m := maps.Clone(defaults)
	n.addresses(m)
	c.security(m)
	if c.o.Nodes == 3 {
		maps.Copy(m, replicated)
	}
	maps.Copy(m, c.o.Config)
	return m
}
