// Package repartition is the language of the repartition topic: what the match
// stage of a fleet tells the alert stage. A record is an event with those of its
// matches that belong to the partition, a rule that such matches were made
// with, or a marker of how far the sources have come.
//
// Every record begins with a format version and its kind. A newer version is
// refused; within a version fields are only added at the end.
package repartition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/trailtide/trailtide/pipeline/alerting"
)

const version = 1

// Kinds of records.
const (
	kindEvent  = 1
	kindRule   = 2
	kindMarker = 3
)

// Record is a decoded record: one of its fields is set.
type Record struct {
	Event  *alerting.Event
	Rule   *alerting.Rule
	Marker *Marker
}

// ErrNewer says that a newer version of the program wrote the record. This one
// must not go on, for it would lose what the record says.
var ErrNewer = errors.New("a newer version wrote this")

var errDamaged = errors.New("repartition record is damaged")

// Decode reads a record. rule answers the rules that records before it brought,
// by their hash. Nothing of the result points into b.
func Decode(b []byte, rule func(hash uint64) *alerting.Rule) (Record, error) {
	r := &reader{b: b}
	if v := r.byte(); r.err == nil && v != version {
		return Record{}, fmt.Errorf("%w: repartition record of format %d, this version reads %d", ErrNewer, v, version)
	}
	var out Record
	switch kind := r.byte(); kind {
	case kindEvent:
		out.Event = r.event(rule)
	case kindRule:
		out.Rule = r.rule()
	case kindMarker:
		out.Marker = r.marker()
	default:
		r.fail(fmt.Errorf("%w: repartition record of kind %d", ErrNewer, kind))
	}
	if r.err != nil {
		return Record{}, r.err
	}
	return out, nil
}

func header(dst []byte, kind byte) []byte { return append(dst, version, kind) }

func appendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendFlags(dst []byte, flags ...bool) []byte {
	var b byte
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	return append(dst, b)
}

// reader reads fields one after the other; after the first failure it reads
// zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail(errDamaged)
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) flags(out ...*bool) {
	b := r.byte()
	for i, f := range out {
		*f = b&(1<<i) != 0
	}
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errDamaged)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errDamaged)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads how many items follow, of at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) || n > math.MaxInt32 {
		r.fail(errDamaged)
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte {
	b := r.take(r.uvarint())
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

func (r *reader) string() string { return string(r.take(r.uvarint())) }

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}
