package kinesistest

import (
	"slices"
	"time"
)

// close ends a shard: it takes no more records. With Server.mu held.
func (st *stream) close(sh *shard, now time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.closed = now
	sh.end = sh.number(countEnd, flavourEnd, now)
	sh.signal()
	st.open = slices.DeleteFunc(st.open, func(o *shard) bool { return o == sh })
}

// split divides an open shard where the upper child is to begin.
func (st *stream) split(sh *shard, at u128, now time.Time) (lower, upper *shard) {
	st.close(sh, now)
	return st.addShard(sh.from, at.prev(), now, sh), st.addShard(at, sh.to, now, sh)
}

// merge joins two open shards whose ranges touch; a is the parent, b the
// adjacent parent.
func (st *stream) merge(a, b *shard, now time.Time) *shard {
	st.close(a, now)
	st.close(b, now)
	from, to := a.from, b.to
	if b.from.less(a.from) {
		from, to = b.from, a.to
	}
	return st.addShard(from, to, now, a, b)
}

// touch says whether two shards' ranges are neighbours.
func touch(a, b *shard) bool {
	return a.to.less(b.from) && a.to.next() == b.from || b.to.less(a.from) && b.to.next() == a.from
}

// scale makes n equal shards: splits where a boundary is missing, then merges
// where there is one too many.
func (st *stream) scale(n int, now time.Time) {
	starts := uniform(n)
	for _, from := range starts {
		if sh := st.shardFor(from); sh.from != from {
			st.split(sh, from, now)
		}
	}
	for i := 1; i < len(st.open); {
		if slices.Contains(starts, st.open[i].from) {
			i++
			continue
		}
		st.merge(st.open[i-1], st.open[i], now)
	}
}

// touched marks a stream as UPDATING for a while.
func (s *Server) touched(st *stream) {
	st.status, st.ready = statusUpdating, s.now().Add(s.opts.StatusDelay)
}

// openShard answers a shard that can be reshaped. With s.mu held.
func (s *Server) openShard(st *stream, id string) (*shard, error) {
	sh, err := s.findShard(st, id)
	if err != nil {
		return nil, err
	}
	if !sh.closed.IsZero() {
		return nil, invalidf("Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.", id, st.name, s.opts.Account)
	}
	return sh, nil
}

func (s *Server) splitShard(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.active(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	sh, err := s.openShard(st, in.ShardToSplit)
	if err != nil {
		return nil, err
	}
	at, err := parseHash(in.NewStartingHashKey)
	if err != nil || !sh.from.less(at) || sh.to.less(at) {
		return nil, invalidf("NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
			in.NewStartingHashKey, sh.id, st.name, s.opts.Account, sh.from, sh.to)
	}
	st.split(sh, at, s.now())
	s.touched(st)
	return nil, nil
}

func (s *Server) mergeShards(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.active(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	a, err := s.openShard(st, in.ShardToMerge)
	if err != nil {
		return nil, err
	}
	b, err := s.openShard(st, in.AdjacentShardToMerge)
	if err != nil {
		return nil, err
	}
	if !touch(a, b) {
		return nil, invalidf("Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging", a.id, b.id, st.name, s.opts.Account)
	}
	st.merge(a, b, s.now())
	s.touched(st)
	return nil, nil
}

type shardCountOutput struct {
	StreamName, StreamARN               string
	CurrentShardCount, TargetShardCount int
}

func (s *Server) updateShardCount(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.active(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	current := len(st.open)
	switch {
	case in.ScalingType != "UNIFORM_SCALING":
		return nil, apiErrorf(ErrValidation, "ScalingType %q", in.ScalingType)
	case st.mode == modeOnDemand:
		return nil, invalidf("Stream %s is ON_DEMAND", st.name)
	case in.TargetShardCount < 1 || in.TargetShardCount > 2*current || 2*in.TargetShardCount < current:
		return nil, invalidf("UpdateShardCount cannot go from %d to %d shards: at most to double, at least to half", current, in.TargetShardCount)
	}
	st.scale(in.TargetShardCount, s.now())
	s.touched(st)
	return &shardCountOutput{st.name, st.arn, current, in.TargetShardCount}, nil
}

func (s *Server) updateStreamMode(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.active("", in.StreamARN)
	if err != nil {
		return nil, err
	}
	if in.StreamModeDetails == nil || in.StreamModeDetails.StreamMode != modeProvisioned && in.StreamModeDetails.StreamMode != modeOnDemand {
		return nil, apiErrorf(ErrValidation, "StreamModeDetails is required")
	}
	st.mode = in.StreamModeDetails.StreamMode
	s.touched(st)
	return nil, nil
}

func (s *Server) updateMaxRecordSize(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.active("", in.StreamARN)
	if err != nil {
		return nil, err
	}
	if in.MaxRecordSizeInKiB < 1024 || in.MaxRecordSizeInKiB > 10240 {
		return nil, apiErrorf(ErrValidation, "MaxRecordSizeInKiB must be from 1024 to 10240")
	}
	st.maxRecord = in.MaxRecordSizeInKiB << 10
	s.touched(st)
	return nil, nil
}

func (s *Server) increaseRetention(in *request) (any, error) { return s.retain(in, true) }
func (s *Server) decreaseRetention(in *request) (any, error) { return s.retain(in, false) }

func (s *Server) retain(in *request, more bool) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.active(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	d := time.Duration(in.RetentionPeriodHours) * time.Hour
	if in.RetentionPeriodHours < 24 || in.RetentionPeriodHours > 8760 || more && d < st.retention || !more && d > st.retention {
		return nil, invalidf("RetentionPeriodHours %d: it is %v now", in.RetentionPeriodHours, st.retention)
	}
	st.retention = d
	s.touched(st)
	return nil, nil
}
