package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

// alertStage shares the repartition topic out among the workers: a member of
// the fleet's group, with an owner for each partition that it is given.
type alertStage struct {
	f       *Fleet
	ctx     context.Context         // of the fleet's run
	fail    context.CancelCauseFunc // ends it
	cl      *kgo.Client
	started chan struct{} // closed when all of this is set: the client calls back early
	running sync.WaitGroup

	mu     sync.Mutex
	owners map[int]*owner
	places map[int]*place          // of the owners
	last   map[int]<-chan struct{} // closed when the newest owner of a partition has let go of it
	joined bool
	// unplaced is why partitions that have not begun could not, when last tried.
	unplaced error
}

// revokeWithin is how long a partition that moves on may take for its last
// commit.
const revokeWithin = 8 * time.Second

// A fetch that brought little is followed by the next one after gather: what the
// brokers write of one transaction becomes readable partition by partition, and
// each would be a fetch of its own. fewRecords is little.
const (
	gather     = 25 * time.Millisecond
	fewRecords = maxInterval / 10
)

// newAlertStage joins the group. Partitions are owned from then on.
func newAlertStage(ctx context.Context, fail context.CancelCauseFunc, f *Fleet) (*alertStage, error) {
	a := &alertStage{f: f, ctx: ctx, fail: fail, started: make(chan struct{}), owners: make(map[int]*owner), places: make(map[int]*place), last: make(map[int]<-chan struct{})}
	opts, err := f.o.Client.KgoOpts()
	if err != nil {
		return nil, fmt.Errorf("make the alert stage's client: %w", err)
	}
	opts = append(opts,
		kgo.ConsumerGroup(f.o.Names.AlertGroup()),
		kgo.ConsumeTopics(f.o.Names.Repartition()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.SessionTimeout(f.o.SessionTimeout),
		kgo.RebalanceTimeout(max(f.o.SessionTimeout, revokeWithin+2*time.Second)), // for longer nobody is waited for
		kgo.HeartbeatInterval(min(3*time.Second, f.o.SessionTimeout/3)),
		kgo.MetadataMinAge(f.o.MetadataMinAge),
		kgo.AdjustFetchOffsetsFn(a.begin),
		kgo.OnPartitionsAssigned(a.assigned),
		kgo.OnPartitionsRevoked(a.revoked),
		kgo.OnPartitionsLost(a.lost),
	)
	if f.o.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(f.o.InstanceID))
	}
	if a.cl, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("make the alert stage's client: %w", err)
	}
	return a, nil
}

// run reads until ctx ends.
func (a *alertStage) run(ctx context.Context) {
	for {
		fetches := a.cl.PollRecords(ctx, maxInterval)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			a.cl.AllowRebalance()
			return
		}
		fetches.EachError(func(topic string, p int32, err error) {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !a.refusal(topic, p) {
				a.f.readFailed(fmt.Errorf("read %s/%d: %w", topic, p, err))
			}
		})
		n := 0
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) == 0 {
				return
			}
			n += len(p.Records)
			a.mu.Lock()
			o := a.owners[int(p.Partition)]
			a.follow(&p.FetchPartition)
			a.mu.Unlock()
			if o != nil {
				o.push(p.Records)
			}
		})
		if n > 0 {
			a.f.readFailed(nil)
		}
		a.cl.AllowRebalance()
		if n > 0 && n < fewRecords {
			rest := time.NewTimer(gather)
			select {
			case <-rest.C:
			case <-ctx.Done():
				rest.Stop()
			}
		}
	}
}

// stop gives every partition up after a last commit, and leaves the group
// unless the member is static.
func (a *alertStage) stop(within time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), within)
	defer cancel()
	a.mu.Lock()
	var all []*owner
	for _, o := range a.owners {
		all = append(all, o)
	}
	a.mu.Unlock()
	a.giveUp(ctx, all)
	closed := make(chan struct{})
	go func() { // a static member stays in the group
		defer close(closed)
		a.cl.CloseAllowingRebalance()
	}()
	select {
	case <-closed:
	case <-ctx.Done():
		a.f.log.Warn("the group of the alert stage could not be left in time; its session ends by itself")
	}
	a.running.Wait()
}

func (a *alertStage) assigned(ctx context.Context, _ *kgo.Client, got map[string][]int32) {
	select {
	case <-a.started:
	case <-ctx.Done():
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joined = true
	a.f.readFailed(nil) // whoever is given nothing reads nothing that would end the trouble
	for _, p := range got[a.f.o.Names.Repartition()] {
		o := newOwner(a, int(p))
		o.after, a.last[o.p] = a.last[o.p], o.done
		a.owners[o.p], a.places[o.p] = o, &place{}
		a.resume(o.p) // a pause outlasts the stay that it was made in
		a.running.Go(func() {
			if err := o.run(); err != nil {
				a.fail(err)
			}
		})
	}
	a.f.metrics.owned.Set(float64(len(a.owners)))
}

// revoked lets partitions go after their last commit. Those that stay go on
// meanwhile.
func (a *alertStage) revoked(ctx context.Context, _ *kgo.Client, gone map[string][]int32) {
	ctx, cancel := context.WithTimeout(ctx, revokeWithin)
	defer cancel()
	a.giveUp(ctx, a.take(gone, false))
}

// lost drops partitions that somebody else may own already.
func (a *alertStage) lost(ctx context.Context, _ *kgo.Client, gone map[string][]int32) {
	owners := a.take(gone, true)
	for _, o := range owners {
		o.release()
	}
	ctx, cancel := context.WithTimeout(ctx, revokeWithin)
	defer cancel()
	a.giveUp(ctx, owners)
}

// take finds the owners of partitions; gone: their commits must not be made.
func (a *alertStage) take(parts map[string][]int32, gone bool) (out []*owner) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range parts[a.f.o.Names.Repartition()] {
		if o := a.owners[int(p)]; o != nil {
			if gone {
				o.gone.Store(true)
			}
			out = append(out, o)
		}
	}
	return out
}

// giveUp waits until owners have committed and released their partitions, or
// takes them away when ctx ends.
func (a *alertStage) giveUp(ctx context.Context, owners []*owner) {
	for _, o := range owners {
		o.leaving()
	}
	for _, o := range owners {
		a.f.slot.remove(ctx, o.p)
		select {
		case <-o.done:
		case <-ctx.Done():
			o.gone.Store(true)
			o.release()
			a.f.log.Warn("a partition is given up before its last commit; its records are read again", zap.Int("partition", o.p))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range owners {
		if a.owners[o.p] == o {
			delete(a.owners, o.p)
			delete(a.places, o.p)
		}
		a.f.metrics.drop(o.p)
	}
	a.f.metrics.owned.Set(float64(len(a.owners)))
}

// offsets are what a transaction of partition p commits to the group, under the
// membership at hand; nil if the partition is not ours. The membership is read
// first: if the partition is lost after the look, the broker refuses it.
func (a *alertStage) offsets(p int, positions map[string][]byte) *txn.Offsets {
	member, generation := a.cl.GroupMetadata()
	a.mu.Lock()
	o := a.owners[p]
	a.mu.Unlock()
	if o == nil || o.gone.Load() || member == "" {
		return nil
	}
	out := &txn.Offsets{
		Group: a.f.o.Names.AlertGroup(), Member: member, Instance: a.f.o.InstanceID, Generation: generation,
	}
	at, err := enginekafka.ParsePosition(positions[o.name])
	if err != nil {
		return nil
	}
	out.Add(a.f.o.Names.Repartition(), int32(p), txn.Offset{Offset: at, Epoch: -1}) //nolint:gosec // a count of partitions
	return out
}

// confirmed asks the broker whether the member is still what it believes to be.
func (a *alertStage) confirmed(ctx context.Context) bool {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group = a.f.o.Names.AlertGroup()
	req.MemberID, req.Generation = a.cl.GroupMetadata()
	if a.f.o.InstanceID != "" {
		req.InstanceID = &a.f.o.InstanceID
	}
	resp, err := req.RequestWith(ctx, a.cl)
	return err == nil && req.MemberID != "" && resp.ErrorCode == 0
}

// committed is the group's offset of partition p, once no transaction is open
// that may change it; 0: there is none.
func (a *alertStage) committed(ctx context.Context, p int) (int64, error) {
	found, err := a.groupOffsets(ctx, int32(p)) //nolint:gosec // a count of partitions
	if err != nil {
		return 0, fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	return max(found[int32(p)], 0), nil //nolint:gosec // likewise
}

func (a *alertStage) pause(p int) {
	a.cl.PauseFetchPartitions(map[string][]int32{a.f.o.Names.Repartition(): {int32(p)}}) //nolint:gosec // a count of partitions
}

func (a *alertStage) resume(p int) {
	a.cl.ResumeFetchPartitions(map[string][]int32{a.f.o.Names.Repartition(): {int32(p)}}) //nolint:gosec // a count of partitions
}

// ready answers nil when the partitions that this worker has are restored.
func (a *alertStage) ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.joined {
		return errors.New("starting: not yet a member of the fleet")
	}
	if err := a.placed(); err != nil {
		return err
	}
	restoring := 0
	for _, o := range a.owners {
		if o.state.Load() == nil {
			restoring++
		}
	}
	if restoring > 0 {
		return fmt.Errorf("window state of %d of %d partitions is being restored", restoring, len(a.owners))
	}
	return nil
}
