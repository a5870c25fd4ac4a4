package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/engine"
)

// owner is the alert stage of one repartition partition, for as long as the
// partition is this worker's. Its goroutine restores the state, applies records
// in order and commits them in intervals.
type owner struct {
	a    *alertStage
	p    int
	name string // of the partition, as the engine knows its position
	log  *zap.Logger

	hold    context.Context // ends when the partition is not ours any more
	release context.CancelFunc
	leave   context.Context // ends when it is to be given up after a last commit
	leaving context.CancelFunc
	done    chan struct{}
	after   <-chan struct{} // closed when an owner before has let go of the partition; nil: there was none
	gone    atomic.Bool     // the group has taken it away: nothing may be committed

	mu     sync.Mutex
	queue  [][]*kgo.Record
	queued int // records
	bytes  int // of their values
	paused bool
	wake   chan struct{}

	// of its goroutine
	stage    *alerting.Stage
	times    *sourceTimes
	interval []step
	held     int   // bytes of the interval's records
	next     int64 // offset after the last applied record
	open     bool
	flushed  bool // the open transaction has all of the interval's changes
	opened   time.Time
	matches  bool // the interval has more than time markers
	wait     backoff

	state   atomic.Pointer[snapshot] // for metrics; nil: restoring
	reached atomic.Int64             // offset after the last record that was taken; 0: none yet
	told    losses                   // of the stage at hand, as far as they are counted
}

const (
	// highWater and highBytes are how much is queued before the reading of a
	// partition stops, lowWater and lowBytes what lets it go on.
	highWater = 20_000
	lowWater  = 5_000
	highBytes = 16 << 20
	lowBytes  = 4 << 20
	// maxInterval is how many records a commit covers at most, maxHeld how many
	// bytes, but for the last record.
	maxInterval = 10_000
	maxHeld     = 8 << 20
	// markersEvery is the longest interval with nothing but time markers.
	markersEvery = time.Second
)

func newOwner(a *alertStage, p int) *owner {
	o := &owner{
		a: a, p: p, name: a.f.o.Names.Repartition() + "/" + strconv.Itoa(p), log: a.f.log.With(zap.Int("partition", p)),
		done: make(chan struct{}), wake: make(chan struct{}, 1), times: newSourceTimes(),
	}
	o.hold, o.release = context.WithCancel(context.WithoutCancel(a.ctx))
	o.leave, o.leaving = context.WithCancel(o.hold)
	return o
}

// push queues records that were read.
func (o *owner) push(records []*kgo.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, records)
	o.count(records, 1)
	if !o.paused && (o.queued > highWater || o.bytes > highBytes) {
		o.paused = true
		o.a.pause(o.p)
	}
	o.rouse()
}

// count adds records to what is queued, or takes them out of it. The caller holds mu.
func (o *owner) count(records []*kgo.Record, sign int) {
	o.queued += sign * len(records)
	for _, r := range records {
		o.bytes += sign * len(r.Value)
	}
}

// rouse has the owner's goroutine look at the queue.
func (o *owner) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// unpop puts records that were not applied back to where they were.
func (o *owner) unpop(records []*kgo.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = slices.Insert(o.queue, 0, records)
	o.count(records, 1)
}

// pop takes the oldest queued records, nil if there are none.
func (o *owner) pop() []*kgo.Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return nil
	}
	records := o.queue[0]
	o.queue[0] = nil
	o.queue = o.queue[1:]
	o.count(records, -1)
	if o.paused && o.queued < lowWater && o.bytes < lowBytes {
		o.paused = false
		o.a.resume(o.p)
	}
	return records
}

// run works until the partition is given up. An error is for good.
func (o *owner) run() error {
	defer close(o.done)
	defer o.release()
	if o.after != nil { // it would let go of what this one takes
		select {
		case <-o.after:
		case <-o.leave.Done():
			return nil
		}
	}
	if n := o.a.f.o.Partitions; o.p >= n {
		return fmt.Errorf("topic %s has a partition %d, and %d partitions are configured: matches of a key would be counted in two places; "+
			"either configure the number that the topic was made with, or begin a new set of topics under another prefix", o.a.f.o.Names.Repartition(), o.p, n)
	}
	for {
		err := o.work()
		if releaseErr := o.a.f.engine.Release(context.WithoutCancel(o.hold), o.p); releaseErr != nil {
			o.log.Debug("release", zap.Error(releaseErr))
		}
		switch {
		case err == nil || o.hold.Err() != nil:
			return nil
		case !errors.Is(err, engine.ErrFenced):
			return fmt.Errorf("repartition partition %d: %w", o.p, err)
		}
		o.log.Info("the partition's transactional ID was taken", zap.Error(err))
		if !o.stillOurs() {
			return nil
		}
		o.log.Warn("the group counts the partition as ours all the same; it is taken over anew")
		o.stage, o.open = nil, false
		o.state.Store(nil)
	}
}

// stillOurs waits until the broker confirms the membership, or the partition is
// given up: a worker that was put out, and has not heard of it, must not take
// the ID from who has the partition now.
func (o *owner) stillOurs() bool {
	var wait backoff
	for {
		if err := wait.pause(o.leave); err != nil {
			return false
		}
		if o.a.confirmed(o.leave) && o.leave.Err() == nil {
			return true
		}
	}
}

func (o *owner) work() error {
	if err := o.restore(); err != nil || o.stage == nil {
		return err
	}
	if o.next > 0 {
		if err := o.resume(); err != nil {
			return err
		}
	}
	o.rouse() // for what was queued meanwhile
	tick := time.NewTicker(o.a.f.o.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case <-o.hold.Done():
			return nil
		case <-o.leave.Done():
			return o.commit()
		case <-o.wake:
			if err := o.drain(); err != nil {
				return err
			}
		case <-tick.C:
			if o.open && (o.matches || o.a.f.o.Now().Sub(o.opened) >= markersEvery) {
				if err := o.commit(); err != nil {
					return err
				}
			}
		}
	}
}

// restore takes the state over. It is tried until it is there, or the partition
// is to be given up again: nobody else may have it meanwhile.
func (o *owner) restore() error {
	started := o.a.f.o.Now()
	said := false
	for {
		err := o.a.f.fenceSlot(o.leave, o.p)
		var stage *alerting.Stage
		if err == nil {
			stage, err = alerting.Open(o.leave, o.a.f.engine, o.p, o.a.f.alerting())
		}
		var times *sourceTimes
		if err == nil {
			times, err = loadSourceTimes(stage.Note())
		}
		if err == nil {
			o.stage, o.times, o.told = stage, times, losses{}
			stage.Resume()
			o.a.f.slot.add(o.p)
			o.show()
			took := o.a.f.o.Now().Sub(started)
			o.a.f.metrics.restored.Observe(took.Seconds())
			o.log.Info("partition taken over", zap.Int("window_keys", stage.Windows().Keys), zap.Duration("took", took))
			return nil
		}
		if o.leave.Err() != nil {
			return nil //nolint:nilerr // given up meanwhile
		}
		if !errors.Is(err, engine.ErrUnavailable) && !errors.Is(err, engine.ErrFenced) {
			return err
		}
		if !said {
			said = true
			o.log.Warn("the partition's state cannot be restored yet; trying on", zap.Error(err))
		}
		if err := o.wait.pause(o.leave); err != nil {
			return nil //nolint:nilerr // given up meanwhile
		}
	}
}

// resume goes on after the state was restored in the middle of a stay: what was
// applied and is not durable is applied again.
func (o *owner) resume() error {
	var at int64
	err := o.retry("read the group's offset", func() (err error) {
		at, err = o.a.committed(o.hold, o.p)
		return err
	})
	if err != nil {
		return err
	}
	o.next = max(o.next, at)
	o.interval = slices.DeleteFunc(o.interval, func(st step) bool { return st.offset < at })
	o.matches = false
	if len(o.interval) == 0 {
		return nil
	}
	if err := o.begin(); err != nil {
		return err
	}
	for i := range o.interval {
		o.apply(&o.interval[i])
	}
	return nil
}
