package kinesis

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the format's checksum, not a defence
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// aggregateMagic begins a record that the Kinesis Producer Library has packed
// many user records into. A protobuf message and its MD5 sum follow.
// Semantics: "KPL Aggregated Record Format" in the Kinesis Data Streams guide.
var aggregateMagic = []byte{0xf3, 0x89, 0x9a, 0xc2}

// Field numbers of AggregatedRecord and of its Record.
const (
	fieldPartitionKeys = 1
	fieldHashKeys      = 2
	fieldRecords       = 3

	fieldKeyIndex  = 1
	fieldHashIndex = 2
	fieldData      = 3
)

var (
	errAggregateSum   = errors.New("aggregate: the checksum does not match")
	errAggregateEmpty = errors.New("aggregate: it holds no record")
)

// isAggregate says whether data claims to be an aggregate.
func isAggregate(data []byte) bool { return bytes.HasPrefix(data, aggregateMagic) }

// splitAggregate appends the data of an aggregate's user records to dst, in
// order; they point into data. An error means that nothing of it can be
// trusted, and dst is returned as it was.
//
// User records whose hash key lies outside the shard's range are kept: the
// library that wrote them may have sent them to the right shard too, and
// repeats are known by their identity.
func splitAggregate(dst [][]byte, data []byte) ([][]byte, error) {
	if len(data) < len(aggregateMagic)+md5.Size {
		return dst, fmt.Errorf("aggregate: %d bytes are too few", len(data))
	}
	msg, want := data[len(aggregateMagic):len(data)-md5.Size], data[len(data)-md5.Size:]
	if sum := md5.Sum(msg); !bytes.Equal(sum[:], want) { //nolint:gosec // see the import
		return dst, errAggregateSum
	}
	start := len(dst)
	var keys, hashes, maxKey, maxHash uint64 // the tables may stand after the records
	err := fields(msg, func(num protowire.Number, value []byte, _ uint64) error {
		switch num {
		case fieldPartitionKeys:
			keys++
		case fieldHashKeys:
			hashes++
		case fieldRecords:
			r, err := userRecord(value)
			if err != nil {
				return err
			}
			maxKey, maxHash = max(maxKey, r.key+1), max(maxHash, r.hash)
			dst = append(dst, r.data)
		default:
		}
		return nil
	})
	switch {
	case err != nil:
	case maxKey > keys || maxHash > hashes:
		err = errors.New("aggregate: a record names a key that is not in its table")
	case len(dst) == start:
		err = errAggregateEmpty
	}
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

// packed is one user record: the index of its partition key, that of its
// explicit hash key plus one (0: it has none), and its data.
type packed struct {
	key, hash uint64
	data      []byte
}

func userRecord(msg []byte) (packed, error) {
	var r packed
	hasKey, hasData := false, false
	err := fields(msg, func(num protowire.Number, value []byte, n uint64) error {
		switch num {
		case fieldKeyIndex:
			r.key, hasKey = n, value == nil
		case fieldHashIndex:
			r.hash = n + 1
		case fieldData:
			r.data, hasData = value, value != nil
		default:
		}
		return nil
	})
	const tooMany = 1 << 32 // no record has room for so many keys; max+1 cannot overflow
	if err == nil && (!hasKey || !hasData || r.key >= tooMany || r.hash >= tooMany) {
		err = errors.New("aggregate: a record lacks its key or its data")
	}
	return r, err
}

// fields calls f for each field of a message: value is set, not nil, for
// those of length-delimited type, n for varints.
func fields(msg []byte, f func(num protowire.Number, value []byte, n uint64) error) error {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return fmt.Errorf("aggregate: %w", protowire.ParseError(n))
		}
		msg = msg[n:]
		var value []byte
		var number uint64
		switch typ {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(msg)
			if value == nil && n >= 0 {
				value = msg[:0:0]
			}
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(msg)
		default:
			n = protowire.ConsumeFieldValue(num, typ, msg)
		}
		if n < 0 {
			return fmt.Errorf("aggregate: %w", protowire.ParseError(n))
		}
		if err := f(num, value, number); err != nil {
			return err
		}
		msg = msg[n:]
	}
	return nil
}
