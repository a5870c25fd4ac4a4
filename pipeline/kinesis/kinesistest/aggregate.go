package kinesistest

import (
	"crypto/md5"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// UserRecord is a record inside an aggregate of the Kinesis Producer Library.
type UserRecord struct {
	Key     string
	HashKey string // explicit; empty: none
	Data    []byte
}

// Magic begins an aggregate.
const Magic = "\xf3\x89\x9a\xc2"

// Aggregate puts records into one, as the Kinesis Producer Library does: its
// magic, a protobuf message, and the MD5 of that message.
func Aggregate(records ...UserRecord) []byte {
	// message AggregatedRecord {
	//   repeated string partition_key_table = 1;
	//   repeated string explicit_hash_key_table = 2;
	//   repeated Record records = 3;
	// }
	// message Record {
	//   required uint64 partition_key_index = 1;
	//   optional uint64 explicit_hash_key_index = 2;
	//   required bytes data = 3;
	// }
	var keys, hashes []string
	index := func(table *[]string, s string) uint64 {
		i := slices.Index(*table, s)
		if i < 0 {
			i = len(*table)
			*table = append(*table, s)
		}
		return uint64(i)
	}
	var body []byte
	for _, r := range records {
		var m []byte
		m = protowire.AppendTag(m, 1, protowire.VarintType)
		m = protowire.AppendVarint(m, index(&keys, r.Key))
		if r.HashKey != "" {
			m = protowire.AppendTag(m, 2, protowire.VarintType)
			m = protowire.AppendVarint(m, index(&hashes, r.HashKey))
		}
		m = protowire.AppendTag(m, 3, protowire.BytesType)
		m = protowire.AppendBytes(m, r.Data)
		body = protowire.AppendTag(body, 3, protowire.BytesType)
		body = protowire.AppendBytes(body, m)
	}
	var message []byte
	for _, k := range keys {
		message = protowire.AppendTag(message, 1, protowire.BytesType)
		message = protowire.AppendString(message, k)
	}
	for _, h := range hashes {
		message = protowire.AppendTag(message, 2, protowire.BytesType)
		message = protowire.AppendString(message, h)
	}
	message = append(message, body...)
	sum := md5.Sum(message)
	return slices.Concat([]byte(Magic), message, sum[:])
}
