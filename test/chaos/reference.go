//go:build unix

package chaos

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
	"github.com/trailtide/trailtide/sinks"
)

// reference is one worker that nobody disturbs: one goroutine, everything in
// memory, the records in the order in which they are written.
func reference(ctx context.Context, tr *trafficOf, partitions int) (alerts []told, dead []engine.InvalidEvent, err error) {
	rs, err := ruleset()
	if err != nil {
		return nil, nil, err
	}
	eng := memory.New(memory.Options{
		OnAlert:      func(a *sinks.Alert) { alerts = append(alerts, told{Alert: a}) },
		OnDeadLetter: func(e engine.InvalidEvent) { dead = append(dead, e) },
	})
	w, err := pipeline.New(pipeline.Options{
		Source: &list{tr: tr, partitions: partitions, next: make([]int, partitions)}, Engine: eng, Rules: rs, Lanes: 1, Alerting: alerting.Options{SaveAll: true},
	})
	if err != nil {
		return nil, nil, err
	}
	err = w.Run(ctx)
	return alerts, dead, err
}

// list is a source over records in memory.
type list struct {
	tr         *trafficOf
	partitions int
	begun      bool
	at         int
	next       []int // offset, by partition
}

func (*list) Start(context.Context, map[string][]byte) error { return nil }
func (*list) Committed(map[string][]byte)                    {}
func (*list) Close(context.Context) error                    { return nil }

// Read yields a few records at a time, and at the end says that there are no more
// for now: only then may silence be told.
func (l *list) Read(context.Context) (*pipeline.Batch, error) {
	b := &pipeline.Batch{}
	if !l.begun {
		l.begun = true
		for p := range l.partitions {
			b.Open = append(b.Open, pipeline.PartitionTime{Partition: partitionName(p), Time: math.MinInt64})
		}
		return b, nil
	}
	if l.at > len(l.tr.records) {
		return nil, io.EOF
	}
	if l.at == len(l.tr.records) {
		l.at++
		b.Live = true
		return b, nil
	}
	var places listPlaces
	for ; l.at < len(l.tr.records) && len(b.Records) < 500; l.at++ {
		r := &l.tr.records[l.at]
		name := partitionName(int(r.partition))
		places = append(places, fmt.Sprintf("%s@%d", name, l.next[r.partition]))
		l.next[r.partition]++
		b.Records = append(b.Records, pipeline.Record{Partition: name, Payload: r.value, Index: -1})
	}
	b.Places = places
	return b, nil
}

func partitionName(p int) string { return fmt.Sprintf("%s/%d", trail, p) }

type listPlaces []string

func (listPlaces) Position(int) []byte  { return nil }
func (p listPlaces) Label(i int) string { return p[i] }
