package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// positionVersion is the first byte of an encoded position.
const positionVersion = 1

// position says where reading of a partition goes on.
type position struct {
	offset int64
	// epoch is the leader epoch of the record before, -1 if unknown: by it a
	// truncated log is noticed (KIP-320).
	epoch int32
	// topic is the ID of the topic that the offset belongs to, zero if unknown:
	// by it a topic that was deleted and made again is noticed (KIP-516).
	topic kadm.TopicID
}

// sameTopic says whether the position may belong to the topic of that ID.
func (p position) sameTopic(id kadm.TopicID) bool {
	none := kadm.TopicID{}
	return p.topic == id || p.topic == none || id == none
}

func (p position) encode() []byte {
	b := make([]byte, 0, 1+2*binary.MaxVarintLen64+len(p.topic))
	b = append(b, positionVersion)
	b = binary.AppendVarint(b, p.offset)
	b = binary.AppendVarint(b, int64(p.epoch))
	return append(b, p.topic[:]...)
}

func decodePosition(b []byte) (position, error) {
	var p position
	if len(b) == 0 {
		return p, errors.New("position is empty")
	}
	if b[0] != positionVersion {
		return p, fmt.Errorf("position has format %d, this version reads %d", b[0], positionVersion)
	}
	damaged := errors.New("position is damaged")
	offset, n := binary.Varint(b[1:])
	if n <= 0 || offset < 0 {
		return p, damaged
	}
	epoch, m := binary.Varint(b[1+n:])
	if m <= 0 || int64(int32(epoch)) != epoch || epoch < -1 { //nolint:gosec // the comparison is the check
		return p, damaged
	}
	if len(b) != 1+n+m+len(p.topic) {
		return p, damaged
	}
	p.offset, p.epoch = offset, int32(epoch)
	copy(p.topic[:], b[1+n+m:])
	return p, nil
}

// topicPartition is a partition of the source.
type topicPartition struct {
	topic     string
	partition int32
}

func (tp topicPartition) String() string {
	return tp.topic + "/" + strconv.FormatInt(int64(tp.partition), 10)
}

func parsePartition(s string) (topicPartition, error) {
	i := strings.LastIndexByte(s, '/')
	if i <= 0 {
		return topicPartition{}, fmt.Errorf("%q is not TOPIC/PARTITION", s)
	}
	n, err := strconv.ParseInt(s[i+1:], 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s[i+1:] {
		return topicPartition{}, fmt.Errorf("%q is not TOPIC/PARTITION", s)
	}
	return topicPartition{s[:i], int32(n)}, nil
}
