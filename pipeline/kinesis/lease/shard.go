package lease

import "strings"

// What a lease's checkpoint may say instead of a sequence number; the words
// are the KCL's.
const (
	TrimHorizon = "TRIM_HORIZON"
	Latest      = "LATEST"
	AtTimestamp = "AT_TIMESTAMP" // which time, the source's options say
	ShardEnd    = "SHARD_END"
)

// Checkpoint is a place in a shard: all up to and including it is done.
type Checkpoint struct {
	// Sequence is a Kinesis sequence number (decimal digits), or one of the words above.
	Sequence string
	// SubSequence is the index inside a KPL-aggregated record; 0 otherwise.
	SubSequence int64
}

// Sentinel tells whether the checkpoint is a word: nothing was read yet, or
// all of it (ShardEnd).
func (c Checkpoint) Sentinel() bool {
	return c.Sequence == "" || c.Sequence[0] < '0' || c.Sequence[0] > '9'
}

// before orders sequence numbers: decimal, without leading zeros.
func (c Checkpoint) before(d Checkpoint) bool {
	if c.Sequence != d.Sequence {
		return lessDecimal(c.Sequence, d.Sequence)
	}
	return c.SubSequence < d.SubSequence
}

func lessDecimal(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// Shard is a shard as ListShards (or the ChildShards of GetRecords) has it.
type Shard struct {
	ID string
	// Parents are ParentShardId and AdjacentParentShardId, without empty ones.
	Parents []string
	// StartingHashKey and EndingHashKey are decimal, both inclusive.
	StartingHashKey, EndingHashKey string
	// Closed: the shard has an ending sequence number. It is read to its end all the same.
	Closed bool
}

// Listing is a stream with all shards that ListShards told, in any order,
// repeated ones allowed. An incomplete one must not be passed.
type Listing struct {
	// Stream is "" for a table of one stream (lease key = shard ID), or
	// "account:stream:creationEpoch" (lease key = that + ":" + shard ID).
	Stream string
	// Name is "account:stream", and Created when the stream was made (Unix
	// milliseconds). By both the leases of a stream that was deleted and made
	// again are told from those before. Without them none are.
	Name    string
	Created int64
	// Start is where shards begin that have no leased ancestor: TrimHorizon
	// (default), Latest (then closed ones are left out) or AtTimestamp.
	Start string
	// AsOf is when the stream was listed, by the service's clock, in Unix
	// milliseconds: what Latest means for leases that are made. 0: unknown.
	AsOf   int64
	Shards []Shard
}

func leaseKey(stream, shard string) string {
	if stream == "" {
		return shard
	}
	return stream + ":" + shard
}

// splitKey undoes leaseKey: shard IDs have no colon.
func splitKey(key string) (stream, shard string) {
	i := strings.LastIndexByte(key, ':')
	if i < 0 {
		return "", key
	}
	return key[:i], key[i+1:]
}
