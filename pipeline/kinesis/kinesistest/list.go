package kinesistest

import (
	"encoding/base64"
	"encoding/json"
	"time"
)

type listShardsOutput struct {
	Shards    []shardJSON
	NextToken string `json:",omitempty"`
}

// listToken is what a NextToken of ListShards carries: it is asked for alone.
type listToken struct {
	Stream string
	Serial int
	After  string
	Filter *shardFilter `json:",omitempty"`
	Issued int64
}

func (t listToken) String() string {
	data, _ := json.Marshal(t)
	return base64.StdEncoding.EncodeToString(data)
}

func parseListToken(s string) (t listToken, ok bool) {
	data, err := base64.StdEncoding.DecodeString(s)
	return t, err == nil && json.Unmarshal(data, &t) == nil && t.Stream != ""
}

func (s *Server) listShards(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	after, filter, now := in.ExclusiveStartShardID, in.ShardFilter, s.now()
	name, serial := in.StreamName, 0
	if in.NextToken != "" {
		if in.StreamName != "" || in.ExclusiveStartShardID != "" || in.ShardFilter != nil {
			return nil, invalidf("NextToken and StreamName cannot be provided together.")
		}
		token, ok := parseListToken(in.NextToken)
		if !ok {
			return nil, invalidf("NextToken is invalid")
		}
		if now.Sub(time.UnixMilli(token.Issued)) > s.opts.TokenTTL {
			return nil, apiErrorf(ErrExpiredNextToken, "NextToken has expired")
		}
		name, serial, after, filter = token.Stream, token.Serial, token.After, token.Filter
	}
	st, err := s.find(name, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if serial != 0 && serial != st.serial {
		return nil, apiErrorf(ErrExpiredNextToken, "NextToken is of a stream that was deleted")
	}
	wanted, err := s.filter(st, filter)
	if err != nil {
		return nil, err
	}
	if in.MaxResults < 0 || in.MaxResults > 10_000 {
		return nil, apiErrorf(ErrValidation, "MaxResults must be from 1 to 10000")
	}
	limit := or(in.MaxResults, s.opts.ListPage)
	out := &listShardsOutput{Shards: []shardJSON{}}
	for _, sh := range st.shards {
		if s.expired(sh) || sh.id <= after || !wanted(sh) {
			continue
		}
		if len(out.Shards) == limit {
			out.NextToken = listToken{st.name, st.serial, out.Shards[limit-1].ShardID, filter, now.UnixMilli()}.String()
			break
		}
		out.Shards = append(out.Shards, sh.json())
	}
	return out, nil
}

// filter is a ShardFilter as a predicate.
func (s *Server) filter(st *stream, f *shardFilter) (func(*shard) bool, error) {
	if f == nil {
		return func(*shard) bool { return true }, nil
	}
	horizon := s.now().Add(-st.retention)
	if horizon.Before(st.created) {
		horizon = st.created
	}
	at := horizon
	switch f.Type {
	case "AT_TIMESTAMP", "FROM_TIMESTAMP":
		if f.Timestamp == nil {
			return nil, invalidf("ShardFilter %s needs a Timestamp", f.Type)
		}
		if t := millis(*f.Timestamp); t.After(horizon) {
			at = t
		}
	}
	from := func(sh *shard) bool { return sh.closed.IsZero() || !sh.closed.Before(at) }
	switch f.Type {
	case "AFTER_SHARD_ID":
		if f.ShardID == "" {
			return nil, invalidf("ShardFilter AFTER_SHARD_ID needs a ShardId")
		}
		return func(sh *shard) bool { return sh.id > f.ShardID }, nil
	case "AT_LATEST":
		return func(sh *shard) bool { return sh.closed.IsZero() }, nil
	case "AT_TRIM_HORIZON", "AT_TIMESTAMP":
		return func(sh *shard) bool { return from(sh) && !sh.created.After(at) }, nil
	case "FROM_TRIM_HORIZON", "FROM_TIMESTAMP":
		return from, nil
	default:
		return nil, apiErrorf(ErrValidation, "ShardFilter type %q", f.Type)
	}
}

func millis(seconds float64) time.Time { return time.UnixMilli(int64(seconds*1000 + 0.5)) }

func (sh *shard) hashRange() hashRangeJSON { return hashRangeJSON{sh.from.String(), sh.to.String()} }

func (sh *shard) json() shardJSON {
	out := shardJSON{
		ShardID: sh.id, HashKeyRange: sh.hashRange(),
		SequenceNumberRange: sequenceRangeJSON{StartingSequenceNumber: sh.first().String()},
	}
	if sh.parent != nil {
		out.ParentShardID = sh.parent.id
	}
	if sh.adjacent != nil {
		out.AdjacentParentShardID = sh.adjacent.id
	}
	if !sh.closed.IsZero() {
		out.SequenceNumberRange.EndingSequenceNumber = sh.end.String()
	}
	return out
}

// childList is what a closed shard tells at its end.
func (sh *shard) childList() []childJSON {
	var out []childJSON
	for _, c := range sh.children {
		child := childJSON{ShardID: c.id, ParentShards: []string{c.parent.id}, HashKeyRange: c.hashRange()}
		if c.adjacent != nil {
			child.ParentShards = append(child.ParentShards, c.adjacent.id)
		}
		out = append(out, child)
	}
	return out
}
