package kinesis

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the format's checksum
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// aggregate packs payloads as the Kinesis Producer Library does.
func aggregate(payloads ...[]byte) []byte {
	var msg []byte
	for i := range payloads {
		msg = protowire.AppendTag(msg, fieldPartitionKeys, protowire.BytesType)
		msg = protowire.AppendString(msg, fmt.Sprint("key", i))
	}
	for i, p := range payloads {
		msg = protowire.AppendTag(msg, fieldRecords, protowire.BytesType)
		msg = protowire.AppendBytes(msg, userMessage(uint64(i), p))
	}
	return sealed(msg)
}

func userMessage(key uint64, data []byte) []byte {
	var rec []byte
	rec = protowire.AppendTag(rec, fieldKeyIndex, protowire.VarintType)
	rec = protowire.AppendVarint(rec, key)
	rec = protowire.AppendTag(rec, fieldData, protowire.BytesType)
	rec = protowire.AppendBytes(rec, data)
	rec = protowire.AppendTag(rec, 4, protowire.BytesType) // tags: left alone
	return protowire.AppendBytes(rec, []byte("\x0a\x01a"))
}

func sealed(msg []byte) []byte {
	sum := md5.Sum(msg) //nolint:gosec // see the import
	return append(append(bytes.Clone(aggregateMagic), msg...), sum[:]...)
}

func TestSplitAggregate(t *testing.T) {
	want := [][]byte{[]byte("one"), {}, []byte("three")}
	got, err := splitAggregate(nil, aggregate(want...))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%q, %v", got, err)
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("record %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestBrokenAggregate(t *testing.T) {
	good := aggregate([]byte("a"), []byte("b"))
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	recordsOnly := protowire.AppendBytes(protowire.AppendTag(nil, fieldRecords, protowire.BytesType), userMessage(0, []byte("x")))
	noData := protowire.AppendBytes(protowire.AppendTag(nil, fieldRecords, protowire.BytesType), []byte{8, 0})
	for name, data := range map[string][]byte{
		"cut":          good[:len(good)-1],
		"magic alone":  aggregateMagic,
		"flipped":      flipped,
		"key missing":  sealed(recordsOnly),
		"data missing": sealed(append([]byte{0x0a, 0}, noData...)),
		"no protobuf":  sealed([]byte{0xff, 0xff}),
		"empty":        sealed(nil),
	} {
		t.Run(name, func(t *testing.T) {
			kept := [][]byte{[]byte("kept")}
			got, err := splitAggregate(kept, data)
			if err == nil || len(got) != 1 {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if _, err := splitAggregate(nil, flipped); !errors.Is(err, errAggregateSum) {
		t.Errorf("flipped: %v", err)
	}
	if isAggregate([]byte(`{"eventName":"x"}`)) || !isAggregate(good) {
		t.Error("the magic is not what tells an aggregate")
	}
}

func FuzzSplitAggregate(f *testing.F) {
	f.Add(aggregate([]byte("one"), []byte("two")), false)
	f.Add([]byte{0x0a, 1, 'k', 0x1a, 4, 8, 0, 0x1a, 0}, true)
	f.Add(sealed(nil), false)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal { // so that the message behind the checksum is reached
			data = sealed(data)
		}
		got, err := splitAggregate(nil, data)
		if err != nil {
			if len(got) != 0 {
				t.Fatalf("%d records beside an error", len(got))
			}
			return
		}
		again, err := splitAggregate(nil, aggregate(got...))
		if err != nil || len(again) != len(got) {
			t.Fatalf("packed again: %v", err)
		}
		for i := range got {
			if !bytes.Equal(again[i], got[i]) {
				t.Fatalf("record %d changed", i)
			}
		}
	})
}
