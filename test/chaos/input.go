//go:build unix

package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Input is what the workers of a trial read.
type Input interface {
	// Section is the source of the configuration of a worker's place, in one line.
	Section(place int) string
	// Fill writes the records over that time, in their order. What happens to the
	// source meanwhile is part of it.
	Fill(ctx context.Context, records []Record, over time.Duration) error
	// Behind says what is written and not read; "": nothing.
	Behind(ctx context.Context) string
}

// Record is an event of the traffic.
type Record struct {
	Partition int // those of one stay in order
	Value     []byte
	Broken    bool // it is no event
	// Closing is set of the last one of each partition, which moves event time past
	// all windows. Whatever holds event time needs one.
	Closing bool
	// Leap is set of one before which event time leaps further than events may be
	// late: an Input that brings partitions together must not put it before those
	// that come before it here.
	Leap bool
}

// topic is the topic trail.
type topic struct{ c *cluster }

// Section has every other place a static member.
func (i *topic) Section(place int) string {
	instance := ""
	if static(place) {
		instance = fmt.Sprintf(", instance_id: source-%d", place)
	}
	return fmt.Sprintf("kafka: {brokers: [%s], topics: [%s], group: %s, session_timeout: 3s, metadata_min_age: 100ms, lag_interval: 200ms, idle_after: 1h, max_poll_records: 300%s}",
		strings.Join(i.c.brokers, ", "), trail, group, instance)
}

// Fill writes each record to its partition.
func (i *topic) Fill(ctx context.Context, records []Record, over time.Duration) error {
	return InSteps(ctx, 400, len(records), over, func(_, from, to int) error {
		var batch []*kgo.Record
		for _, r := range records[from:to] {
			batch = append(batch, &kgo.Record{Topic: trail, Partition: int32(r.Partition), Value: r.Value}) //nolint:gosec // a count of partitions
		}
		return i.c.cl.ProduceSync(ctx, batch...).FirstErr()
	})
}

// Behind is the group's lag.
func (i *topic) Behind(ctx context.Context) string {
	if lag, err := i.c.lag(ctx, group, trail); err != nil || lag > 0 {
		return fmt.Sprintf("the source's group has a lag of %d records (%v)", lag, err)
	}
	return ""
}

// InSteps calls do with one part of n things after the other, evenly over a time.
func InSteps(ctx context.Context, steps, n int, over time.Duration, do func(step, from, to int) error) error {
	tick := time.NewTicker(max(over/time.Duration(steps), 1))
	defer tick.Stop()
	for step := range steps {
		if err := do(step, n*step/steps, n*(step+1)/steps); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
