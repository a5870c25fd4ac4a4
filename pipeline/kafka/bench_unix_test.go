//go:build unix

package kafka

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/sinks/kafka/client"
)

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkConsume reads the same topic by the source and by a bare client in
// turn, each from a broker in another process, and reports the CPU time that
// this process spends a record, and the quotient.
func BenchmarkConsume(b *testing.B) {
	for _, codec := range []string{"none", "lz4", "snappy", "zstd", "gzip"} {
		b.Run(codec, func(b *testing.B) {
			addr := startBroker(b, codec)
			consumeRaw(b, addr) // what is done once only
			consumeSource(b, addr, 0)
			var raw, source time.Duration
			rounds := 0
			for b.Loop() {
				rounds++
				raw += consumeRaw(b, addr)
				source += consumeSource(b, addr, rounds)
			}
			each := float64(rounds * benchRecords)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(raw)/each, "raw-cpu-ns/rec")
			b.ReportMetric(float64(source)/each, "source-cpu-ns/rec")
			b.ReportMetric(float64(source)/float64(raw), "source/raw")
		})
	}
}

func consumeRaw(b *testing.B, addr string) time.Duration {
	b.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics("trail"))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	start := cpu(b)
	for n := 0; n < benchRecords; {
		fetches := cl.PollFetches(b.Context())
		if err := fetches.Err(); err != nil {
			b.Fatal(err)
		}
		n += fetches.NumRecords()
	}
	return cpu(b) - start
}

// consumeSource commits each batch's positions, as a worker does at most.
func consumeSource(b *testing.B, addr string, round int) time.Duration {
	b.Helper()
	s, err := New(Options{
		Client: client.Options{Brokers: []string{addr}}, Topics: []string{"trail"}, Group: fmt.Sprintf("g%d", round),
		Isolation: readUncommitted, LagInterval: 200 * time.Millisecond,
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	}()
	start := cpu(b)
	for n := 0; n < benchRecords; {
		batch, err := s.Read(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		positions := make(map[string][]byte)
		for i := range batch.Records {
			if i+1 == len(batch.Records) || batch.Records[i+1].Partition != batch.Records[i].Partition {
				positions[batch.Records[i].Partition] = batch.Places.Position(i)
			}
		}
		n += len(batch.Records)
		if batch.Release != nil {
			batch.Release()
		}
		s.Committed(positions)
	}
	return cpu(b) - start
}
