package fleet

import (
	"context"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/window"
)

// snapshot is what a partition's state was at its last commit.
type snapshot struct {
	watermark  int64
	windows    window.Stats
	remembered int
}

// losses are what the windows' bounds have cost.
type losses struct{ evicted, refused int64 }

// show tells the metrics what the partition's state is.
func (o *owner) show() {
	s := &snapshot{watermark: o.stage.Watermark(), windows: o.stage.Windows(), remembered: o.stage.Remembered()}
	o.state.Store(s)
	o.a.f.metrics.partition(o.p, s)
	now := losses{s.windows.Evictions, s.windows.Refused}
	o.a.show(losses{now.evicted - o.told.evicted, now.refused - o.told.refused})
	o.told = now
}

// show tells the worker's metrics what all its partitions hold.
func (a *alertStage) show(more losses) {
	sum := &totals{snapshot{watermark: math.MinInt64}}
	a.mu.Lock()
	for _, o := range a.owners {
		if s := o.state.Load(); s != nil {
			sum.add(s)
		}
	}
	a.mu.Unlock()
	a.f.mu.Lock()
	defer a.f.mu.Unlock()
	a.f.lost.evicted += more.evicted
	a.f.lost.refused += more.refused
	sum.windows.Evictions, sum.windows.Refused = a.f.lost.evicted, a.f.lost.refused
	a.f.worker.RecordState(sum)
}

// totals are the sum of partitions, and the least of their watermarks.
type totals struct{ snapshot }

func (t *totals) add(s *snapshot) {
	if t.watermark == math.MinInt64 || s.watermark != math.MinInt64 && s.watermark < t.watermark {
		t.watermark = s.watermark
	}
	t.windows.Keys += s.windows.Keys
	t.windows.Members += s.windows.Members
	t.windows.Bytes += s.windows.Bytes
	t.windows.Conflicts += s.windows.Conflicts
	t.remembered += s.remembered
}

func (t *totals) Watermark() int64      { return t.watermark }
func (t *totals) Windows() window.Stats { return t.windows }
func (t *totals) Remembered() int       { return t.remembered }

var _ pipeline.State = (*totals)(nil)

// lagEvery is how often the ends of the repartition topic are asked for.
const lagEvery = 2 * time.Second

// watchLag shows how far the owners are behind, until ctx ends.
func (a *alertStage) watchLag(ctx context.Context) {
	adm := kadm.NewClient(a.f.admin)
	topic := a.f.o.Names.Repartition()
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ends, err := adm.ListEndOffsets(ctx, topic)
		if err != nil {
			continue // what cannot be reached is told by those who read and commit
		}
		a.mu.Lock()
		for p, o := range a.owners {
			end, ok := ends.Lookup(topic, int32(p)) //nolint:gosec // a count of partitions
			if reached := o.reached.Load(); ok && end.Err == nil && reached > 0 {
				a.f.metrics.lag(p, end.Offset-reached)
			}
		}
		a.mu.Unlock()
	}
}
