package txn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// Options of Open. The zero value of a field is its default.
type Options struct {
	Client client.Options
	// ID is the transactional ID. Required.
	ID string
	// Timeout is after how long the broker ends a transaction by itself, and how
	// long Open and Commit try before they say that the brokers are away.
	// Default 10 s.
	Timeout time.Duration
	// MetadataMinAge is the least time between two looks at who leads what.
	// Default 250 ms, at least 10 ms.
	MetadataMinAge time.Duration
	// Compression of records: snappy (the default, which needs no large buffers for
	// the small batches of a commit), lz4, zstd or none.
	Compression string
	// MaxBytes bounds a batch, and with it a record, before compression. The topics
	// must take as much. Default 4 MiB.
	MaxBytes int
	// Log, default none.
	Log *zap.Logger
	// Aborted and Fenced, if set, are called for each transaction that was
	// aborted, and when the ID was found to be taken.
	Aborted, Fenced func()
}

// maxBatch is what the client writes to a broker at once at most.
const maxBatch = 100 << 20

// linger is for how long records wait for others if a flush does not find them.
// It does not where it comes while the client enters the partitions of a topic
// that is new to it.
const linger = 50 * time.Millisecond

// defaulted fills the defaults in and makes the client's options.
func (o *Options) defaulted() ([]kgo.Opt, error) {
	if o.ID == "" {
		return nil, errors.New("transactional ID: needed")
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MetadataMinAge <= 0 {
		o.MetadataMinAge = 250 * time.Millisecond
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 4 << 20
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	o.Log = o.Log.With(zap.String("transactional_id", o.ID))
	nothing := func() {}
	if o.Aborted == nil {
		o.Aborted = nothing
	}
	if o.Fenced == nil {
		o.Fenced = nothing
	}
	codec, err := codec(o.Compression)
	if err != nil {
		return nil, err
	}
	opts, err := o.Client.KgoOpts()
	if err != nil {
		return nil, err
	}
	// Offsets are sent by topic name, which later versions do not carry any more
	// (KIP-1319).
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), implicitOffsets)
	return append(opts,
		kgo.MaxVersions(versions),
		kgo.TransactionalID(o.ID),
		kgo.TransactionTimeout(o.Timeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(int32(min(o.MaxBytes, maxBatch))), //nolint:gosec // bounded
		kgo.ProducerLinger(linger),
		kgo.MaxBufferedRecords(1<<30),
		kgo.MetadataMinAge(o.MetadataMinAge),
		kgo.RetryTimeout(o.Timeout),
		kgo.RetryBackoffFn(backoff),
		kgo.ConcurrentTransactionsBackoff(5*time.Millisecond),
	), nil
}

func codec(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "", "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	case "none":
		return kgo.NoCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("compression: %q is none of snappy, lz4, zstd, none", name)
}

// backoff before the n-th retry, from 1: 10 ms, doubling to 640 ms, give or take
// a quarter.
func backoff(n int) time.Duration {
	d := 10 * time.Millisecond << min(max(n-1, 0), 6)
	return d*3/4 + rand.N(d/2)
}
