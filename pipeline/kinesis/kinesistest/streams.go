package kinesistest

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

func (s *Server) createStream(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !streamName.MatchString(in.StreamName) {
		return nil, apiErrorf(ErrValidation, "StreamName %q is no name of a stream", in.StreamName)
	}
	if _, err := s.find(in.StreamName, ""); err == nil {
		return nil, apiErrorf(ErrResourceInUse, "Stream %s under account %s already exists.", in.StreamName, s.opts.Account)
	}
	if old := s.streams[in.StreamName]; old != nil {
		s.forget(old)
	}
	mode, count := modeProvisioned, in.ShardCount
	if in.StreamModeDetails != nil && in.StreamModeDetails.StreamMode == modeOnDemand {
		mode, count = modeOnDemand, 4
		if in.ShardCount != 0 {
			return nil, invalidf("ShardCount goes with PROVISIONED streams only")
		}
	}
	if count < 1 || count > 100_000 {
		return nil, invalidf("ShardCount must be at least 1")
	}
	now := s.now()
	s.serial++
	st := &stream{
		name: in.StreamName, arn: streamARN(s.opts.Region, s.opts.Account, in.StreamName), serial: s.serial,
		created: now, mode: mode, retention: s.opts.Retention, maxRecord: or(in.MaxRecordSizeInKiB<<10, s.opts.MaxRecord),
		floor: s.epochs[in.StreamName], consumers: make(map[string]*consumer), status: statusCreating, ready: now.Add(s.opts.StatusDelay),
	}
	starts := uniform(count)
	for i, from := range starts {
		to := maxHash
		if i+1 < count {
			to = starts[i+1].prev()
		}
		st.addShard(from, to, now)
	}
	s.streams[st.name] = st
	return nil, nil
}

func (s *Server) deleteStream(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if len(st.consumers) > 0 && !in.EnforceConsumerDeletion {
		return nil, apiErrorf(ErrResourceInUse, "Stream %s has %d registered consumers", st.name, len(st.consumers))
	}
	st.status, st.ready = statusDeleting, s.now().Add(s.opts.StatusDelay)
	for _, c := range st.consumers {
		c.end(ErrResourceNotFound)
	}
	if s.opts.StatusDelay <= 0 {
		s.forget(st)
	}
	return nil, nil
}

// forget takes a deleted stream off the books. With s.mu held.
func (s *Server) forget(st *stream) {
	delete(s.streams, st.name)
	for _, sh := range st.shards {
		s.epochs[st.name] = max(s.epochs[st.name], sh.epoch)
	}
}

type enhancedMonitoring struct{ ShardLevelMetrics []string }

type streamDescription struct {
	StreamName, StreamARN, StreamStatus string
	StreamModeDetails                   modeJSON
	StreamCreationTimestamp             float64
	RetentionPeriodHours                int
	EncryptionType                      string
	EnhancedMonitoring                  []enhancedMonitoring

	// DescribeStream
	Shards        []shardJSON `json:",omitempty"`
	HasMoreShards *bool       `json:",omitempty"`

	// DescribeStreamSummary
	OpenShardCount     int  `json:",omitempty"`
	ConsumerCount      *int `json:",omitempty"`
	MaxRecordSizeInKiB int  `json:",omitempty"`
}

func (s *Server) describe(st *stream) *streamDescription {
	return &streamDescription{
		StreamName: st.name, StreamARN: st.arn, StreamStatus: st.statusAt(s.now()),
		StreamModeDetails: modeJSON{st.mode}, StreamCreationTimestamp: stamp(st.created),
		RetentionPeriodHours: int(st.retention / time.Hour), EncryptionType: "NONE",
		EnhancedMonitoring: []enhancedMonitoring{{[]string{}}},
	}
}

func (s *Server) describeStream(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	d := s.describe(st)
	limit, more := or(in.Limit, 100), false
	for _, sh := range st.shards {
		if s.expired(sh) || sh.id <= in.ExclusiveStartShardID {
			continue
		}
		if len(d.Shards) == limit {
			more = true
			break
		}
		d.Shards = append(d.Shards, sh.json())
	}
	d.HasMoreShards = &more
	return map[string]any{"StreamDescription": d}, nil
}

func (s *Server) describeStreamSummary(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	d, consumers := s.describe(st), len(st.consumers)
	d.OpenShardCount, d.ConsumerCount, d.MaxRecordSizeInKiB = len(st.open), &consumers, st.maxRecord>>10
	return map[string]any{"StreamDescriptionSummary": d}, nil
}

func (s *Server) describeLimits(*request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	open, onDemand := 0, 0
	for _, st := range s.streams {
		open += len(st.open)
		if st.mode == modeOnDemand {
			onDemand++
		}
	}
	return map[string]int{"ShardLimit": 100_000, "OpenShardCount": open, "OnDemandStreamCount": onDemand, "OnDemandStreamCountLimit": 50}, nil
}

type streamSummary struct {
	StreamName, StreamARN, StreamStatus string
	StreamModeDetails                   modeJSON
	StreamCreationTimestamp             float64
}

type listStreamsOutput struct {
	StreamNames     []string
	HasMoreStreams  bool
	NextToken       string `json:",omitempty"`
	StreamSummaries []streamSummary
}

func (s *Server) listStreams(in *request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	after, limit := or(in.NextToken, in.ExclusiveStartStreamName), or(in.Limit, 100)
	out := &listStreamsOutput{StreamNames: []string{}, StreamSummaries: []streamSummary{}}
	for _, name := range slices.Sorted(maps.Keys(s.streams)) {
		st := s.streams[name]
		if name <= after || s.gone(st) {
			continue
		}
		if len(out.StreamNames) == limit {
			out.HasMoreStreams, out.NextToken = true, out.StreamNames[limit-1]
			break
		}
		d := s.describe(st)
		out.StreamNames = append(out.StreamNames, name)
		out.StreamSummaries = append(out.StreamSummaries, streamSummary{name, st.arn, d.StreamStatus, d.StreamModeDetails, d.StreamCreationTimestamp})
	}
	return out, nil
}
