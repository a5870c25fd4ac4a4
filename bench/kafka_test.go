package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/pipeline/kafka"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

const (
	topicEvents = 100_000
	topicName   = "cloudtrail"
	// brokerEnv makes the test binary a broker with a full topic: in a process of
	// its own its CPU time is not the consumer's.
	brokerEnv = "TRAILTIDE_BENCH_BROKER"
)

func TestMain(m *testing.M) {
	if os.Getenv(brokerEnv) == "" {
		os.Exit(m.Run())
	}
	if err := broker(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// broker serves the topic until in ends. It writes its addresses on one line.
func broker(in io.Reader, out io.Writer) error {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, topicName))
	if err != nil {
		return err
	}
	defer c.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(topicName),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerBatchMaxBytes(1<<20),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.MaxBufferedRecords(topicEvents))
	if err != nil {
		return err
	}
	g, err := traffic.New(traffic.Config{Seed: 1, Incidents: -1})
	if err != nil {
		return err
	}
	var failed error
	for range topicEvents {
		cl.Produce(context.Background(), &kgo.Record{Value: g.AppendNext(nil)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		return err
	}
	cl.Close()
	if failed != nil {
		return failed
	}
	fmt.Fprintln(out, strings.Join(c.ListenAddrs(), ","))
	_, err = io.Copy(io.Discard, in)
	return err
}

// startBroker starts a broker process and returns its addresses.
func startBroker(b *testing.B) []string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), brokerEnv+"=1")
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
		in.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("the broker did not start: %v", err)
	}
	return strings.Split(strings.TrimSpace(line), ",")
}

// consume reads the topic with the bare client and hands each value to each.
func consume(b *testing.B, addrs []string, each func(value []byte)) {
	b.Helper()
	b.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.ConsumeTopics(topicName), kgo.FetchMaxBytes(8<<20),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	for n := 0; n < topicEvents; {
		fetches := cl.PollFetches(b.Context())
		if err := fetches.Err(); err != nil {
			b.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			each(r.Value)
		})
	}
}

// until ends a source after so many records.
type until struct {
	pipeline.Source
	left int
}

func (s *until) Read(ctx context.Context) (*pipeline.Batch, error) {
	if s.left <= 0 {
		return nil, io.EOF
	}
	b, err := s.Source.Read(ctx)
	if err == nil {
		s.left -= len(b.Records)
	}
	return b, err
}

// groups numbers consumer groups, for each run of a worker begins at the start.
type groups struct{ n int }

func (g *groups) working(b *testing.B, name string, addrs []string, rs *matcher.Ruleset) measure.Contender {
	b.Helper()
	b.Helper()
	return measure.Contender{Name: name, Events: topicEvents, Run: func() {
		g.n++
		src, err := kafka.New(kafka.Options{
			Client: client.Options{Brokers: addrs}, Topics: []string{topicName}, Group: fmt.Sprintf("bench-%d", g.n),
		})
		if err != nil {
			b.Fatal(err)
		}
		eng := memory.New(memory.Options{OnAlert: func(*sinks.Alert) {}})
		w, err := pipeline.New(pipeline.Options{Source: &until{src, topicEvents}, Engine: eng, Rules: rs})
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := src.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		if s := w.Summary(); s.Read != topicEvents || s.Invalid > 0 {
			b.Fatalf("read %d events, %d invalid; want %d", s.Read, s.Invalid, topicEvents)
		}
	}}
}

// BenchmarkKafka is the whole pipeline from a topic of lz4 batches to alerts,
// consumer group and commits included, beside a bare client that does nothing,
// or parses.
func BenchmarkKafka(b *testing.B) {
	addrs := startBroker(b)
	c := corpus{"generated", made(b, 2000, traffic.Config{Seed: 1, Incidents: -1})}
	var p fastjson.Parser
	var sum int
	var g groups
	measure.Bench(b, measure.Options{Rounds: 7, Slice: time.Millisecond}, false,
		measure.Contender{Name: "consume", Events: topicEvents, Run: func() {
			consume(b, addrs, func(v []byte) { sum += len(v) })
		}},
		measure.Contender{Name: "consume+parse", Events: topicEvents, Run: func() {
			consume(b, addrs, func(v []byte) {
				if _, err := p.ParseBytes(v); err != nil {
					b.Fatal(err)
				}
			})
		}},
		g.working(b, "worker/rules=1000", addrs, compile(b, newRuleMaker(b, c).sparse(1000))),
		g.working(b, "worker/rules=pack", addrs, compile(b, pack(b))))
}
