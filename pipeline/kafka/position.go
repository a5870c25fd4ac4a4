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
	return p.append(make([]byte, 0, 1+2*binary.MaxVarintLen64+len(p.topic)))
}

func (p position) append(b []byte) []byte {
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

// heldPosition is the first byte of a position that says under which ownership
// it was read. It lives in memory only, and only the number without it becomes
// durable.
const heldPosition = 0xff

// encodeHeld is encode, with the ownership in front; without one it is encode.
func (p position) encodeHeld(owner uint64) []byte {
	if owner == 0 {
		return p.encode()
	}
	b := make([]byte, 0, 2+4*binary.MaxVarintLen64+len(p.topic))
	b = append(b, heldPosition)
	b = binary.AppendUvarint(b, owner)
	return p.append(b)
}

// decodeHeld reads what encodeHeld wrote for an ownership.
func decodeHeld(b []byte) (position, uint64, error) {
	if len(b) == 0 || b[0] != heldPosition {
		return position{}, 0, errors.New("position without an ownership")
	}
	owner, n := binary.Uvarint(b[1:])
	if n <= 0 || owner == 0 {
		return position{}, 0, errors.New("position with a damaged ownership")
	}
	p, err := decodePosition(b[1+n:])
	return p, owner, err
}
