package kinesistest

import (
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

const (
	maxPutRecords = 500
	maxPutBytes   = 10 << 20
)

// route is the shard of a record, or why it is refused. With s.mu read-held.
func (s *Server) route(st *stream, key, explicit string, size int) (*shard, error) {
	if key == "" || utf8.RuneCountInString(key) > 256 {
		return nil, apiErrorf(ErrValidation, "PartitionKey must be 1 to 256 characters long")
	}
	if size+len(key) > st.maxRecord {
		return nil, apiErrorf(ErrValidation, "a record of %d bytes: this stream takes at most %d", size, st.maxRecord)
	}
	hash := hashOf(key)
	if explicit != "" {
		var err error
		if hash, err = parseHash(explicit); err != nil {
			return nil, invalidf("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", explicit)
		}
	}
	return st.shardFor(hash), nil
}

// add puts a record into a shard, within its limits. With s.mu read-held.
func (s *Server) add(sh *shard, key string, data []byte) (sequence, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := s.now()
	if !sh.writes.allow(now, s.limits.WriteRecords, 1, s.limits.WriteBytes) {
		return sequence{}, apiErrorf(ErrThroughput, "Rate exceeded for shard %s in stream %s under account %s.", sh.id, sh.stream.name, s.opts.Account)
	}
	sh.writes.charge(len(data), s.limits.WriteBytes)
	return sh.put(key, data, now, s.opts.ShardBytes), nil
}

// writable answers a stream that takes records: one that is being changed does,
// too. With s.mu read-held.
func (s *Server) writable(name, arn string) (*stream, error) {
	st, err := s.find(name, arn)
	if err != nil {
		return nil, err
	}
	if status := st.statusAt(s.now()); status != statusActive && status != statusUpdating {
		return nil, apiErrorf(ErrResourceNotFound, "Stream %s under account %s is %s.", st.name, s.opts.Account, status)
	}
	return st, nil
}

type putRecordOutput struct {
	ShardID        string `json:"ShardId"`
	SequenceNumber string
}

func (s *Server) putRecord(in *request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st, err := s.writable(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	sh, err := s.route(st, in.PartitionKey, in.ExplicitHashKey, len(in.Data))
	if err != nil {
		return nil, err
	}
	if in.SequenceNumberForOrdering != "" {
		if seq, ok := parseSequence(in.SequenceNumberForOrdering); !ok || seq.parts().seconds > uint64(s.now().Unix()) {
			return nil, invalidf("ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.", in.SequenceNumberForOrdering, st.name, s.opts.Account)
		}
	}
	seq, err := s.add(sh, in.PartitionKey, in.Data)
	if err != nil {
		return nil, err
	}
	return &putRecordOutput{sh.id, seq.String()}, nil
}

// putEntry is one record of PutRecords.
type putEntry struct {
	key, explicit string
	data          []byte
}

// putRecords is written without reflection: loads go through it.
func putRecords(s *Server, body []byte) (target, func(*plan) (any, error), error) {
	var p fastjson.Parser
	v, err := p.ParseBytes(body)
	if err != nil {
		return target{}, nil, err
	}
	name, arn := string(v.GetStringBytes("StreamName")), string(v.GetStringBytes("StreamARN"))
	var entries []putEntry
	for _, r := range v.GetArray("Records") {
		text := r.GetStringBytes("Data")
		data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Decode(data, text)
		if err != nil {
			return target{}, nil, fmt.Errorf("data of a record: %w", err)
		}
		entries = append(entries, putEntry{string(r.GetStringBytes("PartitionKey")), string(r.GetStringBytes("ExplicitHashKey")), data[:n:n]})
	}
	t := target{stream: or(name, nameOfARN(arn))}
	return t, func(*plan) (any, error) { return s.putAll(name, arn, entries) }, nil
}

func (s *Server) putAll(name, arn string, entries []putEntry) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st, err := s.writable(name, arn)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 || len(entries) > maxPutRecords {
		return nil, apiErrorf(ErrValidation, "PutRecords takes 1 to %d records", maxPutRecords)
	}
	shards, total := make([]*shard, len(entries)), 0
	for i, e := range entries {
		if shards[i], err = s.route(st, e.key, e.explicit, len(e.data)); err != nil {
			return nil, err
		}
		total += len(e.data) + len(e.key)
	}
	if total > maxPutBytes {
		return nil, invalidf("Records size exceeds %d bytes", maxPutBytes)
	}
	failed := 0
	out := append(make([]byte, 0, 128*len(entries)+64), `{"Records":[`...)
	for i, e := range entries {
		if i > 0 {
			out = append(out, ',')
		}
		seq, err := s.add(shards[i], e.key, e.data)
		if err != nil {
			failed++
			out = fmt.Appendf(out, `{"ErrorCode":%q,"ErrorMessage":%q}`, ErrThroughput, "Rate exceeded for shard "+shards[i].id)
			continue
		}
		out = append(append(out, `{"ShardId":"`...), shards[i].id...)
		out = seq.append(append(out, `","SequenceNumber":"`...))
		out = append(out, `"}`...)
	}
	return fmt.Appendf(out, `],"FailedRecordCount":%d}`, failed), nil
}
