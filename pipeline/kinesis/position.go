package kinesis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// positionVersion is the first byte of an encoded position.
const positionVersion = 1

// kind says what a position means.
type kind byte

const (
	atHorizon kind = iota // everything that the shard still holds
	atTime                // from millis on, by arrival
	atRecord              // after sequence, or inside of it after sub
	finished              // the shard is closed and read to its end
	numKinds
)

// maxSequence bounds the digits of a sequence number; AWS writes 56.
const maxSequence = 128

// position says where reading of a shard goes on.
type position struct {
	kind kind
	// created is the creation time of the stream in Unix milliseconds, 0 if
	// unknown: by it a stream that was deleted and made again is noticed.
	created int64
	millis  int64 // of atTime
	// sequence is the record that was read last, of atRecord; of finished the
	// shard's last, or "".
	sequence string
	// sub is the index of the user record that was read last. whole says that
	// it was the last of its record: reading goes on after the record.
	sub   int32
	whole bool
}

// sameStream says whether the position may belong to the stream created then.
func (p position) sameStream(created int64) bool {
	return p.created == created || p.created == 0 || created == 0
}

// covers says whether the user record is at or before the position.
func (p position) covers(sequence string, sub int32) bool {
	if p.kind != atRecord {
		return p.kind == finished
	}
	switch compareSequences(sequence, p.sequence) {
	case -1:
		return true
	case 0:
		return p.whole || sub <= p.sub
	}
	return false
}

// compareSequences compares two sequence numbers: decimal, of any length.
func compareSequences(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	switch {
	case len(a) < len(b):
		return -1
	case len(a) > len(b):
		return 1
	}
	return strings.Compare(a, b)
}

func (p position) encode() []byte {
	b := make([]byte, 0, 16+len(p.sequence)+binary.MaxVarintLen64)
	b = append(b, positionVersion, byte(p.kind))
	b = binary.AppendVarint(b, p.created)
	switch p.kind {
	case atTime:
		b = binary.AppendVarint(b, p.millis)
	case atRecord, finished:
		b = binary.AppendUvarint(b, uint64(len(p.sequence)))
		b = append(b, p.sequence...)
		whole := uint64(0)
		if p.whole {
			whole = 1
		}
		b = binary.AppendUvarint(b, uint64(p.sub)<<1|whole) //nolint:gosec // sub is never negative
	case atHorizon, numKinds:
	}
	return b
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
	if len(b) < 2 || b[1] >= byte(numKinds) {
		return p, damaged
	}
	p.kind = kind(b[1])
	b = b[2:]
	var ok bool
	if p.created, b, ok = varint(b); !ok || p.created < 0 {
		return p, damaged
	}
	switch p.kind {
	case atTime:
		if p.millis, b, ok = varint(b); !ok {
			return p, damaged
		}
	case atRecord, finished:
		n, m := binary.Uvarint(b)
		if m <= 0 || n > maxSequence || uint64(len(b)-m) < n {
			return p, damaged
		}
		p.sequence, b = string(b[m:m+int(n)]), b[m+int(n):] //nolint:gosec // at most maxSequence
		if strings.Trim(p.sequence, "0123456789") != "" || p.sequence == "" && p.kind == atRecord {
			return p, damaged
		}
		sub, m := binary.Uvarint(b)
		if m <= 0 || sub>>1 > 1<<31-1 {
			return p, damaged
		}
		p.sub, p.whole, b = int32(sub>>1), sub&1 == 1, b[m:] //nolint:gosec // the line before checks
	case atHorizon, numKinds:
	}
	if len(b) > 0 {
		return p, damaged
	}
	return p, nil
}

func varint(b []byte) (v int64, rest []byte, ok bool) {
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, b, false
	}
	return v, b[n:], true
}

// partition is the name of a shard as the pipeline knows it.
func partition(stream, shard string) string { return stream + "/" + shard }

func parsePartition(s string) (stream, shard string, err error) {
	i := strings.LastIndexByte(s, '/')
	if i <= 0 || i == len(s)-1 {
		return "", "", fmt.Errorf("%q is not STREAM/SHARD", s)
	}
	return s[:i], s[i+1:], nil
}
