package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// positionVersion is the first byte of an encoded position.
const positionVersion = 1

// encodePosition writes where to go on: the offset after the record, and the
// leader epoch of the record, by which a truncated log is noticed (KIP-320).
func encodePosition(next int64, epoch int32) []byte {
	b := []byte{positionVersion}
	b = binary.AppendVarint(b, next)
	return binary.AppendVarint(b, int64(epoch))
}

func decodePosition(b []byte) (kgo.EpochOffset, error) {
	if len(b) == 0 {
		return kgo.EpochOffset{}, errors.New("position is empty")
	}
	if b[0] != positionVersion {
		return kgo.EpochOffset{}, fmt.Errorf("position has format %d, this version reads %d", b[0], positionVersion)
	}
	next, n := binary.Varint(b[1:])
	if n <= 0 || next < 0 {
		return kgo.EpochOffset{}, errors.New("position is damaged")
	}
	epoch, m := binary.Varint(b[1+n:])
	if m <= 0 || 1+n+m != len(b) || int64(int32(epoch)) != epoch {
		return kgo.EpochOffset{}, errors.New("position is damaged")
	}
	return kgo.EpochOffset{Epoch: int32(epoch), Offset: next}, nil
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
	if err != nil || n < 0 {
		return topicPartition{}, fmt.Errorf("%q is not TOPIC/PARTITION", s)
	}
	return topicPartition{s[:i], int32(n)}, nil
}
