package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// Restore implements engine.Engine. It blocks until the partition's changelog
// is read or ctx ends. The old owner is fenced first and its open transaction
// ended; only then is it asked where the changelog ends, so that nothing before
// that end is undecided and nothing can come behind it.
func (e *Engine) Restore(ctx context.Context, p int, each func(t engine.Table, key, value []byte) error) error {
	if err := e.Release(ctx, p); err != nil {
		return err
	}
	part := e.parts[p]
	part.mu.Lock()
	defer part.mu.Unlock()
	if e.closed.Load() {
		return errClosed
	}
	producer, err := txn.Open(ctx, txn.Options{
		Client: e.o.Client, ID: fmt.Sprintf("%s-%d", e.o.Names.AlertGroup(), p),
		Timeout: e.o.Timeout, MetadataMinAge: e.o.MetadataMinAge, Log: e.o.Log,
		Aborted: e.m.aborts.Inc, Fenced: e.m.fenced.Inc,
	})
	if err != nil {
		return fmt.Errorf("restore state of partition %d: %w", p, err)
	}
	if err := e.restore(ctx, part, each); err != nil {
		producer.Close()
		part.evidence, part.layout = entries{}, false
		return fmt.Errorf("restore state of partition %d: %w", p, err)
	}
	part.producer = producer
	return nil
}

func (e *Engine) restore(ctx context.Context, part *part, each func(t engine.Table, key, value []byte) error) error {
	begun := time.Now()
	select {
	case e.restoring <- struct{}{}:
		defer func() { <-e.restoring }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var (
		state entries
		bytes int
	)
	part.evidence, part.layout = entries{}, false
	topic := e.o.Names.Changelog()
	what := fmt.Sprintf("%s/%d", topic, part.p)
	err := readAll(ctx, e.opts, topic, part.p, func(r *kgo.Record) error {
		bytes += len(r.Key) + len(r.Value)
		if len(r.Key) == 0 {
			return fmt.Errorf("%s/%d@%d has no key: it was not written by this program", topic, part.p, r.Offset)
		}
		into := &state
		if engine.Table(r.Key[0]) == engine.Evidence {
			into = &part.evidence
		}
		if r.Value == nil {
			into.delete(r.Key)
			return nil
		}
		value, err := unversion(what, r.Value)
		if err != nil {
			return err
		}
		into.put(r.Key, value)
		return nil
	})
	if err != nil {
		return err
	}
	if layout := state.get(layoutKey); layout != nil {
		if err := checkLayout(layout, topic, e.o.Partitions); err != nil {
			return err
		}
		part.layout = true
	}
	read, n := time.Since(begun), 0
	for key, value := range state.all() {
		if engine.Table(key[0]) == own || each == nil {
			continue
		}
		n++
		if err := each(engine.Table(key[0]), key[1:], value); err != nil {
			return err
		}
	}
	e.m.restore.Observe(time.Since(begun).Seconds())
	e.m.restoreRate.Set(float64(bytes) / max(read.Seconds(), 1e-6))
	e.m.restored.Add(float64(n + part.evidence.len()))
	e.o.Log.Info("restored", zap.Int32("partition", part.p), zap.Int("entries", n), zap.Int("evidence", part.evidence.len()),
		zap.Int("bytes", bytes), zap.Duration("read", read), zap.Duration("took", time.Since(begun)))
	return nil
}

// ReadPositions reads the positions topic: source partition → position. What
// other workers are committing at this moment is waited for.
func ReadPositions(ctx context.Context, o client.Options, names topics.Names, extra ...kgo.Opt) (map[string][]byte, error) {
	opts, err := o.KgoOpts()
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	positions, err := readPositions(ctx, append(opts, extra...), names.Positions())
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	return positions, nil
}

func readPositions(ctx context.Context, opts []kgo.Opt, topic string) (map[string][]byte, error) {
	positions := map[string][]byte{}
	return positions, readAll(ctx, opts, topic, 0, func(r *kgo.Record) error {
		if r.Value == nil {
			delete(positions, string(r.Key))
			return nil
		}
		position, err := unversion(topic, r.Value)
		if err != nil {
			return err
		}
		positions[string(r.Key)] = slices.Clone(position)
		return nil
	})
}

// fetchBytes is how much of a log is fetched at once, compressed.
const fetchBytes = 1 << 20

// readAll calls each for every committed record of a partition, up to where it
// ends now. Markers are read too: the end of the log may be one, and it tells
// that all before it has been seen. The segment that a partition ends with is
// never compacted, so that its last offset is always there.
func readAll(ctx context.Context, opts []kgo.Opt, topic string, p int32, each func(*kgo.Record) error) error {
	away := func(err error) error {
		if ctx.Err() != nil {
			return fmt.Errorf("read %s/%d: %w", topic, p, ctx.Err())
		}
		return fmt.Errorf("%w: read %s/%d: %w", engine.ErrUnavailable, topic, p, err)
	}
	cl, err := kgo.NewClient(append(slices.Clone(opts),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {p: kgo.NewOffset().AtStart()}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		// A fetch in hand and one on its way, each many times as large in memory.
		kgo.FetchMaxWait(100*time.Millisecond), kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(fetchBytes),
	)...)
	if err != nil {
		return fmt.Errorf("read %s/%d: %w", topic, p, err)
	}
	defer cl.Close()
	start, end, err := bounds(ctx, cl, topic, p)
	if err != nil {
		return away(err)
	}
	for next := start; next < end; {
		fetches := cl.PollFetches(ctx)
		for _, f := range fetches.Errors() {
			return away(f.Err)
		}
		for it := fetches.RecordIter(); !it.Done() && next < end; {
			r := it.Next()
			next = r.Offset + 1
			if r.Attrs.IsControl() || r.Offset >= end {
				continue
			}
			if err := each(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// bounds are the first offset of a partition and its high watermark.
func bounds(ctx context.Context, cl *kgo.Client, topic string, p int32) (start, end int64, err error) {
	admin := kadm.NewClient(cl)
	one := func(list func(context.Context, ...string) (kadm.ListedOffsets, error)) (int64, error) {
		listed, err := list(ctx, topic)
		if err != nil {
			return 0, err
		}
		o, ok := listed.Lookup(topic, p)
		if !ok {
			return 0, errors.New("there is no such partition")
		}
		return o.Offset, o.Err
	}
	if end, err = one(admin.ListEndOffsets); err != nil {
		return 0, 0, fmt.Errorf("end of the log: %w", err)
	}
	if start, err = one(admin.ListStartOffsets); err != nil {
		return 0, 0, fmt.Errorf("start of the log: %w", err)
	}
	return start, end, nil
}
