//go:build unix

package harness

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// FillSlowly writes events to a topic over that time: each goes to the
// partition of its place, so that every run has the same ones.
func FillSlowly(ctx context.Context, brokers []string, topic string, partitions int, events [][]byte, over time.Duration) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	const steps = 200
	tick := time.NewTicker(over/steps + time.Microsecond)
	defer tick.Stop()
	for step := range steps {
		from, to := len(events)*step/steps, len(events)*(step+1)/steps
		var records []*kgo.Record
		for i := from; i < to; i++ {
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: events[i]})
		}
		if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return err
		}
		if over == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Drained waits until the worker runs and the group has committed everything
// that is in the topic.
func (w *Worker) Drained(t testing.TB, brokers []string, group, topic string, partitions int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	var last error
	if !Until(t, 2*time.Minute, func() bool {
		w.Alive(t)
		lags, err := adm.Lag(t.Context(), group)
		if last = errors.Join(err, lags.Error()); last != nil || len(lags[group].Lag[topic]) != partitions {
			return false
		}
		for _, p := range lags[group].Lag[topic] {
			if p.Lag > 0 || p.Commit.At < 0 {
				return false
			}
		}
		return w.Started()
	}) {
		t.Fatalf("the worker does not come to the end of the topic (%v)\n%s", last, w.Stderr())
	}
}

// Until asks again and again and returns true as soon as the answer is, false
// when it is not within that time.
func Until(t testing.TB, within time.Duration, ok func() bool) bool {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(within)
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			return false
		}
	}
	return true
}
