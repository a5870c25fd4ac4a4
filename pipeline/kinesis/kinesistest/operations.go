package kinesistest

import (
	"encoding/json"
	"fmt"
	"time"
)

// operations are what the server answers, by name.
var operations = map[string]operation{
	"CreateStream":                  handle((*Server).createStream),
	"DeleteStream":                  handle((*Server).deleteStream),
	"DescribeStream":                handle((*Server).describeStream),
	"DescribeStreamSummary":         handle((*Server).describeStreamSummary),
	"DescribeLimits":                handle((*Server).describeLimits),
	"ListStreams":                   handle((*Server).listStreams),
	"ListShards":                    handle((*Server).listShards),
	"RegisterStreamConsumer":        handle((*Server).registerStreamConsumer),
	"DeregisterStreamConsumer":      handle((*Server).deregisterStreamConsumer),
	"DescribeStreamConsumer":        handle((*Server).describeStreamConsumer),
	"ListStreamConsumers":           handle((*Server).listStreamConsumers),
	"SubscribeToShard":              handle((*Server).subscribeToShard),
	"SplitShard":                    handle((*Server).splitShard),
	"MergeShards":                   handle((*Server).mergeShards),
	"UpdateShardCount":              handle((*Server).updateShardCount),
	"UpdateStreamMode":              handle((*Server).updateStreamMode),
	"UpdateMaxRecordSize":           handle((*Server).updateMaxRecordSize),
	"IncreaseStreamRetentionPeriod": handle((*Server).increaseRetention),
	"DecreaseStreamRetentionPeriod": handle((*Server).decreaseRetention),
	"PutRecord":                     handle((*Server).putRecord),
	"PutRecords":                    putRecords,
	"GetShardIterator":              handle((*Server).getShardIterator),
	"GetRecords":                    handle((*Server).getRecords),
}

// request is the input of most operations; each reads its own fields.
type request struct {
	StreamName, StreamARN string

	// CreateStream, UpdateShardCount, UpdateStreamMode, retention, UpdateMaxRecordSize
	ShardCount, TargetShardCount int
	ScalingType                  string
	StreamModeDetails            *modeJSON
	RetentionPeriodHours         int
	MaxRecordSizeInKiB           int

	// paging
	Limit, MaxResults        int
	NextToken                string
	ExclusiveStartStreamName string
	ExclusiveStartShardID    string `json:"ExclusiveStartShardId"`
	ShardFilter              *shardFilter
	EnforceConsumerDeletion  bool

	// records
	PartitionKey, ExplicitHashKey string
	Data                          []byte
	SequenceNumberForOrdering     string
	ShardID                       string `json:"ShardId"`
	ShardIteratorType             string
	StartingSequenceNumber        string
	Timestamp                     *float64
	ShardIterator                 string

	// reshaping
	ShardToSplit, NewStartingHashKey   string
	ShardToMerge, AdjacentShardToMerge string

	// fan-out
	ConsumerName, ConsumerARN string
	StartingPosition          *startingPosition

	plan *plan
}

type modeJSON struct{ StreamMode string }

type shardFilter struct {
	Type      string
	ShardID   string `json:"ShardId"`
	Timestamp *float64
}

type startingPosition struct {
	Type           string
	SequenceNumber string
	Timestamp      *float64
}

type hashRangeJSON struct{ StartingHashKey, EndingHashKey string }

type sequenceRangeJSON struct {
	StartingSequenceNumber string
	EndingSequenceNumber   string `json:",omitempty"`
}

type shardJSON struct {
	ShardID               string `json:"ShardId"`
	ParentShardID         string `json:"ParentShardId,omitempty"`
	AdjacentParentShardID string `json:"AdjacentParentShardId,omitempty"`
	HashKeyRange          hashRangeJSON
	SequenceNumberRange   sequenceRangeJSON
}

type childJSON struct {
	ShardID      string `json:"ShardId"`
	ParentShards []string
	HashKeyRange hashRangeJSON
}

// handle makes an operation of a method that reads a request.
func handle(method func(*Server, *request) (any, error)) operation {
	return func(s *Server, body []byte) (target, func(*plan) (any, error), error) {
		in := &request{}
		if err := json.Unmarshal(body, in); err != nil {
			return target{}, nil, fmt.Errorf("reading the input: %w", err)
		}
		return s.target(in), func(p *plan) (any, error) {
			in.plan = p
			return method(s, in)
		}, nil
	}
}

// target is what a request is about: an iterator names its shard.
func (s *Server) target(in *request) target {
	t := target{stream: in.StreamName, shard: in.ShardID}
	switch {
	case in.ShardIterator != "":
		if it, err := parseIterator(in.ShardIterator); err == nil {
			t.stream, t.shard = it.stream, it.shard
		}
	case in.StreamARN != "":
		t.stream = nameOfARN(in.StreamARN)
	case in.ConsumerARN != "":
		t.stream = nameOfARN(in.ConsumerARN)
	case in.ShardToSplit != "":
		t.shard = in.ShardToSplit
	case in.ShardToMerge != "":
		t.shard = in.ShardToMerge
	}
	return t
}

// find answers the stream that a request names, by name or ARN. With s.mu held.
func (s *Server) find(name, arn string) (*stream, error) {
	if arn != "" {
		byARN := nameOfARN(arn)
		if byARN == "" || name != "" && name != byARN {
			return nil, invalidf("no stream has name %q and ARN %q", name, arn)
		}
		name = byARN
	}
	if name == "" {
		return nil, invalidf("StreamName or StreamARN is required")
	}
	st := s.streams[name]
	if st == nil || s.gone(st) || arn != "" && arn != st.arn {
		return nil, apiErrorf(ErrResourceNotFound, "Stream %s under account %s not found.", name, s.opts.Account)
	}
	return st, nil
}

// gone says whether a stream's deletion is over.
func (s *Server) gone(st *stream) bool {
	return st.status == statusDeleting && !s.now().Before(st.ready)
}

// findShard answers a stream's shard. With s.mu held.
func (s *Server) findShard(st *stream, id string) (*shard, error) {
	sh := st.shard(id)
	if sh == nil || s.expired(sh) {
		return nil, apiErrorf(ErrResourceNotFound, "Could not find shard %s in stream %s under account %s.", id, st.name, s.opts.Account)
	}
	return sh, nil
}

// active answers a stream that may be changed. With s.mu held.
func (s *Server) active(name, arn string) (*stream, error) {
	st, err := s.find(name, arn)
	if err != nil {
		return nil, err
	}
	if status := st.statusAt(s.now()); status != statusActive {
		return nil, apiErrorf(ErrResourceInUse, "Stream %s under account %s not ACTIVE, instead in state %s", st.name, s.opts.Account, status)
	}
	return st, nil
}

// expired says whether a closed shard's records have all gone by retention.
func (s *Server) expired(sh *shard) bool {
	return !sh.closed.IsZero() && s.now().Sub(sh.closed) > sh.stream.retention
}

// stamp is a time on the wire: seconds of the Unix epoch to the millisecond.
func stamp(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
