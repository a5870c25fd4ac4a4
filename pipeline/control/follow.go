package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// pause comes before the next try of a store that fails.
const pause = time.Second

// Follower keeps a Book up to date while Run is running.
type Follower struct {
	Book
	log    *zap.Logger
	loaded chan struct{}
	run    func(ctx context.Context) error
}

// Loaded is closed once the Book holds everything that was said before Run
// began: delivery should wait for it.
func (f *Follower) Loaded() <-chan struct{} { return f.loaded }

// Run follows until ctx ends, and answers nil then. While the store fails it
// waits and says so once; the Book keeps what it holds. Call it once.
func (f *Follower) Run(ctx context.Context) error {
	for told := false; ctx.Err() == nil; {
		err := f.run(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // asked to stop
		}
		if !told {
			f.log.Error("what people say to alerts cannot be read; what was said before stays in force", zap.Error(err))
		}
		told = err != nil
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return nil
}

func (f *Follower) ready() {
	select {
	case <-f.loaded:
	default:
		close(f.loaded)
	}
}

// Read answers the records after a number, oldest first, and the newest
// record's number: sqlite.Reader.Controls.
type Read func(ctx context.Context, after int64) (records []*Record, last int64, err error)

// FollowFile follows the records of a state file by looking each second.
func FollowFile(read Read, log *zap.Logger) *Follower {
	if log == nil {
		log = zap.NewNop()
	}
	f := &Follower{log: log, loaded: make(chan struct{})}
	var after int64
	f.run = func(ctx context.Context) error {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			records, last, err := read(ctx, after)
			if err != nil {
				return err
			}
			for _, r := range records {
				f.Put(r)
			}
			after = last
			f.ready()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return f
}

// Options of Follow and Send.
type Options struct {
	Client client.Options
	Topic  string // the control topic
	// MetadataMinAge is the least time between two looks at who leads what.
	// Default the client's.
	MetadataMinAge time.Duration
	Log            *zap.Logger // default none
}

func (o *Options) connect(opts ...kgo.Opt) (*kgo.Client, error) {
	base, err := o.Client.KgoOpts()
	if err != nil {
		return nil, err
	}
	if o.MetadataMinAge > 0 {
		base = append(base, kgo.MetadataMinAge(o.MetadataMinAge))
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka client: %w", err)
	}
	return cl, nil
}

// Follow follows the control topic of a fleet, all partitions from their
// starts: it is compacted, and every worker needs all of it. It opens no
// connection before Run.
func Follow(o Options) (*Follower, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Topic == "" {
		return nil, errors.New("control topic: a name is needed")
	}
	if err := o.Client.Validate(); err != nil {
		return nil, err
	}
	f := &Follower{log: o.Log, loaded: make(chan struct{})}
	f.run = func(ctx context.Context) error { return f.topic(ctx, &o) }
	return f, nil
}

func (f *Follower) topic(ctx context.Context, o *Options) error {
	cl, err := o.connect(kgo.ConsumeTopics(o.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer cl.Close()
	left, err := ends(ctx, kadm.NewClient(cl), o.Topic)
	if err != nil {
		return err
	}
	for {
		if len(left) == 0 {
			f.ready()
		}
		fetches := cl.PollRecords(ctx, 1000)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s: %w", o.Topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			f.take(r)
			if end, ok := left[r.Partition]; ok && r.Offset >= end-1 {
				delete(left, r.Partition)
			}
		})
	}
}

// ends are the ends of the partitions that hold something.
func ends(ctx context.Context, adm *kadm.Client, topic string) (map[int32]int64, error) {
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("find the start of %s: %w", topic, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("find the end of %s: %w", topic, err)
	}
	left := map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(topic, end.Partition); ok && start.Offset < end.Offset {
			left[end.Partition] = end.Offset
		}
	})
	return left, nil
}

func (f *Follower) take(r *kgo.Record) {
	switch {
	case r.Attrs.IsControl():
	case r.Value == nil:
		f.Delete(string(r.Key))
	default:
		c, err := Parse(r.Value)
		if err != nil {
			f.log.Error("what was said about an alert cannot be read", zap.String("key", string(r.Key)), zap.Error(err))
			return
		}
		f.Put(c)
	}
}

// Send writes a record to the control topic and returns when all replicas have it.
func Send(ctx context.Context, o Options, r *Record) error {
	value, err := r.Append(nil)
	if err != nil {
		return err
	}
	cl, err := o.connect()
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: o.Topic, Key: []byte(r.Key()), Value: value}).FirstErr(); err != nil {
		return fmt.Errorf("write to %s: %w", o.Topic, err)
	}
	return nil
}
