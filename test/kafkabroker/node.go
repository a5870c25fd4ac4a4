//go:build unix

package kafkabroker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Node is one broker and controller. Its methods are safe for concurrent use;
// those that end or start it wait for each other.
type Node struct {
	c     *Cluster
	id    int
	dir   string
	addrs map[Listener]string

	mu   sync.Mutex
	proc *process // nil: not running, as far as was asked for
}

// ID is the node's and the broker's ID.
func (n *Node) ID() int { return n.id }

// Addr is the address of one of its listeners; empty when it has none of this kind.
func (n *Node) Addr(l Listener) string { return n.addrs[l] }

// Log returns the end of what the node has logged over all its lives.
func (n *Node) Log() string {
	b, err := os.ReadFile(filepath.Join(n.dir, "broker.log"))
	if err != nil {
		return err.Error()
	}
	const most = 8 << 10
	if len(b) > most {
		b = b[len(b)-most:]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return string(b)
}

// java starts one of the broker's classes. With an archive that is not there
// yet, Java writes it when it ends; without one it uses the archive that there is.
func (n *Node) java(ctx context.Context, archive, class string, args ...string) (*process, error) {
	path, err := java()
	if err != nil {
		return nil, err
	}
	jars, err := classPath(n.c.o.jars)
	if err != nil {
		return nil, err
	}
	flags := []string{
		"-Xmx" + cmp.Or(n.c.o.MaxHeap, "512m"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off",
		// What would be left behind elsewhere goes below the node's directory.
		"-XX:-UsePerfData", "-XX:ErrorFile=" + filepath.Join(n.dir, "java.log"), "-Djava.io.tmpdir=" + filepath.Join(n.dir, "tmp"),
		"-Dlog4j2.configurationFile=" + filepath.Join(n.dir, "log4j2.properties"), "-Dlog4j2.disable.jmx=true",
	}
	if archive != "" {
		flags = append(flags, "-XX:ArchiveClassesAtExit="+archive)
	} else if _, err := os.Stat(filepath.Join(n.c.o.jars, archiveFile)); err == nil {
		flags = append(flags, "-XX:SharedArchiveFile="+archiveFile)
	}
	flags = append(flags, n.c.o.JVM...)
	flags = append(flags, "-cp", jars, class)
	return startProcess(ctx, filepath.Join(n.dir, "broker.log"), n.c.o.jars, path, append(flags, args...)...)
}

// format makes the node's directory, unless there is one already.
func (n *Node) format(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(n.dir, "data", "meta.properties")); err == nil {
		return n.configure()
	}
	if err := os.MkdirAll(filepath.Join(n.dir, "tmp"), 0o755); err != nil {
		return err
	}
	if err := n.configure(); err != nil {
		return err
	}
	args := []string{"format", "-t", clusterID, "-c", filepath.Join(n.dir, "server.properties")}
	for _, user := range slices.Sorted(maps.Keys(n.c.o.Users)) {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, n.c.o.Users[user]))
		}
	}
	p, err := n.java(ctx, "", "kafka.tools.StorageTool", args...)
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return fmt.Errorf("format the directory: %w\n%s", err, n.Log())
	}
	return nil
}

func (n *Node) configure() error {
	return errors.Join(
		os.WriteFile(filepath.Join(n.dir, "log4j2.properties"), []byte(logging), 0o644),
		os.WriteFile(filepath.Join(n.dir, "server.properties"), properties(n.c.config(n)), 0o644),
	)
}

// Start starts a node that was killed or stopped, on the same data and ports,
// and returns when it answers. For that most of the controllers must run. It
// does nothing when the node runs.
func (n *Node) Start(ctx context.Context) error { return n.start(ctx, 1) }

// start returns when the node answers and knows that many brokers, itself among them.
func (n *Node) start(ctx context.Context, brokers int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc != nil {
		return nil
	}
	p, err := n.java(ctx, n.c.o.archive, "kafka.Kafka", filepath.Join(n.dir, "server.properties"))
	if err != nil {
		return err
	}
	n.proc = p
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := n.ready(ctx, brokers); err != nil {
		return fmt.Errorf("%w\nThe end of its log:\n%s", err, n.Log())
	}
	return nil
}

func (n *Node) ready(ctx context.Context, brokers int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(n.addrs[Plaintext]), kgo.RequestRetries(0), kgo.DialTimeout(time.Second))
	if err != nil {
		return err
	}
	defer cl.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := n.answers(ctx, cl, brokers)
		if err == nil {
			return nil
		}
		select {
		case <-n.proc.done:
			return fmt.Errorf("the broker ended: %w", n.proc.err)
		case <-ctx.Done():
			return fmt.Errorf("the broker does not become ready: %w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// answers asks this node, and no other, for the brokers that it knows.
func (n *Node) answers(ctx context.Context, cl *kgo.Client, brokers int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none, in place of all
	answer, err := cl.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return err
	}
	known := answer.(*kmsg.MetadataResponse).Brokers
	itself := slices.ContainsFunc(known, func(b kmsg.MetadataResponseBroker) bool { return int(b.NodeID) == n.id })
	if !itself || len(known) < brokers {
		return fmt.Errorf("it knows %d of %d brokers; itself among them: %t", len(known), brokers, itself)
	}
	return nil
}

// Running says whether the node is started and has not ended; a paused one is.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc != nil && !n.proc.ended()
}

// Kill ends the node with SIGKILL and returns when it is gone. It does nothing
// when the node does not run.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.end(syscall.SIGKILL, patience)
}

// Stop ends the node with SIGTERM: it hands over its partitions first. One that
// has not ended after a while is killed, and that is an error.
func (n *Node) Stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.end(syscall.SIGTERM, patience)
}

func (n *Node) end(sig syscall.Signal, within time.Duration) error {
	p := n.proc
	if p == nil {
		return nil
	}
	n.proc = nil
	if err := p.signal(sig); err != nil {
		return err
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return fmt.Errorf("node %d had not ended %v after %v", n.id, within, sig)
}

// Pause halts the node with SIGSTOP: its connections stay open and nobody
// answers. Resume lets it go on.
func (n *Node) Pause() error { return n.signal(syscall.SIGSTOP) }

// Resume lets a paused node go on.
func (n *Node) Resume() error { return n.signal(syscall.SIGCONT) }

func (n *Node) signal(sig syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		return fmt.Errorf("node %d does not run", n.id)
	}
	return n.proc.signal(sig)
}

// died tells of an end that nobody asked for.
func (n *Node) died() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil || !n.proc.ended() {
		return nil
	}
	return fmt.Errorf("it ended by itself: %w\n%s", n.proc.err, n.Log())
}
