package kinesistest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
)

// iterator is a shard iterator: where to read on, and since when.
type iterator struct {
	stream   string
	serial   int
	shard    string
	position uint64 // the count of the next record
	issued   int64  // Unix milliseconds
}

// iteratorJSON is an iterator as its token carries it.
type iteratorJSON struct {
	Stream   string
	Serial   int
	Shard    string
	Position uint64
	Issued   int64
}

// token writes the iterator with a checksum, so that one that was tampered
// with is refused.
func (it iterator) token() string {
	data, _ := json.Marshal(iteratorJSON{it.stream, it.serial, it.shard, it.position, it.issued})
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(append(sum[:16:16], data...))
}

func parseIterator(token string) (iterator, error) {
	data, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(data) < 16 {
		return iterator{}, errors.New("no iterator")
	}
	if sum := sha256.Sum256(data[16:]); string(sum[:16]) != string(data[:16]) {
		return iterator{}, errors.New("no iterator: its checksum is wrong")
	}
	var j iteratorJSON
	err = json.Unmarshal(data[16:], &j)
	return iterator{j.Stream, j.Serial, j.Shard, j.Position, j.Issued}, err
}

func (s *Server) getShardIterator(in *request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st, err := s.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	sh, err := s.findShard(st, in.ShardID)
	if err != nil {
		return nil, err
	}
	position, err := s.start(sh, in.ShardIteratorType, in.StartingSequenceNumber, in.Timestamp)
	if err != nil {
		return nil, err
	}
	it := iterator{st.name, st.serial, sh.id, position, s.now().UnixMilli()}
	return map[string]string{"ShardIterator": it.token()}, nil
}

// start is the position that a starting type means, for iterators and for
// subscriptions. With s.mu read-held.
func (s *Server) start(sh *shard, kind, number string, at *float64) (uint64, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := s.now()
	sh.trim(now, s.opts.ShardBytes)
	switch kind {
	case "TRIM_HORIZON":
		return sh.base, nil
	case "LATEST":
		return sh.next(), nil
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		seq, ok := parseSequence(number)
		if !ok || !sh.owns(seq) {
			return 0, invalidf("StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid.",
				number, sh.id, sh.stream.name, s.opts.Account)
		}
		return sh.position(seq, kind == "AFTER_SEQUENCE_NUMBER"), nil
	case "AT_TIMESTAMP":
		if at == nil {
			return 0, invalidf("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP.")
		}
		t := millis(*at)
		if t.After(now.Truncate(time.Millisecond).Add(time.Millisecond)) {
			return 0, invalidf("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d",
				t.UnixMilli(), now.UnixMilli())
		}
		return sh.positionAt(t.UnixMilli()), nil
	default:
		return 0, apiErrorf(ErrValidation, "ShardIteratorType %q", kind)
	}
}
