//go:build unix

// Package kinesispeers runs independent implementations of Kinesis and
// DynamoDB for tests: kinesalite, kinesis-local and dynalite from the npm
// registry, as processes that end with the test, and the KPL aggregation of
// aws-kinesis-agg. It needs Node 20 or newer and npm. The product does not
// import it.
package kinesispeers

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

// Variable is the environment variable that switches the peers on.
const Variable = "TRAILTIDE_KINESIS_PEERS"

// patience bounds how long a peer may take to answer after its start.
const patience = 60 * time.Second

// Need skips a test unless TRAILTIDE_KINESIS_PEERS is 1.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv(Variable) != "1" {
		t.Skip("set " + Variable + "=1 (make test-kinesis) to run against independent servers")
	}
}

// Config is for the clients of a peer at url: static credentials, few retries.
func Config(url string) aws.Config {
	return aws.Config{
		Region:           "us-east-1",
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		BaseEndpoint:     aws.String(url),
		HTTPClient:       kinesistest.HTTPClient(http.DefaultClient),
		RetryMaxAttempts: 1,
	}
}

// Kinesalite starts a kinesalite and answers its URL: an independent Kinesis
// for polling by stream name. It ends with the test.
func Kinesalite(t testing.TB) string {
	t.Helper()
	return start(t, func(port string) []string {
		return []string{"node_modules/kinesalite/cli.js", "--port", port, "--shardLimit", "1000", "--createStreamMs", "20", "--deleteStreamMs", "20", "--updateStreamMs", "20"}
	})
}

// Dynalite starts a dynalite and answers its URL: an independent DynamoDB. It
// ends with the test.
func Dynalite(t testing.TB) string {
	t.Helper()
	return start(t, func(port string) []string {
		return []string{"node_modules/dynalite/cli.js", "--port", port, "--createTableMs", "20", "--deleteTableMs", "20", "--updateTableMs", "20"}
	})
}

// KinesisLocal starts a kinesis-local and answers the URL of a proxy before
// it, which adds the initial-response frame that it leaves out of its event
// streams: an independent Kinesis with fan-out, slow. It ends with the test.
func KinesisLocal(t testing.TB) string {
	t.Helper()
	return proxy(t, start(t, func(string) []string { return []string{"node_modules/kinesis-local/main.js"} }))
}

// environment is what kinesis-local reads.
func environment(port, tlsPort, dir string) []string {
	env := append(os.Environ(),
		"KINESIS_MOCK_PLAIN_PORT="+port, "KINESIS_MOCK_TLS_PORT="+tlsPort,
		"KINESIS_MOCK_CERT_PATH="+filepath.Join(dir, "node_modules", "kinesis-local", "server.json"),
		"SHARD_LIMIT=1000", "ON_DEMAND_STREAM_COUNT_LIMIT=100", "LOG_LEVEL=ERROR",
	)
	for _, name := range []string{
		"CREATE_STREAM", "DELETE_STREAM", "REGISTER_STREAM_CONSUMER", "DEREGISTER_STREAM_CONSUMER",
		"MERGE_SHARDS", "SPLIT_SHARD", "UPDATE_SHARD_COUNT", "UPDATE_STREAM_MODE",
	} {
		env = append(env, name+"_DURATION=20ms")
	}
	return env
}

// start runs a peer on a free port until the test ends.
func start(t testing.TB, args func(port string) []string) string {
	t.Helper()
	Need(t)
	dir, err := Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ports, err := freePorts(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(ports[0])
	var log bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "node", append([]string{"-r", "./loopback.js"}, args(port)...)...)
	cmd.Dir, cmd.Env = dir, environment(port, strconv.Itoa(ports[1]), dir)
	cmd.Stdout, cmd.Stderr = &log, &log
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		early := p.ended()
		p.kill()
		if early {
			t.Errorf("the peer ended by itself: %v\n%s", p.err, log.String())
		}
	})
	url := "http://127.0.0.1:" + port
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := ready(ctx, p, url); err != nil {
		p.kill()
		t.Fatalf("%v\n%s", err, log.String())
	}
	return url
}

// ready waits until something answers HTTP there.
func ready(ctx context.Context, p *process, url string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			return resp.Body.Close()
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("the peer ended at once: %w", p.err)
		case <-ctx.Done():
			return errors.New("the peer does not answer")
		}
	}
}

// freePorts finds ports that nobody listens on.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// UserRecord is a record inside a KPL aggregate. An empty ExplicitHashKey is none.
type UserRecord struct {
	PartitionKey    string `json:"partitionKey"`
	ExplicitHashKey string `json:"explicitHashKey,omitempty"`
	Data            []byte `json:"data"` // base64 in JSON
}

const aggregateJS = `
const agg = require('aws-kinesis-agg')
const records = JSON.parse(require('fs').readFileSync(0, 'utf8')).map(r => ({...r, data: Buffer.from(r.data, 'base64')}))
agg.aggregate(records, out => process.stdout.write(JSON.stringify({key: out.partitionKey, data: out.data.toString('base64')}) + '\n'),
  () => {}, err => { throw err })`

const splitJS = `
const agg = require('aws-kinesis-agg')
const record = {kinesisSchemaVersion: '1.0', partitionKey: 'outer', sequenceNumber: '1', approximateArrivalTimestamp: 1, data: require('fs').readFileSync(0).toString('base64')}
agg.deaggregateSync(record, true, (err, records) => {
  if (err) throw err
  process.stdout.write(JSON.stringify(records.map(r => ({partitionKey: r.partitionKey, explicitHashKey: r.explicitPartitionKey, data: r.data.toString('base64')}))))
})`

// Aggregate has aws-kinesis-agg put records into one KPL aggregate.
func Aggregate(t testing.TB, records []UserRecord) []byte {
	t.Helper()
	in, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ Data []byte }
	if err := json.Unmarshal(node(t, aggregateJS, in), &out); err != nil {
		t.Fatal(err)
	}
	return out.Data
}

// Deaggregate has aws-kinesis-agg take a KPL aggregate apart, checksum included.
func Deaggregate(t testing.TB, aggregate []byte) []UserRecord {
	t.Helper()
	var out []UserRecord
	if err := json.Unmarshal(node(t, splitJS, aggregate), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// node runs a script beside the packages.
func node(t testing.TB, script string, stdin []byte) []byte {
	t.Helper()
	Need(t)
	dir, err := Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "-e", script)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(stdin), &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("node: %v\n%s", err, log.String())
	}
	return out.Bytes()
}
