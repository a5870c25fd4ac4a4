package kafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/bench/traffic"
)

// brokerEnv makes the test binary a broker, in a process of its own: what it
// spends must not count.
const brokerEnv = "TRAILTIDE_TEST_BROKER_CODEC"

const (
	benchRecords    = 100_000
	benchPartitions = 2
)

func TestMain(m *testing.M) {
	codec := os.Getenv(brokerEnv)
	if codec == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := serve(codec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(), "snappy": kgo.SnappyCompression(),
	"zstd": kgo.ZstdCompression(), "gzip": kgo.GzipCompression(),
}

// serve fills a broker with traffic, prints its address, and serves until its
// standard input ends.
func serve(codec string) error {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(benchPartitions, "trail"))
	if err != nil {
		return err
	}
	defer c.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerBatchCompression(codecs[codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(1_000_000), kgo.ProducerLinger(50*time.Millisecond))
	if err != nil {
		return err
	}
	gen, err := traffic.New(traffic.Config{Seed: 1})
	if err != nil {
		return err
	}
	var failed error
	for i := range benchRecords {
		cl.Produce(context.Background(), &kgo.Record{Topic: "trail", Partition: int32(i % benchPartitions), Value: gen.AppendNext(nil)},
			func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) })
	}
	if err := errors.Join(cl.Flush(context.Background()), failed); err != nil {
		return err
	}
	cl.Close()
	fmt.Println(c.ListenAddrs()[0])
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func startBroker(b *testing.B, codec string) (addr string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), brokerEnv+"="+codec)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // its context may have ended it
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}
